# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Levelling: how far a scan is tilted, told by the ground it stands on.

The models know rooms and streets whose floor is level. A file in the frame of a tilted sensor, or
a scan that was put together without an inertial unit, is not.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from concerto_ros.mapping.voxel_grid import grid_sample, pack
from concerto_ros.segmentation.floor import find_floor
from concerto_ros.sensors.normals import neighbourhood_normals

#: Radians; a steeper plane is a roof, a ramp or a staircase, not the ground of a tilted scan.
LARGEST = math.radians(20)
#: Radians; a scan that is tilted less stays as it is: this is as exact as the plane is known.
SMALLEST = math.radians(1)
#: Edge of the columns whose lowest voxels are candidates for the ground, voxels.
COLUMN = 8
#: A voxel is on the plane at most this far from it, and below it farther than BELOW, voxels.
ON, BELOW = 1.5, 5.0
#: The plane holds at least this share of the columns, and at most this share is below it.
SHARE, SUNKEN = 0.25, 0.1
#: Standard deviation of the plane's columns along its shorter side, voxels: a floor of 1.7 m at
#: voxels of 0.04 m; tables are narrower.
WIDTH = 12.0
#: Fewer columns than this say nothing.
FEW = 40
#: Planes that are tried, through three columns each.
TRIALS = 400
#: Radians by which a wall may be off, and share of the walls that may be lost by levelling.
UPRIGHT, LOST = math.radians(4), 0.2
#: Radians by which the surface at a voxel of the ground may be off, and the share that is not:
#: a plane through the feet of furniture is no surface.
ALONG, FLAT = math.radians(10), 0.4
#: Voxels whose normals are looked at, and the fewest walls that say something.
LOOKED_AT, FEW_WALLS = 4000, 40


class Level(NamedTuple):
    """The motion ``p -> rotation @ p + translation`` that turns a scan level.

    The middle of the ground stays in place.

    Attributes:
        rotation: (3, 3) float64.
        translation: (3,) float64, metres.
        tilt: radians, the angle between the scan's z axis and the vertical.
    """

    rotation: np.ndarray
    translation: np.ndarray
    tilt: float


def find_level(points: np.ndarray, voxel_size: float) -> Level | None:
    """Find the motion that turns a scan level whose z axis is only roughly up.

    The ground is the plane that most columns of voxels end on below (RANSAC, then least squares).
    It counts only if it is wide, if nearly nothing lies below it and if the walls do not
    contradict: of a level house with a tilted roof, or beside a sloped street, they do.

    Args:
        points: (N, 3) float32, metres, finite, z up within 20 degrees.
        voxel_size: Metres.

    Returns:
        None where the scan is level within a degree, and where no ground is certain.
    """
    voxels = grid_sample(points, voxel_size)
    means = voxels.means(voxel_size).astype(np.float64)
    if not len(means):
        return None
    strays = find_floor(means, voxels.index, voxel_size).strays
    means, index = means[~strays], voxels.index[~strays]
    plane = _ground(means, index, voxel_size)
    if plane is None:
        return None
    middle, up = plane
    tilt = math.acos(min(1.0, up[2]))
    if not SMALLEST <= tilt <= LARGEST:
        return None
    if not _surfaces_agree(means, middle, up, ON * voxel_size):
        return None
    rotation = _turn_up(up)
    return Level(rotation, middle - rotation @ middle, tilt)


def _ground(
    points: np.ndarray, index: np.ndarray, voxel_size: float
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the middle (3,) and the normal (3,) of the plane that columns end on; None: none."""
    low = points[_lowest_of_columns(points, index)]
    if len(low) < FEW:
        return None
    on, below = ON * voxel_size, BELOW * voxel_size
    best: tuple[int, np.ndarray] | None = None
    for middle, up in _through_three(low):
        height = (low - middle) @ up
        score = int(np.count_nonzero(np.abs(height) < on) - np.count_nonzero(height < -below))
        if best is None or score > best[0]:
            best = score, np.abs(height) < on
    if best is None:
        return None
    chosen = low[best[1]]
    for cloud in (low, points):  # the lowest of each column first, then all that is on the plane
        middle, up, _ = _fitted(chosen)
        chosen = cloud[np.abs((cloud - middle) @ up) < on]
    if len(chosen) < 3:
        return None
    middle, up, _ = _fitted(chosen)
    height = (low - middle) @ up
    of_columns = low[np.abs(height) < on]
    if len(of_columns) < max(3, SHARE * len(low)):
        return None
    if np.count_nonzero(height < -below) > SUNKEN * len(low):
        return None
    wide = _fitted(of_columns)[2] >= WIDTH * voxel_size
    return (middle, up) if wide else None


def _lowest_of_columns(points: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Return the rows of the lowest voxel of each column."""
    column = pack(index // COLUMN * [1, 1, 0])
    order = np.lexsort((points[:, 2], column))
    _, first = np.unique(column[order], return_index=True)
    return order[first]


def _through_three(points: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return a point and the upward normal of planes through three points each, near level."""
    three = points[np.random.default_rng(0).integers(0, len(points), (TRIALS, 3))]
    normal = np.cross(three[:, 1] - three[:, 0], three[:, 2] - three[:, 0])
    length = np.linalg.norm(normal, axis=1)
    level = np.abs(normal[:, 2]) > math.cos(LARGEST) * np.maximum(length, 1e-12)
    normal = normal[level] * (np.sign(normal[level, 2]) / length[level])[:, None]
    return list(zip(three[level, 0], normal, strict=True))


def _fitted(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the middle, the upward normal and the shorter standard deviation of a plane."""
    middle = points.mean(axis=0)
    away = points - middle
    values, axes = np.linalg.eigh(away.T @ away / len(points))
    up = axes[:, 0] * (1 if axes[2, 0] >= 0 else -1)
    return middle, up, math.sqrt(max(values[1], 0.0))


def _surfaces_agree(points: np.ndarray, middle: np.ndarray, up: np.ndarray, on: float) -> bool:
    """Whether the surface of the ground is along its plane, and no wall contradicts."""
    rows = np.sort(np.random.default_rng(0).permutation(len(points))[:LOOKED_AT])
    normals = neighbourhood_normals(points, np.zeros(3), rows=rows).astype(np.float64)
    known = normals.any(axis=1)
    of_ground = normals[known & (np.abs((points[rows] - middle) @ up) < on)]
    flat = np.count_nonzero(np.abs(of_ground @ up) > math.cos(ALONG))
    now = np.count_nonzero(np.abs(normals[known, 2]) < math.sin(UPRIGHT))
    then = np.count_nonzero(np.abs(normals[known] @ up) < math.sin(UPRIGHT))
    upright = then >= (1 - LOST) * now or now < FEW_WALLS
    return bool(flat >= FLAT * len(of_ground) and upright)


def _turn_up(up: np.ndarray) -> np.ndarray:
    """Return the smallest rotation (3, 3) that turns the unit vector ``up``, near z, to z."""
    axis = np.cross(up, [0.0, 0.0, 1.0])
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + cross + cross @ cross / (1 + up[2])
