# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Publish an RGB-D robot that drives through a furnished room: images, camera_info, TF, truth.

Its parameters are ROS parameters, for example

  concerto-ros simulate --ros-args -p seed:=3 -p duration:=30.0
"""

from __future__ import annotations

import argparse

HELP = "publish a simulated RGB-D robot in a furnished room"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing of its own: unknown arguments go to ROS."""
    parser.usage = "concerto-ros simulate [--ros-args ...]"


def run(arguments: argparse.Namespace) -> int:
    """Publish until interrupted or the duration is over."""
    from concerto_ros.ros.tools.simulated_robot import main

    return main(arguments.rest)
