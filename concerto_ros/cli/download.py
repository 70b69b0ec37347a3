# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Download official checkpoints, heads, text encoders and depth models into the local cache.

The node reads them from there and never downloads anything itself: a robot starts the same with
and without a network.
"""

from __future__ import annotations

import argparse

HELP = "download official checkpoints, heads, text encoders and depth models"

#: Those of object encoders, and those for words; written here, as they are known to PyTorch only.
TEXT_ENCODERS = ("recon_words", "mixcon3d_words", "open_clip:MODEL/WEIGHTS", "siglip2:MODEL")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the names to download."""
    from concerto_ros.settings.published_models import DEPTH_MODELS, ENCODERS, HEADS

    encoders = [model.name for model in ENCODERS if model.repository]
    depth = [model.name for model in DEPTH_MODELS]
    names = [*encoders, *HEADS, *TEXT_ENCODERS, *depth]
    parser.add_argument("names", nargs="+", metavar="NAME", help=f"one of: {', '.join(names)}")


def run(arguments: argparse.Namespace) -> int:
    """Download each file, unless it is in the cache, and print its path."""
    from concerto_ros.objects.words import text_encoder as object_words
    from concerto_ros.posed.depth_models.loading import fetch_depth_model
    from concerto_ros.ptv3.official_files import OFFICIAL_ENCODERS, OFFICIAL_HEADS, find_file
    from concerto_ros.settings.published_models import DEPTH_MODELS
    from concerto_ros.words.text_encoder import fetch_text_encoder

    depth_models = {model.name for model in DEPTH_MODELS}
    for name in arguments.names:
        if name in depth_models:
            print(f"{name}: {fetch_depth_model(name)}")
        elif name in object_words.DOWNLOADS:
            where = object_words.fetch_text_encoder(object_words.DOWNLOADS[name])
            print(f"{name}: {where}")
        elif ":" in name:
            print(f"{name}: {fetch_text_encoder(name)}")
        else:
            print(f"{name}: {find_file(name, OFFICIAL_ENCODERS | OFFICIAL_HEADS)}")
    return 0
