# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The ``concerto-ros`` command. Each subcommand is a module of this package."""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
from collections.abc import Sequence
from types import ModuleType

from concerto_ros.files.error_text import in_words

#: Subcommands that need ROS, in the folder ``robot``.
ROBOT_COMMANDS = ("demo", "node", "simulate", "play", "snapshot")

#: Subcommands in the order in which ``--help`` lists them. Each module has ``HELP`` (one line for
#: the list), ``add_arguments(parser)`` and ``run(arguments) -> exit status``.
COMMANDS = (
    *ROBOT_COMMANDS,
    "segment",
    "video",
    "find",
    "compare",
    "bag",
    "view",
    "train",
    "evaluate",
    "export",
    "objects",
    "words",
    "models",
    "download",
)

#: Subcommands that pass unknown arguments on to ROS.
ROS_PROGRAMS = ("node", "simulate")

DESCRIPTION = """\
3D semantic perception for ROS 2 robots: labels and feature colours for point clouds and RGB-D.

  concerto-ros demo                  run a simulated robot through the node
  concerto-ros demo --bag my_bag     the same with your own recording
  concerto-ros segment scan.ply      label one file, no ROS needed
  concerto-ros video walk.mp4        label a video with depth and poses, no ROS needed
  concerto-ros find scan.ply chair   find in one file what a text names
  concerto-ros models                which encoders there are, and which are on this machine
  concerto-ros bag my_bag labelled   add labels to a recording, no ROS needed
  concerto-ros view scan.ply         look at it in a window, no RViz needed
  concerto-ros train head my_scans   train a head for your own classes
  concerto-ros export demo out.onnx  write an encoder for ONNX Runtime and C++
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand.

    Args:
        argv: The arguments after the program's name; None takes those of this process.

    Returns:
        The exit status: 0 for success, 1 for an error that is printed on stderr, 130 after Ctrl-C.

    Raises:
        SystemExit: From argparse, after ``--help`` (status 0) or for wrong arguments (status 2).
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    argv = list(sys.argv[1:] if argv is None else argv)
    arguments, rest = _parser(argv).parse_known_args(argv)
    if rest and arguments.command not in ROS_PROGRAMS:
        _parser(argv).error(f"unrecognized arguments: {' '.join(rest)}")
    arguments.rest = rest
    try:
        return arguments.run(arguments)
    except KeyboardInterrupt:
        return 130
    except (ValueError, OSError, ImportError) as error:
        print(f"concerto-ros {arguments.command}: {in_words(error)}", file=sys.stderr)
        return 1


def module_of(command: str) -> ModuleType:
    """The module of a subcommand of :data:`COMMANDS`."""
    folder = "concerto_ros.cli.robot" if command in ROBOT_COMMANDS else "concerto_ros.cli"
    return importlib.import_module(f"{folder}.{command}")


def _parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="concerto-ros",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        module = module_of(name)
        command = commands.add_parser(
            name,
            help=module.HELP,
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if name in argv:  # defining the arguments of the others would load PyTorch for nothing
            module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser
