# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``concerto-ros objects verify``: reference cases, array by array."""

from __future__ import annotations

import argparse
from pathlib import Path

from concerto_ros.cli.shared.comparison_table import print_comparisons

HELP = "compare encoders with the reference, case by case"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the folder of cases and the device."""
    parser.description = (
        "Run the reference cases of a folder and print for each array the worst"
        " deviation as a multiple of its tolerance. Exit status 1 on any miss or unknown case."
    )
    parser.add_argument(
        "folder",
        type=Path,
        help="folder with the reference cases of one model, or a folder of such folders",
    )
    parser.add_argument("--device", default="cpu", help="auto, cpu or cuda (default cpu)")


def run(arguments: argparse.Namespace) -> int:
    """Print the table; return 1 where anything missed."""
    from concerto_ros.ptv3.kernels.usable_device import device_named
    from concerto_ros.verification.cases import verify

    return print_comparisons(verify(arguments.folder, device_named(arguments.device)))
