# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Label one point cloud file without ROS.

Writes FILE_labels.ply and .png, coloured by class, and FILE_pca.ply and .png, by features.

Reads .ply, .pcd, .las, .laz, .e57, .npz, .npy, .bin (KITTI), .xyz, .txt, .csv, .pts, .asc and the
vertices of .obj, .glb, .gltf, .stl and .off. Points that are not finite are left out.

The cloud is expected in metres with z up; use --up for other axes, e.g. --up=-y for the optical
frame of a camera (x right, y down, z forward). A scan that is tilted by 1 to 20 degrees is turned
level for the model by the ground it stands on; the results stay in the coordinates of the file.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from concerto_ros.cli.shared.feature_file import (
    add_feature_arguments,
    check_feature_arguments,
    feature_question,
    write_features,
)
from concerto_ros.cli.shared.labelled_cloud import (
    print_shares,
    print_times_and_files,
    write_labelled_cloud,
)
from concerto_ros.cli.shared.word_arguments import add_word_arguments, word_settings

if TYPE_CHECKING:
    from concerto_ros.heads.similarity import FeatureQuery
    from concerto_ros.labels.prediction import Prediction
    from concerto_ros.pipeline import SemanticPipeline
    from concerto_ros.sensors.cloud_files import CloudFile
    from concerto_ros.sensors.frame import Frame
    from concerto_ros.settings.settings import Settings

HELP = "label a point cloud file (.ply, .pcd, .las, .e57, .csv and others), no ROS needed"

AXES = {"x": 0, "y": 1, "z": 2}

#: Options that are parameters of the node under the same name.
SETTINGS = (
    "preset",
    "voxel_size",
    "intensity_white",
    "floor_height",
    "unfamiliar",
    "checkpoint",
    "head",
    "exported",
    "label_set",
    "device",
    "precision",
    "backend",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the cloud, the model and where to write."""
    parser.add_argument("file", type=Path, help="point cloud in metres")
    add_cloud_arguments(parser)
    parser.add_argument(
        "--instances",
        action="store_true",
        help="FILE_labels.ply gets the property instance as well: the objects, numbered from 1;"
        " 0: none",
    )
    add_word_arguments(parser, names=True)
    add_feature_arguments(parser)


def add_cloud_arguments(parser: argparse.ArgumentParser) -> None:
    """Define how a cloud file is read, the model, and where to write."""
    parser.add_argument(
        "-o", "--out", type=Path, help="folder for the results (default: that of the file)"
    )
    add_reading_arguments(parser)
    add_setting_arguments(parser)


def add_reading_arguments(parser: argparse.ArgumentParser) -> None:
    """Define how a cloud file is read."""
    parser.add_argument(
        "--up",
        default="z",
        choices=[sign + axis for sign in ("", "-") for axis in AXES],
        help="axis of the file that points up (default z)",
    )
    parser.add_argument(
        "--no-level",
        action="store_true",
        help="do not turn a tilted scan level: what looks like its ground is a slope",
    )
    parser.add_argument(
        "--sensor",
        nargs=3,
        type=float,
        metavar=("X", "Y", "Z"),
        help="position of the sensor in the file's coordinates; estimated normals point towards it"
        " (default: the viewpoint of a .pcd file or the pose of an .e57 scan, else the middle of"
        " the cloud)",
    )
    for name in ("color", "normal"):
        parser.add_argument(
            f"--no-{name}", action="store_true", help=f"the model sees no {name}s, as if unknown"
        )


def add_setting_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the model."""
    from concerto_ros.settings.settings import DEFAULTS, about

    for name in SETTINGS:
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=type(DEFAULTS[name]),
            default=DEFAULTS[name],
            help=about(name).text,
        )


