# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Arguments that ``train`` and ``evaluate`` share: the labelled scans and the encoder's input."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from concerto_ros.cli.shared.former_names import add_former_name

if TYPE_CHECKING:
    from concerto_ros.learning.data.formats import Cached
    from concerto_ros.ptv3 import Encoder


def load_encoder_for(arguments: argparse.Namespace) -> tuple[Encoder, float]:
    """Load the encoder of ``--checkpoint`` onto ``--device``.

    Returns:
        The encoder, and the voxel size in metres: ``--voxel-size``, else the one that the encoder
        was trained with, else the preset's.

    Raises:
        ValueError: For a voxel size out of range, or a checkpoint that cannot be used.
    """
    from concerto_ros.ptv3 import load_encoder
    from concerto_ros.ptv3.kernels.usable_device import device_named
    from concerto_ros.segmentation.model_options import grid_size_for
    from concerto_ros.settings.presets import PRESETS

    encoder = load_encoder(
        arguments.checkpoint, preset=arguments.preset, device=device_named(arguments.device)
    )
    preset = PRESETS[arguments.preset].voxel_size
    voxel_size = arguments.voxel_size or grid_size_for(encoder, arguments.preset) or preset
    if not 0 < voxel_size < 10:
        raise ValueError(f"--voxel-size: got {voxel_size}, expected metres above 0 and below 10")
    return encoder, voxel_size


class ScanOpener:
    """Opens the data set that the options of a command describe.

    Args:
        arguments: Parsed options of :func:`add_data_arguments` and :func:`add_input_arguments`.
        voxel_size: In metres; normals are estimated at this scale.
    """

    def __init__(self, arguments: argparse.Namespace, voxel_size: float):
        self.arguments, self.voxel_size = arguments, voxel_size
        self._options = data_options(arguments)

    def open(self, split: str, path: Path | None = None) -> Cached:
        """Open the scans of a split; they are kept in memory while they fit.

        Args:
            split: ``train``, ``val``, ``test`` or ``all``.
            path: Another folder, of which all scans are opened instead. Its labels are read with
                the label map of the data set that was opened before.
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
    """Define how scans become model input, and the device."""
    from concerto_ros.settings.presets import PRESETS

    parser.add_argument(
        "--preset",
        choices=list(PRESETS),
        default="indoor",
        help="parameter preset: which bundled model demo is, and voxel size and input convention"
        " (scale and origin of coordinates) of encoders whose file does not store theirs"
        " (default indoor)",
    )
    parser.add_argument(
        "--voxel-size",
        type=float,
        metavar="METRES",
        help="edge length of a voxel (default: the one the encoder was trained with, else the"
        " preset's)",
    )
    parser.add_argument(
        "--no-fitted-normals",
        action="store_true",
        help="do not estimate the normals of scans that have none; use it where the node runs with"
        " estimate_normals false",
    )
    parser.add_argument(
        "--device", default="auto", help="auto, cpu, cuda or cuda:N (default auto)"
    )


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """Define how the labelled scans of ``arguments.data`` are read."""
    from concerto_ros.learning.data.layout_names import LAYOUT_NAMES

    data = parser.add_argument_group("data set")
    data.add_argument(
        "--layout",
        default="auto",
        choices=["auto", *LAYOUT_NAMES],
        help="file layout of the data set, see docs/training.md (default auto: detected)",
    )
    data.add_argument(
        "--label-map",
        metavar="MAP",
        help="meaning of the label values in the files: a label map (.yaml), a label set (.yaml)"
        " or the name of a bundled label set such as scannet20 (default: label_map.yaml in the"
        " folder, else the data set's published classes, else one unnamed class per value)",
    )
    data.add_argument(
        "--ignore-index",
        type=int,
        nargs="+",
        metavar="VALUE",
        help="label values that are neither learned nor measured (default -1, 255 and those that"
        " the publishers of the data set ignore)",
    )
    data.add_argument(
        "--label-field",
        metavar="NAME",
        help="array (.npz) or property (.ply) with the labels, where it has an unusual name",
    )
    data.add_argument(
        "--holdout",
        type=float,
        default=0.2,
        metavar="SHARE",
        help="share of the scans that is kept for validation where there is no folder val"
        " (default 0.2)",
    )
    data.add_argument(
        "--intensity-white",
        type=float,
        default=0.0,
        metavar="N",
        help="the intensity of the points takes the place of colours, as grey, and N and all above"
        " are white, such as 255 for nuScenes and 1 for SemanticKITTI; the node and segment have a"
        " parameter of this name (default 0: colours are colours)",
    )
    data.add_argument(
        "--subset",
        metavar="LIST",
        help="train on few scenes (scenes1, scenes5, scenes10, scenes20: percent) or few labelled"
        " points per scene (points20, points50, points100, points200) by the lists of ScanNet's"
        " data-efficient benchmark in the folder tasks of the data set, or by another list file",
    )
    frames = data.add_argument(
        "--frames-per-scan",
        type=int,
        default=1,
        metavar="N",
        help="consecutive frames of a bag or sequence that are fused into one scan (default 1)",
    )
    add_former_name(data, "--accumulate", frames)
    data.add_argument(
        "--map",
        type=Path,
        metavar="PLY",
        help="labelled .ply map that the points of a bag take their labels from (default: the .ply"
        " beside the bag)",
    )
    data.add_argument(
        "--map-frame",
        metavar="FRAME",
        help="TF frame of the labelled map (default: the root of the bag's TF tree)",
    )
    data.add_argument(
        "--every",
        type=float,
        default=1.0,
        metavar="SECONDS",
        help="time between the frames that are taken from a bag (default 1)",
    )
    data.add_argument(
        "--tolerance",
        type=float,
        default=0.1,
        metavar="METRES",
        help="largest distance of a bag's point to the map point that gives it its label"
        " (default 0.1)",
    )


def data_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """The options of :func:`add_data_arguments` as keyword arguments of ``open_dataset``."""
    options = {
        name: getattr(arguments, name)
        for name in (
            "layout",
            "label_map",
            "ignore_index",
            "label_field",
            "holdout",
            "map_frame",
            "every",
            "tolerance",
            "subset",
            "intensity_white",
        )
    }
    return options | {"accumulate": arguments.frames_per_scan, "map_file": arguments.map}
