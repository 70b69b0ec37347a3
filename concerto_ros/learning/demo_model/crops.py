# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Parts of a simulated scan as training sees them: a rolling map's, a camera's, a thin cloud's.

The floor of a scan is at z = 0, as in simulated rooms.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from concerto_ros.labels.label_set import UNLABELLED, LabelSet
from concerto_ros.learning.data.augment import select
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.mapping.voxel_grid import voxel_keys

#: Probability that the centre of a crop is a point of a random class instead of any point, as
#: floor and walls are most of the points.
CROP_CLASS_PROBABILITY = 0.7
#: Relative frequency of a class as the centre of a crop, 1 if not listed. Doors are the hardest
#: class: a leaf is as flat and as upright as the wall that it is in.
CROP_CLASS_WEIGHTS = {"door": 3.0}
#: Share of the crops that are a ball, and that are what a camera sees: mostly without floor.
BALL_SHARE, FRUSTUM_SHARE = 0.1, 0.12
#: Radius of a ball, metres.
BALL_RADIUS = (1.0, 2.0)
#: Share of the crops that are a table top with what stands on it, as an arm's camera sees it;
#: range of their radius, how far below the top they reach, and what is a top, metres.
TOP_SHARE, TOP_RADIUS, TOP_EDGE, LOWEST_TOP = 0.1, (0.35, 0.9), 0.06, 0.35
#: Share of the crops without what is above a height, and range of that height, metres: a ceiling
#: that was not scanned, and a map of what a low robot can run into.
OPEN_SHARE, OPEN_HEIGHT = 0.25, (1.7, 2.6)
LOW_SHARE, LOW_HEIGHT = 0.06, (0.7, 1.5)
#: Share of the crops that are thinned out evenly, and with the square of the distance from a
#: sensor.
EVEN_SHARE, RANGE_SHARE = 0.2, 0.1
#: A crop of another form than a cylinder has at least this number of points.
FEWEST = 500


def crop(scan: Scan, size: int, voxel_size: float, rng: np.random.Generator) -> Scan:
    """Keep the points around a random one, about ``size`` voxels of them.

    They lie in a vertical cylinder with a sharp edge, like that of a rolling map, from which
    everything beyond a distance is removed. Some are first reduced to a ball or a camera's field
    of view, to a table top, cut off at a height, or thinned out.

    Args:
        scan: The scan.
        size: Number of voxels.
        voxel_size: Metres.
        rng: Draws centre and form; mostly the centre is a point of a random class.
    """
    rows = np.arange(len(scan))
    rows = _on_a_top(scan, rows, rng)
    rows = _below_a_height(scan.points, rows, rng)
    rows = _thinned(scan.points, rows, rng)
    if not len(rows):
        return scan
    points = scan.points[rows]
    center = points[
        center_row(scan.labels[rows], CROP_CLASS_PROBABILITY, rng, _crop_class_weights())
    ]
    form = rng.random()
    if form < BALL_SHARE:
        inside = squared(points - center) < rng.uniform(*BALL_RADIUS) ** 2
    elif form < BALL_SHARE + FRUSTUM_SHARE:
        inside = _in_view(points, center, rng)
    else:
        inside = np.ones(len(points), bool)
    if inside.sum() >= FEWEST:
        rows, points = rows[inside], points[inside]
    # By the column of the voxel, so that voxels are kept or removed as a whole.
    column = np.floor(points[:, :2] / np.float32(voxel_size))
    distance = squared(column - np.floor(center[:2] / np.float32(voxel_size)))
    return select(scan, rows[nearest(points, distance, size, voxel_size)])


def nearest(points: np.ndarray, distance: np.ndarray, size: int, voxel_size: float) -> np.ndarray:
    """Which points are among the nearest that fill about ``size`` voxels, (N,) bool.

    Args:
        points: (N, 3) metres.
        distance: (N,) of each point, the same for all points of a column of voxels.
        size: Number of voxels.
        voxel_size: Metres.
    """
    _, first = np.unique(voxel_keys(points, voxel_size), return_index=True)
    if len(first) <= size:
        return np.ones(len(points), bool)
    return distance <= np.partition(distance[first], size)[size]


