# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The main job from start to finish on this machine, each part a process of its own on DDS.

A simulated RGB-D robot drives through a furnished room (or --bag plays a recording), the
perception node labels what it sees, and this process looks on. It ends with pictures of the
input, the labels and the feature colours, a bag of the outputs and a table of stage times.
"""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "a simulated robot, or your bag, through the node to pictures"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to play and where to write."""
    parser.add_argument("--bag", type=Path, help="play this bag instead of the simulated robot")
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="default out/demo")
    parser.add_argument(
        "--seconds", type=float, default=15.0, help="how long the robot drives (default 15)"
    )
    parser.add_argument("--seed", type=int, default=0, help="which room (default 0)")
    parser.add_argument(
        "--preset", default="", help="indoor or outdoor (default: outdoor for LiDAR bags)"
    )
    parser.add_argument("--checkpoint", default="demo", help="encoder (default demo)")
    parser.add_argument("--head", default="", help="linear head (default: the encoder's own)")


def run(arguments: argparse.Namespace) -> int:
    """Run all three processes and write the results."""
    from concerto_ros.ros.demo.run import Demo

    return Demo(arguments).run()
