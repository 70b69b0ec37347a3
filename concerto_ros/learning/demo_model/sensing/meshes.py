# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Scans as data sets of reconstructed rooms have them: a mesh of the room, sampled.

Such a mesh is dense and has no shadows, but rounded edges, the holes of what no pose saw, and
smooth normals. ScanNet's come from a hand-held depth camera and mostly have no ceiling, S3DIS's
from a few positions of a tripod and have one.
"""

from __future__ import annotations

import numpy as np

from concerto_ros.learning.data.augment import select
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.learning.demo_model.sensing.appearance import CameraAppearance
from concerto_ros.learning.demo_model.sensing.capture import ground_truth, slight_tilt
from concerto_ros.learning.demo_model.sensing.viewpoints import standpoint
from concerto_ros.mapping.voxel_grid import grid_sample
from concerto_ros.sensors.normals import unit_vectors
from concerto_ros.sim import CLASSES, Room, look_at

#: Share of the meshes by a hand-held camera.
HAND_HELD_SHARE = 2 / 3
_CEILING = CLASSES.index("ceiling")


def mesh_scan(name: str, room: Room, rng: np.random.Generator) -> Scan:
    """A scan of the whole room, with colours and normals."""
    hand_held = rng.random() < HAND_HELD_SHARE
    spacing = rng.uniform(0.024, 0.038)
    views = _hand_held(room, rng) if hand_held else _on_tripod(room, rng)
    points, normals, colors, triangles = (
        np.concatenate(values)
        for values in zip(*[_seen(room, *view, rng) for view in views], strict=True)
    )
    colors = CameraAppearance(rng).expose(colors).astype(np.float32)
    voxels = grid_sample(points, spacing, colors=colors, normals=normals, inverse=True)
    assert voxels.color is not None and voxels.normal is not None and voxels.inverse is not None
    values = np.concatenate(
        [voxels.means(spacing), voxels.color / voxels.count[:, None], unit_vectors(voxels.normal)],
        axis=1,
    ).astype(np.float32)
    values = _smoothed(values, 2.2 * spacing, int(rng.integers(6, 17)))
    # A vertex of a mesh lies anywhere on the surface, not in the middle of a voxel's part of it.
    normals = unit_vectors(values[:, 6:])
    shift = rng.uniform(-0.4, 0.4, (len(values), 3)).astype(np.float32) * np.float32(spacing)
    shift -= np.einsum("ni,ni->n", shift, normals)[:, None] * normals
    tilt = slight_tilt(rng)
    truth = ground_truth(room, triangles, voxels.inverse, len(voxels))
    scan = Scan(
        name,
        (values[:, :3] + shift) @ tilt.T,
        truth.labels,
        values[:, 3:6].round().clip(0, 255).astype(np.uint8),
        normals @ tilt.T,
        truth.name_ids,
        truth.names,
    )
    # A surface that was seen once is cut off as noise by the fusion.
    solid = voxels.count >= (2 if hand_held else 1)
    if hand_held:
        solid &= scan.labels != _CEILING
    return select(scan, np.flatnonzero(solid))


View = tuple[np.ndarray, np.ndarray, float]


def _hand_held(room: Room, rng: np.random.Generator) -> list[View]:
    """Origin, directions and longest range of the views of a camera carried through the room."""
    reach, views = rng.uniform(2.5, 4.5), []
    x, y = np.meshgrid(np.linspace(-0.55, 0.55, 144), np.linspace(-0.42, 0.42, 108))
    rays = np.stack([x, y, np.ones_like(x)], -1).reshape(-1, 3)
    area = room.plan.width * room.plan.depth
    for _ in range(int(np.clip(area / 3, 4, 12))):
        eye = standpoint(room, rng, rng.uniform(1.1, 1.75))
        start, count = rng.uniform(0, 2 * np.pi), int(rng.integers(5, 10))
        for turn in start + np.arange(count) * 2 * np.pi / count:
            lift = rng.normal(-0.35, 0.3)
            ahead = np.array([np.cos(turn), np.sin(turn), np.tan(np.clip(lift, -1.0, 0.4))])
            rotation = look_at(eye, eye + ahead)[:3, :3]
            views.append((eye + rng.normal(0, 0.01, 3), rays @ rotation.T, reach))
    return views


def _on_tripod(room: Room, rng: np.random.Generator) -> list[View]:
    """The same of whole spheres from a few positions."""
    views = []
    for _ in range(int(rng.integers(2, 5))):
        height, turn = rng.uniform(-1, 1, 120_000), rng.uniform(0, 2 * np.pi, 120_000)
        flat = np.sqrt(1 - height**2)
        rays = np.stack([flat * np.cos(turn), flat * np.sin(turn), height], axis=1)
        views.append((standpoint(room, rng, rng.uniform(1.3, 1.7)), rays, 12.0))
    return views


def _seen(
    room: Room, eye: np.ndarray, rays: np.ndarray, reach: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Points, normals towards the eye, colours and triangles of what is hit within a range."""
    rays = rays.astype(np.float32)
    hits = room.cast(eye.astype(np.float32), rays)
    normals = room.normals(hits)
    slant = np.einsum("ni,ni->n", rays, normals) / np.linalg.norm(rays, axis=1)
    normals = np.where(slant[:, None] > 0, -normals, normals)
    seen = hits.hit & (hits.distance < reach) & (np.abs(slant) > 0.12)
    distance = hits.distance + rng.normal(0, 0.004, len(rays)).astype(np.float32)
    points = eye.astype(np.float32) + rays[seen] * distance[seen, None]
    # Poses are known to a centimetre only, so that surfaces get thicker and then smoother.
    points += rng.normal(0, 0.004, 3).astype(np.float32)
    return points, normals[seen], room.colors(hits).T[seen], hits.rows[seen]


def _smoothed(values: np.ndarray, radius: float, neighbours: int) -> np.ndarray:
    """Mean of the rows (N, C) over the nearest points, by their first three columns."""
    from scipy.spatial import KDTree

    tree = KDTree(values[:, :3], balanced_tree=False)
    _, rows = tree.query(values[:, :3], neighbours, distance_upper_bound=radius)
    missing = rows == len(values)
    total = np.append(values, np.zeros((1, values.shape[1]), values.dtype), axis=0)[rows].sum(1)
    return total / (~missing).sum(1, keepdims=True).astype(np.float32)
