# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Random changes to simulated scans, as wide as real sensors, mounts and tools differ."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from concerto_ros.learning.data.augment import select
from concerto_ros.learning.data.batch import with_normals
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.learning.demo_model.crops import squared
from concerto_ros.learning.demo_model.scan_changes import Motion, noisy_normals, with_unlabelled

#: Maps are mostly level within some degrees; a scan of somebody else's tool may not be.
MOTION = Motion(
    scale=(0.85, 1.2),
    scale_share=0.6,
    axis_scale=(0.96, 1.04),
    tilt_share=0.2,
    slight_tilt_share=0.3,
    slight_tilt=math.radians(2.0),
    largest_tilt=math.radians(15.0),
    jitters=(0.0, 0.003, 0.008),
    shift=0.5,
)
#: Share of the scans whose floor is taken to be higher or lower than it is by at most so many
#: metres: a table top without a floor in view, and a floor that was not found at all.
LIFT_SHARE, LARGEST_LIFT = 0.12, 0.5
LOST_FLOOR_SHARE, LARGEST_LOST_LIFT = 0.03, 10.0
#: Share of the scans with strays below the floor, and range of their share of the points.
STRAYS_SHARE, STRAYS = 0.12, (0.001, 0.02)


def augment(
    scan: Scan, voxel_size: float, rng: np.random.Generator, motion: Motion = MOTION
) -> Scan:
    """Change a scan, which has to have normals, at random.

    Rotation, reflection, tilt and scale; jitter and holes; flying points, and strays far below the
    floor; other light; other normals. Colours and normals are dropped now and then.

    Args:
        scan: The scan; its floor is at z = 0.
        voxel_size: Metres, for fitted normals.
        rng: Draws everything.
        motion: How the scan is moved and scaled.

    Raises:
        ValueError: The scan has no normals.
    """
    scan = motion.moved(select(scan, _without_holes(scan.points, rng)), rng)
    scan = replace(scan, normals=_other_normals(scan, voxel_size, rng))
    if scan.colors is not None:
        colors = None if rng.random() < 0.2 else _relit(scan.colors, rng)
        scan = replace(scan, colors=colors)
    flying = int(rng.choice([0, 3, 20]))
    if flying:
        # Some are far away: on a robot the origin of the coordinates may be metres from the centre
        # of the map as well, because it stays fixed while the map grows.
        reach = np.array([*rng.choice([0.4, 4.0], 2), rng.choice([0.1, 0.4, 1.0])])
        scan = _with_points(scan, flying, -reach, reach, rng)
    if rng.random() < STRAYS_SHARE:
        count = int(np.ceil(rng.uniform(*STRAYS) * len(scan)))
        depth = rng.uniform(0.5, 10.0)
        above = np.ptp(scan.points[:, 2])
        scan = _with_points(scan, count, np.array([0, 0, -depth]), np.array([0, 0, -above]), rng)
    return scan


def floor_lift(rng: np.random.Generator) -> float:
    """An error of the estimated floor's height, metres; mostly none."""
    form = rng.random()
    if form < LOST_FLOOR_SHARE:
        return float(rng.uniform(-LARGEST_LOST_LIFT, LARGEST_LOST_LIFT))
    if form < LOST_FLOOR_SHARE + LIFT_SHARE:
        return float(rng.uniform(-LARGEST_LIFT, LARGEST_LIFT))
    return 0.0


def _other_normals(scan: Scan, voxel_size: float, rng: np.random.Generator) -> np.ndarray | None:
    """Normals as other sensors and tools give them, or none, (N, 3) float32."""
    normals = scan.normals
    assert normals is not None
    form = rng.random()
    if form < 0.15:
        return None
    if form < 0.30:  # as for a cloud whose sensor position is not known
        normals = with_normals(replace(scan, normals=None), voxel_size).normals
        assert normals is not None
    elif form < 0.42:
        normals = normals * _patchwise_signs(scan.points, normals, rng)
    return noisy_normals(normals, (0.4, 0.3, 0.2, 0.1), rng)


def _patchwise_signs(
    points: np.ndarray, normals: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Signs (N, 1) float32, equal in patches of like direction.

    Consistent tangent planes (Hoppe et al., "Surface reconstruction from unorganized points",
    SIGGRAPH 1992) spread one sign over a surface, and lose it at sharp edges and gaps.
    """
    count = int(rng.integers(1, 9))
    rows = rng.integers(len(points), size=count)
    place = np.concatenate([points, np.float32(1.5) * normals], axis=1)
    patch = np.stack([squared(place - place[row]) for row in rows]).argmin(axis=0)
    return rng.choice(np.array([-1, 1], np.float32), size=count)[patch][:, None]


def _without_holes(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(N,) bool: the points outside up to three random balls; all if fewer than 50 remain."""
    keep = np.ones(len(points), bool)
    for _ in range(int(rng.integers(0, 4))):
        distance = squared(points - points[rng.integers(len(points))])
        keep &= distance > rng.uniform(0.05, 0.35) ** 2
    return keep if keep.sum() >= 50 else np.ones(len(points), bool)


def _with_points(
    scan: Scan, count: int, low: np.ndarray, high: np.ndarray, rng: np.random.Generator
) -> Scan:
    """Append unlabelled points in the bounding box, grown by ``low`` and ``high`` (3,) metres."""
    low, high = scan.points.min(0) + low, scan.points.max(0) + high
    points = rng.uniform(np.minimum(low, high), high, (count, 3)).astype(np.float32)
    return with_unlabelled(scan, points, rng)


def _relit(colors: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Change exposure, contrast, saturation and white balance, sometimes to grey; (N, 3) uint8."""
    value = colors.astype(np.float32) / 255
    grey = value.mean(1, keepdims=True)
    saturation = 0.0 if rng.random() < 0.1 else rng.uniform(0.5, 1.4)
    value = grey + (value - grey) * np.float32(saturation)
    middle = value.mean()
    value = (value - middle) * np.float32(rng.uniform(0.6, 1.4)) + middle
    value *= (rng.uniform(0.6, 1.45) * rng.uniform(0.85, 1.15, 3)).astype(np.float32)
    value += rng.normal(0, rng.uniform(0, 0.05), value.shape).astype(np.float32)
    return (value.clip(0, 1) * 255).astype(np.uint8)
