# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Compare two scans by their features: what in both is like one point of the first.

Writes A_and_B.png: both clouds side by side, brighter where more alike, with the point in green in
A and its best match in green in B, as the figures of the papers of Sonata and Concerto show it.
Prints the best match and how alike it is.

  concerto-ros compare kitchen.ply office.ply --at 1.2 0.4 0.8
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from concerto_ros.cli.segment import (
    add_reading_arguments,
    add_setting_arguments,
    read_upright,
    segmented,
    settings_of,
    upright,
)

if TYPE_CHECKING:
    from concerto_ros.pipeline import SemanticPipeline

HELP = "show what in two point cloud files is like one point of the first"

#: Colour of the point and its match, which no cosine has; and within how many metres.
_MARK, _RADIUS = (40, 200, 90), 0.06


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the clouds, the point, the model and where to write."""
    parser.add_argument("first", type=Path, metavar="A", help="point cloud in metres")
    parser.add_argument("second", type=Path, metavar="B", help="point cloud in metres")
    parser.add_argument(
        "--at",
        nargs=3,
        type=float,
        required=True,
        metavar=("X", "Y", "Z"),
        help="the point, in the coordinates of A; the nearest one of the cloud is taken",
    )
    parser.add_argument(
        "-o", "--out", type=Path, help="folder for the picture (default: that of A)"
    )
    add_reading_arguments(parser)
    add_setting_arguments(parser)


@dataclass(frozen=True, eq=False)
class _Side:
    """A cloud with its cosines: (N, 3) points z up, (N, 3) as in the file, (N,) cosines."""

    points: np.ndarray
    given: np.ndarray
    cosine: np.ndarray


def run(arguments: argparse.Namespace) -> int:
    """Compare, print the best match and write the picture.

    Raises:
        ValueError: a file cannot be used, the point is not at the first cloud, or its features are
            not finite.
    """
    from PIL import Image

    from concerto_ros.pipeline import SemanticPipeline

    if not np.isfinite(arguments.at).all():
        given = " ".join(map(str, arguments.at))
        raise ValueError(f"--at: got {given}, expected three finite numbers, metres")
    if not arguments.second.exists():  # before the first cloud costs time
        raise ValueError(f"{arguments.second} does not exist, expected a point cloud file")
    pipeline = SemanticPipeline.from_settings(settings_of(arguments))
    chosen, first, like = _chosen(pipeline, arguments)
    folder = arguments.out or arguments.first.parent
    folder.mkdir(parents=True, exist_ok=True)
    second = _compared(pipeline, arguments, like)
    if not np.isfinite(second.cosine).any():
        raise ValueError(f"{arguments.second}: no point has finite features")
    best = int(np.nanargmax(second.cosine))
    picture = folder / f"{arguments.first.stem}_and_{arguments.second.stem}.png"
    halves = [
        _drawn(side, at, path.name)
        for side, at, path in (
            (first, chosen, arguments.first),
            (second, best, arguments.second),
        )
    ]
    Image.fromarray(np.concatenate(halves, axis=1)).save(picture)
    for name, side, row in (("point", first, chosen), ("match", second, best)):
        place = " ".join(f"{value:.2f}" for value in side.given[row])
        print(f"{name}: {place}, cosine {side.cosine[row]:.3f}")
    known = second.cosine[np.isfinite(second.cosine)]
    print(f"median of {arguments.second.name}: {np.median(known):.3f}, model {pipeline.model}")
    print(f"wrote {picture}")
    return 0


def _chosen(
    pipeline: SemanticPipeline, arguments: argparse.Namespace
) -> tuple[int, _Side, np.ndarray]:
    """Return the row of the chosen point, the first cloud and the point's features."""
    from concerto_ros.heads.similarity import FeatureQuery
    from concerto_ros.pipeline import REACH

    arguments.file = arguments.first
    file, cloud, origin = read_upright(arguments)
    at = upright(arguments.up) @ (np.array(arguments.at) - file.offset)
    distance = np.linalg.norm(cloud.points - at, axis=1)
    if not distance.min() <= REACH:
        raise ValueError(
            f"--at: got {' '.join(map(str, arguments.at))}, {distance.min():.2f} m from the"
            f" nearest point of {arguments.first}, expected one within {REACH} m"
        )
    prediction = segmented(pipeline, arguments, cloud, origin, FeatureQuery(every=True))
    features = prediction.components
    assert features is not None
    known = np.isfinite(features).all(axis=1)
    if not (known & (distance <= REACH)).any():
        raise ValueError(f"--at: no point of {arguments.first} near it has finite features")
    chosen = int(np.where(known, distance, np.inf).argmin())
    length = np.linalg.norm(features, axis=1) * np.linalg.norm(features[chosen])
    cosine = features @ features[chosen] / np.maximum(length, 1e-20)
    return chosen, _Side(cloud.points, file.points, cosine), features[chosen]


def _compared(
    pipeline: SemanticPipeline, arguments: argparse.Namespace, like: np.ndarray
) -> _Side:
    """Return the second cloud and its cosines with the features ``like``."""
    import torch

    from concerto_ros.heads.similarity import FeatureQuery

    arguments.file = arguments.second
    file, cloud, origin = read_upright(arguments)
    prediction = segmented(
        pipeline, arguments, cloud, origin, FeatureQuery(like=torch.from_numpy(like.copy()))
    )
    assert prediction.similarity is not None
    return _Side(cloud.points, file.points, prediction.similarity)


def _drawn(side: _Side, marked: int, title: str) -> np.ndarray:
    """Return the picture of a cloud, with the points about row ``marked`` in green."""
    from concerto_ros.labels.heat_colors import heat_colors
    from concerto_ros.viz.cloud_picture import render_cloud

    known = np.isfinite(side.cosine)  # the others are strays, which would be all that is seen
    points, cosine = side.points[known], side.cosine[known]
    # From the middle of the cosines up: most points of a scan are somewhat alike.
    low = float(np.median(cosine))
    rgb = heat_colors((cosine - low) / max(1.0 - low, 1e-6))
    rgb[np.linalg.norm(points - side.points[marked], axis=1) <= _RADIUS] = _MARK
    return render_cloud(points, rgb, width=800, height=640, title=title)
