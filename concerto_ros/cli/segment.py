# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Label one cloud without ROS: writes FILE_labels.ply, FILE_labels.png and FILE_pca.png.

The cloud is in metres with z up; --up says otherwise, e.g. --up=-y for a camera's optical axes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

HELP = "label a .ply, .pcd, .npz or .las file"

AXES = {"x": 0, "y": 1, "z": 2}

#: Options that are parameters of the same name.
SETTINGS = (
    "preset",
    "voxel_size",
    "checkpoint",
    "head",
    "label_set",
    "device",
    "precision",
    "backend",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The cloud, the model and where to write."""
    from concerto_ros.settings.settings import DEFAULTS, about

    parser.add_argument("file", type=Path, help="cloud in metres")
    parser.add_argument(
        "--out", type=Path, help="folder for the results (default: beside the file)"
    )
    parser.add_argument(
        "--up",
        default="z",
        choices=[sign + axis for sign in ("", "-") for axis in AXES],
        help="axis of the file that points up (default z)",
    )
    parser.add_argument(
        "--sensor",
        nargs=3,
        type=float,
        metavar=("X", "Y", "Z"),
        help="where the sensor was, which fitted normals face"
        " (default: a .pcd's viewpoint, else the middle of the cloud)",
    )
    for name in SETTINGS:
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=type(DEFAULTS[name]),
            default=DEFAULTS[name],
            help=about(name).text,
        )


def run(arguments: argparse.Namespace) -> int:
    """Label and write."""
    from PIL import Image

    from concerto_ros.pipeline import SemanticPipeline
    from concerto_ros.sensors.cloud_files import read_cloud_file
    from concerto_ros.sensors.ply import write_labelled_ply
    from concerto_ros.settings.settings import Settings
    from concerto_ros.viz.cloud_picture import render_cloud, sensor_view

    file = read_cloud_file(arguments.file)
    turn = upright(arguments.up)
    cloud = file.frame.transformed(turn, np.zeros(3), file.frame.frame_id)
    origin = cloud.origin if arguments.file.suffix.lower() == ".pcd" else None
    if arguments.sensor:
        origin = turn @ (np.array(arguments.sensor) - file.offset)
    settings = Settings(**{name: getattr(arguments, name) for name in SETTINGS})
    pipeline = SemanticPipeline.from_settings(settings)
    prediction = pipeline.segment(cloud.points, cloud.colors, cloud.normals, origin=origin)

    folder = arguments.out or arguments.file.parent
    folder.mkdir(parents=True, exist_ok=True)
    stem = folder / arguments.file.stem
    rgb = pipeline.labels.palette[prediction.label]
    written = [Path(f"{stem}_labels.ply"), Path(f"{stem}_labels.png"), Path(f"{stem}_pca.png")]
    write_labelled_ply(
        written[0],
        file.frame.points + file.offset if file.offset.any() else file.frame.points,
        rgb,
        label=prediction.label,
        confidence=prediction.confidence,
        comment=prediction.model,
    )
    for path, colors, what in (
        (written[1], rgb, "labels"),
        (written[2], prediction.pca_rgb, "PCA"),
    ):
        # A single scan has no points on the far side of things: look at it from the sensor.
        view = None if origin is None else sensor_view(prediction.points, origin)
        picture = render_cloud(
            prediction.points, colors, view_from=view, title=f"{what}: {prediction.model}"
        )
        Image.fromarray(picture).save(path)
    total = len(prediction.label)
    print(f"{arguments.file.name}: {total} points, model {prediction.model}")
    for entry in prediction.classes:
        share = np.count_nonzero(prediction.label == entry.id) / total
        if share:
            print(f"  {entry.name:<20} {share:6.1%}")
    print("  ".join(f"{stage} {spent:.0f} ms" for stage, spent in prediction.stage_ms.items()))
    print("wrote " + ", ".join(str(path) for path in written))
    return 0


def upright(up: str) -> np.ndarray:
    """The (3, 3) rotation that turns the axis ``up``, e.g. ``-y``, to z.

    A camera's optical axes (x right, y down, z forward) become x forward, y left, z up.
    """
    optical = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
    if up == "-y":
        return optical
    axis = np.zeros(3)
    axis[AXES[up[-1]]] = -1.0 if up.startswith("-") else 1.0
    if up == "z":
        return np.eye(3)
    if up == "-z":
        return np.diag([1.0, -1.0, -1.0])
    # The next axis in the cycle stays horizontal and becomes x.
    forward = np.roll(np.abs(axis), 1)
    return np.stack([forward, np.cross(axis, forward), axis])
