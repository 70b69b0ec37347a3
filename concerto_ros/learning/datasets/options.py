# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The options of a command that reads a data set, the same wherever one does."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from concerto_ros.learning.datasets import LAYOUTS


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """Options that say how the data set ``arguments.data`` is read."""
    data = parser.add_argument_group("data set")
    data.add_argument(
        "--layout",
        default="auto",
        choices=["auto", *LAYOUTS],
        help="how the files lie (default auto: told by the files)",
    )
    data.add_argument(
        "--label-map",
        help="what the values in the files mean: a label map (.yaml), a label set (.yaml), or the"
        " name of a shipped label set (default: label_map.yaml in the folder, the data set's own"
        " classes, or classes without names)",
    )
    data.add_argument(
        "--ignore-index",
        type=int,
        nargs="+",
        metavar="VALUE",
        help="values in the files that are not learned (default -1 255, and what the data set's"
        " publishers leave out)",
    )
    data.add_argument("--label-field", help="name of the labels' array or property in the files")
    data.add_argument(
        "--holdout",
        type=float,
        default=0.2,
        help="share held out for validation where there is no folder val (default 0.2)",
    )
    data.add_argument(
        "--accumulate",
        type=int,
        default=1,
        help="frames of a bag, or scans of a sequence, fused into one (default 1)",
    )
    data.add_argument(
        "--map", type=Path, help="labelled .ply of a bag's place (default: the one beside it)"
    )
    data.add_argument("--map-frame", help="frame of the map (default: the root of the bag's TF)")
    data.add_argument(
        "--every", type=float, default=1.0, help="seconds between frames of a bag (default 1)"
    )
    data.add_argument(
        "--tolerance",
        type=float,
        default=0.1,
        help="metres within which a point takes the map's label (default 0.1)",
    )


def data_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """The same options as keyword arguments of ``open_dataset``."""
    names = ("layout", "label_map", "ignore_index", "label_field", "holdout", "accumulate")
    names += ("map_frame", "every", "tolerance")
    return {name: getattr(arguments, name) for name in names} | {"map_file": arguments.map}
