# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Save the next message of each topic: a PointCloud2 as PNG and PLY, an Image as PNG.

concerto-ros snapshot /concerto/labels /concerto/pca
"""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "save the next message of a topic as PNG and PLY"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the topics and where to write."""
    parser.add_argument(
        "topics", nargs="+", metavar="TOPIC", help="topics of type PointCloud2 or Image"
    )
    parser.add_argument(
        "--out", type=Path, default=Path(), help="folder to write to (default: the current one)"
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="how long to wait for a message of each topic (default 30)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Wait for one message of each topic, write it and print the paths."""
    from concerto_ros.ros.tools.topic_picture import snapshot

    for path in snapshot(arguments.topics, arguments.out, arguments.timeout):
        print(path)
    return 0
