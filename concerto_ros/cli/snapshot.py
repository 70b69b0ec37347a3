# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Save what a topic shows: a PointCloud2 as PNG and PLY, an Image as PNG.

concerto-ros snapshot /concerto/labels /concerto/pca
"""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "save what a topic shows as PNG and PLY"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The topics and where to write."""
    parser.add_argument("topics", nargs="+", metavar="TOPIC")
    parser.add_argument("--out", type=Path, default=Path(), help="folder (default: here)")
    parser.add_argument(
        "--timeout", type=float, default=30.0, help="seconds to wait for each (default 30)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Wait for one message of each topic and write it."""
    from concerto_ros.ros.tools.topic_picture import snapshot

    for path in snapshot(arguments.topics, arguments.out, arguments.timeout):
        print(path)
    return 0
