# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Run simulator, perception node and recorder on this machine, and write what the node published.

A simulated RGB-D robot drives through a furnished room (or --bag plays a recording) and the
perception node labels what it sees, each in a process of its own that talks over DDS. The folder
--out gets pictures of the input, the labels, the feature colours and the objects, and a bag of the
outputs. A table of stage times is printed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "run a simulated robot, or your bag, through the node and save pictures"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define what to play, the model and where to write."""
    parser.add_argument(
        "--bag", type=Path, metavar="BAG", help="play this bag instead of the simulated robot"
    )
    parser.add_argument(
        "--view",
        default="",
        choices=["web", "window"],
        help="show it meanwhile in the viewer Rerun, in a browser or a window",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("out/demo"),
        help="folder for the results (default out/demo)",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=15.0,
        help="how long the robot drives, seconds (default 15)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="random seed of the room and the drive (default 0)"
    )
    parser.add_argument(
        "--preset",
        default="",
        help="parameter preset: indoor or outdoor (default: outdoor for LiDAR bags, else indoor)",
    )
    parser.add_argument(
        "--checkpoint",
        default="demo",
        help="encoder: an official name or a file (default: demo, the bundled model of the"
        " preset)",
    )
    parser.add_argument(
        "--head",
        default="",
        help="linear head: an official name or a file (default: the demo model's)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the demo and write the results; the exit status."""
    from concerto_ros.ros.demo.run import Demo

    return Demo(arguments).run()
