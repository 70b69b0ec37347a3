# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Parts of the scans of streets, and random changes to them, as sensors and mounts differ."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from concerto_ros.learning.data.augment import select
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.learning.demo_model.crops import center_row, nearest, squared
from concerto_ros.learning.demo_model.scan_changes import Motion, noisy_normals, with_unlabelled

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
#: Sensors outdoors are mounted nearly level; a robot pitches.
MOTION = Motion(
    scale=(0.9, 1.1),
    scale_share=1.0,
    axis_scale=(0.97, 1.03),
    tilt_share=0.15,
    slight_tilt_share=0.5,
    slight_tilt=math.radians(2.0),
    largest_tilt=math.radians(7.0),
    jitters=(0.0, 0.01, 0.03),
    shift=1.0,
)
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
        center = points[center_row(labels, CROP_CLASS_PROBABILITY, rng), :2]
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
    return select(scan, rows[nearest(points, distance, size, voxel_size)])


def augment_street(scan: Scan, rng: np.random.Generator) -> Scan:
    """Change a scan, which has to have normals, at random.

    Rotation, reflection, tilt and scale; jitter; strays; other normals; colours and normals are
    dropped now and then.

    Raises:
        ValueError: The scan has no normals.
    """
    scan = MOTION.moved(scan, rng)
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


def _with_strays(scan: Scan, rng: np.random.Generator) -> Scan:
    """Append unlabelled points below the ground, or anywhere in the air."""
    count = int(np.ceil(rng.uniform(*STRAYS) * len(scan)))
    points = scan.points[rng.integers(0, len(scan), count)]
    points += rng.normal(0, 1.0, points.shape).astype(np.float32)
    if rng.random() < 0.6:
        low = np.percentile(scan.points[:, 2], 2)
        points[:, 2] = low - np.exp(rng.uniform(0, np.log(10), count))
    return with_unlabelled(scan, points, rng)


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
    return noisy_normals(normals, (0.5, 0.25, 0.15, 0.1), rng)
