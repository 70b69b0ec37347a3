# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Publish a rosbag2 (sqlite3 or mcap) with its recorded timing, without `ros2 bag play`."""

from __future__ import annotations

import argparse
from pathlib import Path

from tqdm import tqdm

HELP = "publish a bag with its recorded timing"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the bag and how it is played."""
    parser.add_argument("bag", type=Path, help="rosbag2 folder, or a .db3 or .mcap file")
    parser.add_argument(
        "--rate", type=float, default=1.0, help="multiple of the recorded speed (default 1)"
    )
    parser.add_argument(
        "--loop", action="store_true", help="start over at the end of the bag, until interrupted"
    )
    parser.add_argument(
        "--clock",
        action="store_true",
        help="publish the recorded time on /clock, for nodes with use_sim_time",
    )
    parser.add_argument(
        "--wait",
        nargs="*",
        default=[],
        metavar="TOPIC",
        help="start when each of these topics has a subscriber",
    )
    parser.add_argument(
        "--subscribers",
        type=int,
        default=1,
        metavar="N",
        help="number of subscribers that each topic of --wait needs (default 1)",
    )
    parser.add_argument(
        "--wait-timeout",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="how long to wait for the subscribers of --wait before giving up (default 60)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Play to the end, or until interrupted with --loop.

    Raises:
        ValueError: If the subscribers of --wait did not come in time.
    """
    from concerto_ros.ros.middleware.fastdds_profile import ros_session
    from concerto_ros.ros.tools.bag_player import Player

    with ros_session():
        player = Player(arguments.bag, rate=arguments.rate, clock=arguments.clock)
        if not player.wait_for_subscribers(
            arguments.wait, arguments.subscribers, arguments.wait_timeout
        ):
            raise ValueError(
                f"--wait: fewer than {arguments.subscribers} subscribers on"
                f" {', '.join(arguments.wait)} after {arguments.wait_timeout:g} s"
            )
        while True:
            with tqdm(
                total=player.message_count, unit="msg", desc=arguments.bag.name, disable=None
            ) as bar:
                player.play(on_message=bar.update)
            if not arguments.loop:
                break
        player.drain()
        player.destroy_node()
    return 0
