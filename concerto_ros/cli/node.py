# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Run the perception node where there is no `ros2` command.

Everything is handed on to ROS, for example

  concerto-ros node --ros-args --params-file config/perception.yaml -p fixed_frame:=map
"""

from __future__ import annotations

import argparse

HELP = "run the perception node"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing of its own: unknown arguments go to ROS."""
    parser.usage = "concerto-ros node [--ros-args ...]"


def run(arguments: argparse.Namespace) -> int:
    """Spin until interrupted."""
    from concerto_ros.ros.node import main

    return main(arguments.rest)