def squared(vectors: np.ndarray) -> np.ndarray:
    """Squared lengths (N,) of vectors (N, D)."""
    return np.einsum("nd,nd->n", vectors, vectors)


def _on_a_top(scan: Scan, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The rows on and above a part of a table top, in a share of the crops."""
    if rng.random() >= TOP_SHARE:
        return rows
    heights = np.where(scan.labels == _table(), scan.points[:, 2], 0.0)
    tops = np.flatnonzero(heights > LOWEST_TOP)
    if not len(tops):
        return rows
    away = scan.points[rows] - scan.points[rng.choice(tops)]
    inside = squared(away) < rng.uniform(*TOP_RADIUS) ** 2
    chosen = rows[inside & (away[:, 2] > -TOP_EDGE)]
    return chosen if len(chosen) >= FEWEST else rows


def _below_a_height(points: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The rows of the points below a random height, in a share of the crops."""
    form = rng.random()
    if form < OPEN_SHARE:
        below = rows[points[rows, 2] < rng.uniform(*OPEN_HEIGHT)]
    elif form < OPEN_SHARE + LOW_SHARE:
        below = rows[points[rows, 2] < rng.uniform(*LOW_HEIGHT)]
    else:
        return rows
    return below if len(below) >= FEWEST else rows


def _thinned(points: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Some of the rows: all as likely, or the likelier the nearer they are to a sensor."""
    form = rng.random()
    if form < EVEN_SHARE:
        return rows[rng.random(len(rows)) < rng.uniform(0.08, 0.7)]
    if form < EVEN_SHARE + RANGE_SHARE and len(rows):
        sensor = points[rows[rng.integers(len(rows))]].copy()
        sensor[2] = rng.uniform(0.3, 1.8)
        near = squared(points[rows] - sensor)
        return rows[rng.random(len(rows)) * near < rng.uniform(0.5, 2.0) ** 2]
    return rows


def _in_view(points: np.ndarray, center: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(N,) bool: the points in the field of view of a camera that looks at ``center``."""
    turn, lift = rng.uniform(0, 2 * np.pi), rng.uniform(-0.1, 1.2)
    ahead = -np.array([np.cos(turn) * np.cos(lift), np.sin(turn) * np.cos(lift), np.sin(lift)])
    right = np.array([np.sin(turn), -np.cos(turn), 0.0])
    axes = np.stack([ahead, right, np.cross(right, ahead)], axis=1).astype(np.float32)
    away = rng.uniform(0.6, 2.5)
    depth, across, up = ((points - center) @ axes).T
    depth = depth + np.float32(away)
    half = np.tan(rng.uniform(0.45, 0.7))
    return (depth > 0.2) & (np.abs(across) < half * depth) & (np.abs(up) < 0.75 * half * depth)


def center_row(
    labels: np.ndarray,
    probability: float,
    rng: np.random.Generator,
    weights: np.ndarray | None = None,
) -> int:
    """Row of the centre of a crop: a point of a random class, or any point.

    Args:
        labels: (N,) of the points.
        probability: That it is a point of a random class.
        rng: Draws class and point.
        weights: (K,) relative frequency of each class; None: all are as likely.
    """
    present = np.unique(labels[labels != UNLABELLED])
    if len(present) and rng.random() < probability:
        share = None if weights is None else weights[present] / weights[present].sum()
        label = rng.choice(present, p=share)
        return int(rng.choice(np.flatnonzero(labels == label)))
    return int(rng.integers(len(labels)))


@cache
def _crop_class_weights() -> np.ndarray:
    """Relative frequency of each class as the centre of a crop, (K,)."""
    classes = LabelSet.load("demo").classes
    return np.array([CROP_CLASS_WEIGHTS.get(c.name, 1.0) for c in classes])


@cache
def _table() -> int:
    """The label of tables."""
    return [c.name for c in LabelSet.load("demo").classes].index("table")
