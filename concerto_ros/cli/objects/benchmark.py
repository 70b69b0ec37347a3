# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``concerto-ros objects benchmark``: the comparison in ``docs/objects.md``."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "compare protocols and encoders on the synthetic benchmark"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add where the objects and the table are written."""
    parser.add_argument("--out", type=Path, default=Path("out/objects_demo"),
                        help="folder for cached objects and weights"
                        " (default out/objects_demo)")  # fmt: skip
    parser.add_argument("--document", type=Path, help="also write the table into this Markdown"
                        " file, between its benchmark marks")  # fmt: skip
    parser.add_argument(
        "--small", action="store_true", help="only a few steps, to check that it runs"
    )


def run(arguments: argparse.Namespace) -> int:
    """Measure and print the table."""
    from concerto_ros.learning.objects.protocols.benchmark import FULL, SMALL, measure
    from concerto_ros.learning.objects.training.scores import write_between

    text = measure(arguments.out, SMALL if arguments.small else FULL, progress=True)
    print(text)
    if arguments.document is not None:
        write_between(arguments.document, "benchmark", text)
    return 0
