# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Run the perception node on machines without the `ros2` command.

All arguments are passed on to ROS, for example

  concerto-ros node --ros-args --params-file config/perception.yaml -p fixed_frame:=map

docs/parameters.md and config/perception.yaml list all parameters.
"""

from __future__ import annotations

import argparse

HELP = "run the perception node"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define nothing: all arguments go to ROS."""
    parser.usage = "concerto-ros node [--ros-args ...]"


def run(arguments: argparse.Namespace) -> int:
    """Run the node until it is interrupted; the exit status."""
    from concerto_ros.ros.node import main

    return main(arguments.rest)
