# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the bundled models are measured on: scans as they are, with less, and changed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from concerto_ros.labels.confusion import Confusion
from concerto_ros.labels.label_set import UNLABELLED
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.learning.demo_model.recipe import Recipe
from concerto_ros.learning.demo_model.rooms import thinned
from concerto_ros.learning.methods.segmenter import Segmenter
from concerto_ros.segmentation.level import find_level
from concerto_ros.sim.mesh import rotation_about

Change = Callable[[Scan], Scan]


def as_it_is(scan: Scan) -> Scan:
    """The scan itself."""
    return scan


def without_colors(scan: Scan) -> Scan:
    """Only points and normals."""
    return replace(scan, colors=None)


def without_normals(scan: Scan) -> Scan:
    """Only points and colours."""
    return replace(scan, normals=None)


def points_alone(scan: Scan) -> Scan:
    """Neither colours nor normals."""
    return replace(scan, colors=None, normals=None)


def scaled(factor: float) -> Change:
    """Multiply the coordinates."""
    return lambda scan: replace(scan, points=scan.points * np.float32(factor))


def tilted(degrees: float) -> Change:
    """Tilt about a horizontal axis through the origin, which a seed of the scan's name draws."""

    def change(scan: Scan) -> Scan:
        heading = np.random.default_rng(list(scan.name.encode())).uniform(0, 2 * np.pi)
        turn = rotation_about("z", heading)
        matrix = (turn @ rotation_about("x", np.radians(degrees)) @ turn.T).astype(np.float32)
        normals = None if scan.normals is None else scan.normals @ matrix.T
        return replace(scan, points=scan.points @ matrix.T, normals=normals)

    return change


def levelled(scan: Scan, voxel_size: float) -> Scan:
    """The scan turned level by its ground, as ``concerto-ros segment`` turns it."""
    found = find_level(scan.points, voxel_size)
    if found is None:
        return scan
    turn, shift = found.rotation.astype(np.float32), found.translation.astype(np.float32)
    normals = None if scan.normals is None else scan.normals @ turn.T
    return replace(scan, points=scan.points @ turn.T + shift, normals=normals)


@dataclass(frozen=True)
class Columns:
    """What the scans of a bundled model's table are.

    Attributes:
        changed: Name and change of each column of the sorts in ``main``; the first one is that of
            scans as they are.
        shown: Position of a scan among those of its scene, and the seeds of scenes with much to
            see, for the page's picture.
        main: The sorts of scans with these columns; empty: all sorts.
        others: Name of the column of each other sort.
    """

    changed: Mapping[str, Change]
    shown: tuple[int, tuple[int, ...]]
    main: tuple[str, ...] = ()
    others: Mapping[str, str] = field(default_factory=dict)


#: By preset.
COLUMNS = {
    "indoor": Columns(
        {
            "colour + normals": as_it_is,
            "no colour": without_colors,
            "no normals": without_normals,
            "neither": points_alone,
            "sparse": thinned,
        },
        shown=(-2, (7, 9, 10)),
        main=("view", "views"),
        others={"close": "close view", "mesh": "mesh", "lidar": "LiDAR"},
    ),
    "outdoor": Columns(
        {
            "as scanned": as_it_is,
            "neither colour nor normals": points_alone,
            "sparse": thinned,
        },
        shown=(2, (20_001, 20_002, 20_003)),
        others={"aerial": "aerial survey", "tripod": "tripod", "camera": "camera"},
    ),
}


@dataclass(frozen=True)
class Shift:
    """How scans differ from what a model is used to.

    Attributes:
        change: Of each scan.
        size: Of the voxels, as a share of the model's.
        level: Whether they are levelled before they are labelled.
    """

    change: Change = as_it_is
    size: float = 1.0
    level: bool = False


SHIFTS = {
    "voxels of 3/4 the size": Shift(size=0.75),
    "voxels of 5/4 the size": Shift(size=1.25),
    "scale 0.85": Shift(scaled(0.85)),
    "scale 1.18": Shift(scaled(1.18)),
    "tilt 10 degrees, levelled as by `segment`": Shift(tilted(10), level=True),
    "tilt 10 degrees, not levelled": Shift(tilted(10)),
}


def sort_of(scan: Scan) -> str:
    """The sort of a simulated scan: the last part of its name, without a number."""
    return re.sub(r"\d+$", "", scan.name.rsplit("-", 1)[-1])


@torch.inference_mode()
def label(model: Segmenter, scan: Scan, recipe: Recipe, size: float = 1.0) -> np.ndarray:
    """The predicted label of each point.

    Args:
        model: In evaluation mode.
        scan: The scan.
        recipe: Of the model.
        size: Of the voxels, as a share of the model's.

    Returns:
        (N,) uint8, the label of the point's voxel; 255: below the floor.
    """
    collate = replace(recipe, voxel_size=size * recipe.voxel_size).collate()
    batch = collate([scan], None)
    labels = model(batch).argmax(1).numpy().astype(np.uint8)
    return batch.at_points(labels, fill=UNLABELLED)


def measure(
    model: Segmenter, recipe: Recipe, scans: Iterable[Scan], shifts: bool = True
) -> dict[str, Confusion]:
    """Evaluate a model at the points of scans.

    Args:
        model: In evaluation mode.
        recipe: Of the model.
        scans: Simulated scans.
        shifts: Whether to evaluate at :data:`SHIFTS` as well.

    Returns:
        A confusion matrix for each column of :data:`COLUMNS` and each of the shifts.
    """
    columns = COLUMNS[recipe.preset]
    changes = {name: Shift(change) for name, change in columns.changed.items()}
    changes |= SHIFTS if shifts else {}
    scores = {n: Confusion(len(recipe.classes)) for n in (*changes, *columns.others.values())}
    for scan in scans:
        sort = sort_of(scan)
        if sort in columns.others:
            scores[columns.others[sort]].add(label(model, scan, recipe), scan.labels)
        elif not columns.main or sort in columns.main:
            for name, shift in changes.items():
                changed = shift.change(scan)
                if shift.level:
                    changed = levelled(changed, recipe.voxel_size)
                scores[name].add(label(model, changed, recipe, shift.size), changed.labels)
    return scores
