# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Parts of the scans of streets, and random changes to them, as sensors and mounts differ."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from concerto_ros.labels.label_set import UNLABELLED
from concerto_ros.learning.data.augment import joined, select
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.learning.demo_model.crops import squared
from concerto_ros.mapping.voxel_grid import voxel_keys
from concerto_ros.sensors.normals import unit_vectors
from concerto_ros.sim.mesh import rotation_about

#: Probability that the centre of a crop is a point of a random class instead of any point.
CROP_CLASS_PROBABILITY = 0.6
#: Share of the crops round the sensor, as in a sweep whose far points are left out.
AT_SENSOR_SHARE = 0.35
#: Shares of the crops that are a sector, thinned out evenly, and short of some rings.
SECTOR_SHARE, EVEN_SHARE, RING_SHARE = 0.2, 0.25, 0.2
#: Radius of the ground that is cropped to before the number of voxels decides, metres.
RADIUS = (10.0, 80.0)
#: A crop has at least this number of points, if the scan has as many.
FEWEST = 400
#: Range of the scale, and of what each axis differs from it.
SCALE, AXIS_SCALE = (0.9, 1.1), (0.97, 1.03)
#: Shares of the scans that are tilted slightly (radians, normally distributed), and by any angle
#: up to the largest.
SLIGHT_TILT_SHARE, TILT_SHARE = 0.5, 0.15
SLIGHT_TILT, LARGEST_TILT = np.radians(2.0), np.radians(7.0)
#: Share of the scans with strays below the ground or in the air, and their share of the points.
STRAYS_SHARE, STRAYS = 0.15, (0.001, 0.026)
#: Share of the scans that lose their colours, and their normals.
NO_COLORS_SHARE, NO_NORMALS_SHARE = 0.6, 0.15


def crop_street(scan: Scan, size: int, voxel_size: float, rng: np.random.Generator) -> Scan:
    """Keep the points around one of them, or around the sensor: about ``size`` voxels.

    They lie in a vertical cylinder with a sharp edge, like that of a rolling map. Some are first
    reduced to a sector, thinned out, or lose rings.

    Args:
        scan: The scan; the sensor is at the origin or above it.
        size: Number of voxels.
        voxel_size: Metres.
        rng: Draws centre and form.
    """
    rows = _thinned(scan.points, rng)
    points = scan.points[rows]
    labels = scan.labels[rows]
    center = np.zeros(2, np.float32)
    if rng.random() >= AT_SENSOR_SHARE:
        center = points[_center(labels, rng), :2]
    away = points[:, :2] - center
    inside = squared(away) < np.exp(rng.uniform(*np.log(RADIUS))) ** 2
    if rng.random() < SECTOR_SHARE:
        turn, half = rng.uniform(-np.pi, np.pi), rng.uniform(0.5, 2.0)
        angle = np.arctan2(points[:, 1], points[:, 0]) - turn
        inside &= np.cos(angle) > np.cos(half)
    if inside.sum() >= FEWEST:
        rows, points, away = rows[inside], points[inside], away[inside]
    # By the column of the voxel, so that voxels are kept or removed as a whole.
    distance = squared(np.floor(away / np.float32(voxel_size)))
    _, first = np.unique(voxel_keys(points, voxel_size), return_index=True)
    if len(first) > size:
        rows = rows[distance <= np.partition(distance[first], size)[size]]
    return select(scan, rows)


def augment_street(scan: Scan, rng: np.random.Generator) -> Scan:
    """Change a scan, which has to have normals, at random.

    Rotation, reflection, tilt and scale; jitter; strays; other normals; colours and normals are
    dropped now and then.

    Raises:
        ValueError: The scan has no normals.
    """
    if scan.normals is None:
        raise ValueError(f"{scan.name}: has no normals, expected them for this augmentation")
    scan = _moved(scan, rng)
    if rng.random() < STRAYS_SHARE:
        scan = _with_strays(scan, rng)
    colors = scan.colors
    if colors is not None:
        light = rng.uniform(0.6, 1.4) * rng.uniform(0.85, 1.15, 3)
        relit = (colors * light).clip(0, 255).astype(np.uint8)
        colors = None if rng.random() < NO_COLORS_SHARE else relit
    return replace(scan, colors=colors, normals=_other_normals(scan, rng))


