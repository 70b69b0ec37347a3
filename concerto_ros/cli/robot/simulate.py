# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Publish the topics of a simulated RGB-D robot that drives through a furnished room.

Images, camera_info and TF are those of a real camera's driver; ground_truth/labels adds the true
class of what the camera sees. The options are ROS parameters (seed, rate, width, height, duration,
noise), for example

  concerto-ros simulate --ros-args -p seed:=3 -p duration:=30.0
"""

from __future__ import annotations

import argparse

HELP = "publish a simulated RGB-D robot in a furnished room"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define nothing: all arguments go to ROS."""
    parser.usage = "concerto-ros simulate [--ros-args ...]"


def run(arguments: argparse.Namespace) -> int:
    """Publish until interrupted or until ``duration`` is over; the exit status."""
    from concerto_ros.ros.tools.simulated_robot import main

    return main(arguments.rest)
