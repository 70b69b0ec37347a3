# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Object encoders: pre-train, train, evaluate, use on files, verify against the reference.

concerto-ros objects pretrain recon DATA --layout shapenet55 --image-teacher image.npz
concerto-ros objects train full DATA --layout modelnet40_h5 --checkpoint recon_pretrain.pth
concerto-ros objects train mixcon3d DATA               clouds, pictures and texts (OpenShape)
concerto-ros objects evaluate svm DATA --layout modelnet40_h5 --checkpoint recon_pretrain.pth
concerto-ros objects embed mug.ply chair.pcd           their classes, by the bundled encoder
concerto-ros objects train demo                        the bundled encoder
concerto-ros objects benchmark                         the table of docs/objects.md
concerto-ros objects verify golden/objects             reference outputs
concerto-ros objects labelspace demo                   what Hydra and Khronos make of the labels
"""

from __future__ import annotations

import argparse
import importlib

HELP = "object encoders: pre-train, train, evaluate, embed, verify, label spaces"

#: Actions in the order in which ``--help`` lists them. Each module has ``HELP``,
#: ``add_arguments(parser)`` and ``run(arguments) -> exit status``.
ACTIONS = ("pretrain", "train", "evaluate", "embed", "benchmark", "verify", "labelspace")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add one subcommand for each action."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name in ACTIONS:
        module = importlib.import_module(f"concerto_ros.cli.objects.{name}")
        action = actions.add_parser(name, help=module.HELP)
        module.add_arguments(action)
        action.set_defaults(run_action=module.run)


def run(arguments: argparse.Namespace) -> int:
    """Run the chosen action."""
    return arguments.run_action(arguments)
