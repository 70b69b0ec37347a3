# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Arguments that commands on labelled scans share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def load_encoder_for(arguments: argparse.Namespace):
    """The encoder and the voxel size in metres."""
    from concerto_ros.ptv3 import load_encoder
    from concerto_ros.segmentation.model_options import device_named
    from concerto_ros.settings.presets import PRESETS

    encoder = load_encoder(arguments.checkpoint, device=device_named(arguments.device))
    preset = PRESETS[arguments.preset].voxel_size
    voxel_size = arguments.voxel_size or encoder.grid_size or preset
    if not 0 < voxel_size < 10:
        raise ValueError(f"--voxel-size: got {voxel_size}, expected metres above 0")
    return encoder, voxel_size


class ScansOfCommand:
    """Opens the data set that a command's options name."""

    def __init__(self, arguments: argparse.Namespace, voxel_size: float):
        self.arguments, self.voxel_size = arguments, voxel_size
        self._options = data_options(arguments)

    def open(self, split: str, path: Path | None = None):
        """The scans of a split, or all of the folder ``path``; kept in memory while they fit.

        Labels mean in ``path`` what they mean in the data set opened before.
        """
        from concerto_ros.learning.data.collate import FittedNormals
        from concerto_ros.learning.data.formats import Cached, open_dataset

        data = open_dataset(
            path or self.arguments.data,
            split="all" if path else split,
            seed=self.arguments.seed,
            preset=self.arguments.preset,
            **self._options,
        )
        self._options["label_map"] = data.label_map
        if self.arguments.no_fitted_normals:
            return Cached(data)
        return Cached(FittedNormals(data, self.voxel_size))


def add_input_arguments(parser: argparse.ArgumentParser) -> None:
    """How scans become what the encoder takes; also those of ``evaluate``."""
    from concerto_ros.settings.presets import PRESETS

    parser.add_argument("--preset", choices=list(PRESETS), default="indoor", help="default indoor")
    parser.add_argument(
        "--voxel-size", type=float, help="metres (default: the encoder's own, else the preset's)"
    )
    parser.add_argument(
        "--no-fitted-normals",
        action="store_true",
        help="leave scans without normals as they are (the node: estimate_normals false)",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (default auto)")


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """Options that say how the data set ``arguments.data`` is read."""
    from concerto_ros.learning.data.formats import LAYOUTS

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
