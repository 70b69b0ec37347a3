# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Write the label space files of Hydra and Khronos for a label set."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "write the label space files of Hydra and Khronos for a label set"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the label set and where to write."""
    parser.add_argument(
        "label_set",
        metavar="LABEL_SET",
        help="a shipped label set such as demo, or a file",
    )
    parser.add_argument(
        "--out", type=Path, default=Path(), help="folder to write to (default: the current one)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the files and print their paths.

    Raises:
        ValueError: There is no such label set.
    """
    from concerto_ros.labels.label_set import LabelSet
    from concerto_ros.objects.finding.label_space import write_label_space

    labels = LabelSet.load(arguments.label_set)
    for path in write_label_space(labels, arguments.out, labels.name):
        print(path)
    return 0
