# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Random changes to simulated scans, as wide as real sensors, mounts and tools differ."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from concerto_ros.labels.label_set import UNLABELLED
from concerto_ros.learning.data.augment import joined, select
from concerto_ros.learning.data.batch import with_normals
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.learning.demo_model.crops import squared
from concerto_ros.sensors.normals import unit_vectors
from concerto_ros.sim.mesh import rotation_about

#: Range of the uniform scale, and of what each axis differs from it.
SCALE, AXIS_SCALE = (0.85, 1.2), (0.96, 1.04)
#: Share of the scans that are tilted by some degrees, and by any angle up to the largest; radians.
SLIGHT_TILT_SHARE, TILT_SHARE = 0.3, 0.2
SLIGHT_TILT, LARGEST_TILT = np.radians(2.0), np.radians(15.0)
#: Share of the scans whose floor is taken to be higher or lower than it is by at most so many
#: metres: a table top without a floor in view, and a floor that was not found at all.
LIFT_SHARE, LARGEST_LIFT = 0.12, 0.5
LOST_FLOOR_SHARE, LARGEST_LOST_LIFT = 0.03, 10.0
#: Share of the scans with strays below the floor, and range of their share of the points.
STRAYS_SHARE, STRAYS = 0.12, (0.001, 0.02)


def augment(scan: Scan, voxel_size: float, rng: np.random.Generator) -> Scan:
    """Change a scan, which has to have normals, at random.

    Rotation, reflection, tilt and scale; jitter and holes; flying points, and strays far below the
    floor; other light; other normals. Colours and normals are dropped now and then.

    Args:
        scan: The scan; its floor is at z = 0.
        voxel_size: Metres, for fitted normals.
        rng: Draws everything.
    """
    if scan.normals is None:
        raise ValueError(f"{scan.name}: has no normals, expected them for this augmentation")
    scan = _moved(select(scan, _without_holes(scan.points, rng)), rng)
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


def overlaid(one: Scan, other: Scan) -> Scan:
    """Both scans at one place, each with the middle of its points there (Mix3D)."""
    return joined(*(replace(scan, points=_centred(scan.points)) for scan in (one, other)))


def _centred(points: np.ndarray) -> np.ndarray:
    middle = points.mean(0)
    return points - np.array([middle[0], middle[1], 0], np.float32)


def _moved(scan: Scan, rng: np.random.Generator) -> Scan:
    """Rotate, mirror, tilt, scale, jitter and shift."""
    assert scan.normals is not None
    matrix = rotation_about("z", rng.uniform(0, 2 * np.pi))
    matrix[:2, 0] *= rng.choice([-1, 1])
    form = rng.random()
    if form < TILT_SHARE:
        tilt = rng.uniform(0, LARGEST_TILT)
    elif form < TILT_SHARE + SLIGHT_TILT_SHARE:
        tilt = min(abs(rng.normal(0, SLIGHT_TILT)), LARGEST_TILT)
    else:
        tilt = 0.0
    # The heading is random already, so that one axis is enough.
    matrix = (rotation_about("x", tilt) @ matrix).astype(np.float32)
    scale = (rng.uniform(*SCALE) * rng.uniform(*AXIS_SCALE, 3)).astype(np.float32)
    points = (scan.points @ matrix.T) * scale
    points += rng.normal(0, rng.choice([0.0, 0.003, 0.008]), points.shape).astype(np.float32)
    points += rng.uniform(-0.5, 0.5, 3).astype(np.float32)
    return replace(scan, points=points, normals=scan.normals @ matrix.T)


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
    blurred = rng.choice([0.0, 0.05, 0.15, 0.3], p=[0.4, 0.3, 0.2, 0.1])
    if blurred:
        normals = unit_vectors(normals + rng.normal(0, blurred, normals.shape).astype(np.float32))
    return normals


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
    return joined(
        scan,
        Scan(
            scan.name,
            rng.uniform(np.minimum(low, high), high, (count, 3)).astype(np.float32),
            np.full(count, UNLABELLED, np.uint8),
            None if scan.colors is None else rng.integers(0, 256, (count, 3), np.uint8),
            None if scan.normals is None else np.zeros((count, 3), np.float32),
        ),
    )


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
