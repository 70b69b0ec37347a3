# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``concerto-ros train adapt``: an encoder learns from your recordings, without labels."""

from __future__ import annotations

import argparse

from concerto_ros.cli.shared.scan_arguments import load_encoder_for
from concerto_ros.cli.train import pretrain

HELP = "an encoder learns from your own recordings, without labels"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the options."""
    parser.description = (
        "Go on training an encoder on your own recordings, without labels, and keep the result"
        " only where the judge does not find it worse. See docs/pretraining.md."
    )
    pretrain.add_common_arguments(parser, "adapt")
    parser.add_argument(
        "--no-distillation",
        dest="distillation",
        action="store_false",
        help="do not keep the features of the encoder at the start",
    )


def run(arguments: argparse.Namespace) -> int:
    """Train, measure before and after, and write the encoder where it is not worse."""
    encoder, voxel_size = load_encoder_for(arguments)
    return pretrain.train(arguments, encoder, voxel_size, refuse=True)
