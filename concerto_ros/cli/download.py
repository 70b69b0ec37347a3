# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Download official checkpoints, heads and text encoders into the local cache.

The node reads them from there and never downloads anything itself: a robot starts the same with
and without a network.
"""

from __future__ import annotations

import argparse

HELP = "download official checkpoints, heads and text encoders"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the names to download."""
    from concerto_ros.objects.words.text_encoder import DOWNLOADS
    from concerto_ros.ptv3.official_files import OFFICIAL_ENCODERS, OFFICIAL_HEADS

    names = [*OFFICIAL_ENCODERS, *OFFICIAL_HEADS, *DOWNLOADS]
    parser.add_argument("names", nargs="+", metavar="NAME", help=f"one of: {', '.join(names)}")


def run(arguments: argparse.Namespace) -> int:
    """Download each file, unless it is in the cache, and print its path."""
    from concerto_ros.objects.words.text_encoder import DOWNLOADS, fetch_text_encoder
    from concerto_ros.ptv3.official_files import OFFICIAL_ENCODERS, OFFICIAL_HEADS, find_file

    for name in arguments.names:
        if name in DOWNLOADS:
            print(f"{name}: {fetch_text_encoder(DOWNLOADS[name])}")
        else:
            print(f"{name}: {find_file(name, OFFICIAL_ENCODERS | OFFICIAL_HEADS)}")
    return 0
