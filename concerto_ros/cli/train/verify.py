# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``concerto-ros train verify``: the pre-training on reference cases, array by array."""

from __future__ import annotations

import argparse
from pathlib import Path

from concerto_ros.cli.shared.comparison_table import print_comparisons

HELP = "compare the steps of the pre-training with the reference, case by case"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the folder of cases."""
    parser.description = (
        "Run the reference cases of a folder and print for each array the worst deviation as a"
        " multiple of its tolerance. Exit status 1 on any miss or unknown case."
    )
    parser.add_argument("folder", type=Path, help="folder with meta.json and its files of arrays")


def run(arguments: argparse.Namespace) -> int:
    """Print the table; return 1 where anything missed."""
    from concerto_ros.verification.pretraining.cases import verify

    return print_comparisons(verify(arguments.folder))
