# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From labelled readings of a sensor to a scan, through the same map as on the robot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from concerto_ros.learning.data.batch import majority
from concerto_ros.learning.data.labelled_scan import NO_NAME, Scan
from concerto_ros.mapping.voxel_grid import grid_sample
from concerto_ros.mapping.voxel_map import VoxelMap
from concerto_ros.sensors.frame import Frame
from concerto_ros.sensors.normals import neighbourhood_normals
from concerto_ros.sim.mesh import rotation_about
from concerto_ros.sim.names import NAMELESS, names
from concerto_ros.sim.scene import Scene

#: Voxel size of the scans, metres: finer than the model's grid, so that a rotated or translated
#: scan occupies other voxels.
SPACING = 0.02
#: Voxel size for fitted normals, metres: the model's.
FIT_SPACING = 0.04


@dataclass(frozen=True)
class Capture:
    """One sensor reading in the room's frame, and what each point is of.

    Attributes:
        frame: The points.
        triangles: (N,) row of the room's mesh that each point lies on; -1 for one that lies on
            none, or on two.
    """

    frame: Frame
    triangles: np.ndarray


def fused_scan(
    name: str, room: Scene, captures: Sequence[Capture], rng: np.random.Generator
) -> Scan:
    """Fuse captures in a voxel map as on the robot, then tilt: real maps are not exactly level."""
    voxels = VoxelMap(SPACING, window_seconds=60.0, max_voxels=1 << 19)
    for capture in captures:
        voxels.insert(capture.frame, capture.frame.origin)
    snapshot = voxels.snapshot()
    points = np.concatenate([capture.frame.points for capture in captures])
    triangles = np.concatenate([capture.triangles for capture in captures])
    truth = ground_truth(room, triangles, snapshot.rows_of(points), len(snapshot))
    normals = snapshot.normals
    if not normals.any():
        normals = fitted_normals(snapshot.points, snapshot.sensor_directions, FIT_SPACING)
    tilt = slight_tilt(rng)
    return Scan(
        name,
        snapshot.points @ tilt.T,
        truth.labels,
        snapshot.colors.round().astype(np.uint8) if snapshot.has_color.any() else None,
        normals @ tilt.T,
        truth.name_ids,
        truth.names,
    )


class Truth(NamedTuple):
    """What some voxels are.

    Attributes:
        labels: (V,) uint8 class of each, 255: none.
        name_ids: (V,) uint16 position of its fine name in ``names``, 65535: none.
        names: The fine names, in the order of the alphabet.
    """

    labels: np.ndarray
    name_ids: np.ndarray
    names: tuple[str, ...]


def ground_truth(room: Scene, triangles: np.ndarray, rows: np.ndarray, size: int) -> Truth:
    """Class and fine name of most of the points of each voxel.

    Args:
        room: The scene.
        triangles: (N,) row of its mesh that each point lies on; -1: none.
        rows: (N,) voxel of each point.
        size: Number of voxels, V.
    """
    labels = majority(rows, room.labels_of(triangles), size).astype(np.uint8)
    numbers, place = np.unique(room.names_of(triangles), return_inverse=True)
    every = names()
    listed = sorted(every[number] for number in numbers if number != NAMELESS)
    position = {name: index for index, name in enumerate(listed)}
    ids = np.array([position.get(every[number], NO_NAME) for number in numbers])
    name_ids = majority(rows, ids[place], size, NO_NAME).astype(np.uint16)
    return Truth(labels, name_ids, tuple(listed))


def slight_tilt(rng: np.random.Generator) -> np.ndarray:
    """The rotation (3, 3) float32 by which a map is not level: mostly less than a degree."""
    degrees = rng.choice([0.4, 2.0], p=[0.8, 0.2])
    return small_motion(rng, 0.0, np.radians(degrees))[:3, :3].astype(np.float32)


def small_motion(rng: np.random.Generator, metres: float, radians: float) -> np.ndarray:
    """A rigid motion (4, 4) with normally distributed translation and rotation about all axes."""
    motion = np.eye(4)
    for axis in "xyz":
        motion[:3, :3] = motion[:3, :3] @ rotation_about(axis, rng.normal(0, radians))
    motion[:3, 3] = rng.normal(0, metres, 3)
    return motion


def fitted_normals(
    points: np.ndarray, sensor_direction: np.ndarray, voxel_size: float
) -> np.ndarray:
    """Normals (N, 3) fitted as in the node: to the voxels of the model's grid, facing the sensors.

    Args:
        points: (N, 3) metres.
        sensor_direction: (N, 3) from each point to the sensors that saw it.
        voxel_size: Of the model, metres.
    """
    coarse = grid_sample(points, voxel_size, normals=sensor_direction, inverse=True)
    assert coarse.normal is not None and coarse.inverse is not None  # both were asked for
    means = coarse.means(voxel_size)
    return neighbourhood_normals(means, coarse.normal)[coarse.inverse]
