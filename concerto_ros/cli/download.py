# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Fetch official checkpoints, heads and text encoders into the local cache for the node to find.

The node itself never downloads: a robot starts the same with and without a network.
"""

from __future__ import annotations

import argparse

HELP = "fetch official checkpoints, heads and text encoders"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The names to fetch."""
    from concerto_ros.objects.words.text_encoder import DOWNLOADS
    from concerto_ros.ptv3.checkpoint import OFFICIAL_ENCODERS, OFFICIAL_HEADS

    names = [*OFFICIAL_ENCODERS, *OFFICIAL_HEADS, *DOWNLOADS]
    parser.add_argument("names", nargs="+", metavar="NAME", help=f"one of {', '.join(names)}")


def run(arguments: argparse.Namespace) -> int:
    """Fetch each and print where it lies."""
    from concerto_ros.objects.words.text_encoder import DOWNLOADS, fetch_text_encoder
    from concerto_ros.ptv3.checkpoint import OFFICIAL_ENCODERS, OFFICIAL_HEADS, find_file

    for name in arguments.names:
        if name in DOWNLOADS:
            path = fetch_text_encoder(DOWNLOADS[name])
        else:
            path = find_file(name, OFFICIAL_ENCODERS | OFFICIAL_HEADS)
        print(f"{name}: {path}")
    return 0
