# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Clouds far from the origin, and points far from their cloud.

Georeferenced clouds are moved to where float32 resolves millimetres. Missing returns at (0, 0, 0)
and outliers must not cost the other points their precision, nor the room that the voxel grid and
the middle of the cloud give them.
"""

from __future__ import annotations

import numpy as np

#: float32 resolves 1 mm up to about this many metres from the origin.
FLOAT32_REACH = 8_000.0

#: Share of the points that may lie below the height that counts as the lowest.
BELOW = 0.01

#: One point in this many, on each side of an axis, may be a stray.
POINTS_PER_STRAY = 1000

#: Fewer points than this have no strays.
FEW = 20


def local_offset(points: np.ndarray) -> np.ndarray:
    """Return what to subtract from points so that float32 holds them.

    Zeros where most points lie near the origin. Else whole metres: the median of x and y, and the
    height that nearly all points lie above. Missing returns at (0, 0, 0) and outliers do not move
    it.

    Args:
        points: (N, 3) finite coordinates, metres; N > 0.

    Returns:
        (3,) float64, metres.
    """
    if np.abs(points).max() <= FLOAT32_REACH:
        return np.zeros(3)
    returned = points[points.any(axis=1)]
    points = returned if len(returned) else points
    middle = np.median(points, axis=0)
    if np.abs(middle).max() <= FLOAT32_REACH:
        return np.zeros(3)
    middle[2] = np.quantile(points[:, 2], BELOW, method="lower")
    return np.floor(middle.astype(np.float64))


def near_others(points: np.ndarray, largest: float = 2 * FLOAT32_REACH) -> np.ndarray:
    """Tell strays from the points of a cloud.

    Strays are the outermost thousandth of the points on each side of an axis where they lie
    farther outside than all other points extend. Of a cloud that is still larger than ``largest``,
    those farther than half of it from the median.

    Args:
        points: (N, 3) finite coordinates, metres.
        largest: Metres along an axis.

    Returns:
        (N,) bool, false for strays; at least one is true.

    Raises:
        ValueError: The cloud is so large that all of them would be strays.
    """
    near = np.ones(len(points), bool)
    if len(points) < FEW:
        return near
    outer = max(1, len(points) // POINTS_PER_STRAY)
    ordered = np.partition(points, (outer, len(points) - 1 - outer), axis=0)
    low, high = ordered[outer], ordered[-1 - outer]
    margin = max(float((high - low).max()), 1.0)
    if (points.min(axis=0) < low - margin).any() or (points.max(axis=0) > high + margin).any():
        near = ((points >= low - margin) & (points <= high + margin)).all(axis=1)
    kept = points[near]
    if (kept.max(axis=0) - kept.min(axis=0)).max() > largest:
        near &= (np.abs(points - np.median(kept, axis=0)) <= largest / 2).all(axis=1)
    if not near.any():
        size = (points.max(axis=0) - points.min(axis=0)).max()
        raise ValueError(
            f"points: got {len(points)} points over {size:.4g} m, none within {largest / 2:g} m of"
            " their middle, expected coordinates in metres: scale them"
        )
    return near