def run(arguments: argparse.Namespace) -> int:
    """Label the cloud, write the results and print the share of each class.

    Returns:
        The exit status: 1 where no point got a label because the model's output is not finite.
    """
    from concerto_ros.labels.label_set import UNLABELLED
    from concerto_ros.pipeline import SemanticPipeline
    from concerto_ros.viz.cloud_picture import sensor_view

    check_feature_arguments(arguments)
    settings = settings_of(arguments)
    file, cloud, origin = read_upright(arguments)
    # Before the model runs: a folder that cannot be made must not cost its work.
    folder = arguments.out or arguments.file.parent
    folder.mkdir(parents=True, exist_ok=True)
    pipeline = SemanticPipeline.from_settings(settings)
    question = feature_question(arguments, pipeline)
    prediction = segmented(
        pipeline, arguments, cloud, origin, question, instances=arguments.instances
    )

    # A single scan has no points on the far side of objects: render it from the sensor.
    view = None if origin is None else sensor_view(prediction.points, origin)
    palette = pipeline.labels.palette
    stem = folder / arguments.file.stem
    written = write_labelled_cloud(stem, file.points, prediction, palette, view)
    if arguments.features is not None:
        written.append(write_features(arguments, file.points, prediction, pipeline))
    total, has_label = len(prediction.label), prediction.label != UNLABELLED
    print(f"{arguments.file.name}: {total} points, model {prediction.model}")
    print(unlabelled_text(prediction, file.not_finite))
    if prediction.tilt:
        degrees = np.degrees(prediction.tilt)
        print(f"levelled by {degrees:.1f} degrees (--no-level takes the scan as it is)")
    print_shares(prediction, settings.preset)
    print_times_and_files(prediction, written)
    # A file without a single label is no result.
    return 1 if prediction.not_finite and not has_label.any() else 0


def settings_of(arguments: argparse.Namespace) -> Settings:
    """Return the parameters that the options of a command name.

    Raises:
        ValueError: a value is not accepted.
    """
    from concerto_ros.settings.settings import Settings

    own = {name: getattr(arguments, name) for name in SETTINGS}
    if arguments.no_normal:
        own["estimate_normals"] = False
    return Settings.from_mapping(own | word_settings(arguments))


def read_upright(arguments: argparse.Namespace) -> tuple[CloudFile, Frame, np.ndarray | None]:
    """Read the cloud of a command.

    Returns:
        The file, its cloud with z up, and (3,) the position of the sensor in that, metres; None
            where it is not known.

    Raises:
        ValueError: the file is damaged, or of no known format.
        OSError: it cannot be read.
    """
    from concerto_ros.sensors.cloud_files import read_cloud_file
    from concerto_ros.sensors.intensity import with_intensity_shown

    file = read_cloud_file(arguments.file)
    rotation = upright(arguments.up)
    cloud = file.frame.transformed(rotation, np.zeros(3), file.frame.frame_id)
    if arguments.intensity_white and cloud.intensity is None:
        raise ValueError(
            f"{arguments.file}: has no intensity, expected one per point, as --intensity-white is"
            f" {arguments.intensity_white:g}"
        )
    cloud = with_intensity_shown(cloud, arguments.intensity_white)
    if arguments.no_color:
        cloud = replace(cloud, colors=None)
    if arguments.no_normal:
        cloud = replace(cloud, normals=None)
    origin = None if file.sensor is None else cloud.origin
    if arguments.sensor:
        origin = rotation @ (np.array(arguments.sensor) - file.offset)
    return file, cloud, origin


def segmented(
    pipeline: SemanticPipeline,
    arguments: argparse.Namespace,
    cloud: Frame,
    origin: np.ndarray | None,
    question: FeatureQuery | None,
    *,
    instances: bool = False,
) -> Prediction:
    """Return the prediction of a cloud of :func:`read_upright`, levelled as the command says."""
    return pipeline.segment(
        cloud.points,
        cloud.colors,
        cloud.normals,
        origin=origin,
        level=not arguments.no_level,
        question=question,
        instances=instances,
    )


def unlabelled_text(prediction: Prediction, left_out: int) -> str:
    """Say how many points have no label, and why.

    Args:
        prediction: The prediction of the cloud.
        left_out: Points of the file that are not finite, and not in the prediction.
    """
    meanings = {
        "not_finite": "not finite",
        "stray": "far from the others",
        "below_floor": "alone below the floor",
        "output_not_finite": "for which the output of the model is not finite",
        "unfamiliar": "not like what the model was trained on",
        "no_word": "that no word matches well enough",
        "no_score": "without a score of the model",
    }
    counts = prediction.unlabelled
    reasons = [f"{counts[reason]} {text}" for reason, text in meanings.items() if reason in counts]
    if left_out:
        reasons.append(f"{left_out} more not finite and left out of the results")
    without = sum(counts.values())
    shown = f"no label: {without} of {len(prediction.label)} points"
    return f"{shown} ({', '.join(reasons)})" if reasons else shown


def upright(up: str) -> np.ndarray:
    """The (3, 3) rotation that turns the axis ``up`` to z.

    Args:
        up: ``x``, ``y`` or ``z``, or one of them after a minus sign. ``-y``, a camera's optical
            axes (x right, y down, z forward), become x forward, y left, z up (REP-103).
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
