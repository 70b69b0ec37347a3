# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Fetch official checkpoints and heads into the local cache, so that the node finds them.

The node itself never downloads: a robot starts the same with and without a network.
"""

from __future__ import annotations

import argparse

HELP = "fetch official checkpoints and heads"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The names to fetch."""
    from concerto_ros.ptv3.checkpoint import OFFICIAL_ENCODERS, OFFICIAL_HEADS

    names = [*OFFICIAL_ENCODERS, *OFFICIAL_HEADS]
    parser.add_argument("names", nargs="+", metavar="NAME", help=f"one of {', '.join(names)}")


def run(arguments: argparse.Namespace) -> int:
    """Fetch each and print where it lies."""
    from concerto_ros.ptv3.checkpoint import OFFICIAL_ENCODERS, OFFICIAL_HEADS, find_file

    for name in arguments.names:
        print(f"{name}: {find_file(name, OFFICIAL_ENCODERS | OFFICIAL_HEADS)}")
    return 0