def _thinned(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rows of all points, of a share of them, or of those on some rings about the sensor."""
    rows = np.arange(len(points))
    kept = rows
    form = rng.random()
    if form < EVEN_SHARE:
        kept = rows[rng.random(len(rows)) < rng.uniform(0.1, 0.8)]
    elif form < EVEN_SHARE + RING_SHARE:
        elevation = np.arctan2(points[:, 2], np.linalg.norm(points[:, :2], axis=1))
        ring = np.floor(elevation / np.radians(rng.uniform(0.15, 0.6))).astype(int)
        kept = rows[
            rng.random(ring.max() - ring.min() + 1)[ring - ring.min()] < rng.uniform(0.3, 0.8)
        ]
    return kept if len(kept) >= FEWEST else rows


def _center(labels: np.ndarray, rng: np.random.Generator) -> int:
    """Row of the centre of a crop: a point of a random class, or any point."""
    present = np.unique(labels[labels != UNLABELLED])
    if len(present) and rng.random() < CROP_CLASS_PROBABILITY:
        return int(rng.choice(np.flatnonzero(labels == rng.choice(present))))
    return int(rng.integers(len(labels)))


def _moved(scan: Scan, rng: np.random.Generator) -> Scan:
    """Rotate, mirror, tilt, scale, jitter and shift."""
    assert scan.normals is not None
    matrix = rotation_about("z", rng.uniform(0, 2 * np.pi))
    matrix[:2, 0] *= rng.choice([-1, 1])
    form, tilt = rng.random(), 0.0
    if form < TILT_SHARE:
        tilt = rng.uniform(0, LARGEST_TILT)
    elif form < TILT_SHARE + SLIGHT_TILT_SHARE:
        tilt = min(abs(rng.normal(0, SLIGHT_TILT)), LARGEST_TILT)
    # The heading is random already, so that one axis is enough.
    matrix = (rotation_about("x", tilt) @ matrix).astype(np.float32)
    scale = (rng.uniform(*SCALE) * rng.uniform(*AXIS_SCALE, 3)).astype(np.float32)
    points = (scan.points @ matrix.T) * scale
    points += rng.normal(0, rng.choice([0.0, 0.01, 0.03]), points.shape).astype(np.float32)
    points += rng.uniform(-1, 1, 3).astype(np.float32)
    return replace(scan, points=points, normals=scan.normals @ matrix.T)


def _with_strays(scan: Scan, rng: np.random.Generator) -> Scan:
    """Append unlabelled points below the ground, or anywhere in the air."""
    count = int(np.ceil(rng.uniform(*STRAYS) * len(scan)))
    points = scan.points[rng.integers(0, len(scan), count)]
    points += rng.normal(0, 1.0, points.shape).astype(np.float32)
    if rng.random() < 0.6:
        low = np.percentile(scan.points[:, 2], 2)
        points[:, 2] = low - np.exp(rng.uniform(0, np.log(10), count))
    return joined(
        scan,
        Scan(
            scan.name,
            points,
            np.full(count, UNLABELLED, np.uint8),
            None if scan.colors is None else rng.integers(0, 256, (count, 3), np.uint8),
            None if scan.normals is None else np.zeros((count, 3), np.float32),
        ),
    )


def _other_normals(scan: Scan, rng: np.random.Generator) -> np.ndarray | None:
    """Normals as other sensors and tools give them, or none, (N, 3) float32."""
    normals = scan.normals
    assert normals is not None
    if rng.random() < NO_NORMALS_SHARE:
        return None
    if rng.random() < 0.2:  # facing the middle of the cloud, as without a sensor's position
        inward = (scan.points.min(0) + scan.points.max(0)) / 2 - scan.points
        away = (normals * inward).sum(1, keepdims=True) < 0
        normals = np.where(away, -normals, normals)
    blurred = rng.choice([0.0, 0.05, 0.15, 0.3], p=[0.5, 0.25, 0.15, 0.1])
    if blurred:
        normals = unit_vectors(normals + rng.normal(0, blurred, normals.shape).astype(np.float32))
    return normals
