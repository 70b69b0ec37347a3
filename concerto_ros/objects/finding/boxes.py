# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Upright bounding boxes of objects."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import cv2
import numpy as np

#: The twelve edges of a box of size one around the origin, (12, 2, 3).
EDGES = np.array(
    [
        (start, end)
        for start, end in itertools.combinations(itertools.product((-0.5, 0.5), repeat=3), 2)
        if np.count_nonzero(np.subtract(start, end)) == 1
    ]
)


@dataclass(frozen=True, eq=False)
class OrientedBox:
    """An upright box, rotated about z (REP-103).

    Attributes:
        center: (3,) float64, metres.
        size: (3,) float64, metres, along the box's own x, y and z; x is not shorter than y.
        yaw: Radians from the frame's x to the box's, counterclockwise, in [-pi / 2, pi / 2).
    """

    center: np.ndarray
    size: np.ndarray
    yaw: float


def upright_box(points: np.ndarray, thinnest: float) -> OrientedBox:
    """Compute the upright box with the smallest footprint around points.

    One side of the smallest rectangle around a convex polygon lies on a side of the polygon
    (Freeman and Shapira 1975).

    Args:
        points: (N, 3) metres, finite, N > 0.
        thinnest: No side of the box is shorter than this, metres.
    """
    middle = points.mean(axis=0, dtype=np.float64)
    centred = points - middle
    hull = cv2.convexHull(centred[:, :2].astype(np.float32))[:, 0].astype(np.float64)
    edges = np.roll(hull, -1, axis=0) - hull
    # Sides a quarter turn apart give the same rectangle. The frame's own axes come first, for
    # points without any side, and for those that fit as well.
    turns = np.append(0.0, np.arctan2(edges[:, 1], edges[:, 0]) % (math.pi / 2))
    along = np.stack([np.cos(turns), np.sin(turns)], axis=1) @ hull.T
    across = np.stack([-np.sin(turns), np.cos(turns)], axis=1) @ hull.T
    area = np.ptp(along, axis=1) * np.ptp(across, axis=1)
    best = int(np.argmax(area <= area.min() * (1 + 1e-6)))
    low = np.array([along[best].min(), across[best].min(), centred[:, 2].min()])
    high = np.array([along[best].max(), across[best].max(), centred[:, 2].max()])
    yaw = float(turns[best])
    turn = np.array([[math.cos(yaw), -math.sin(yaw)], [math.sin(yaw), math.cos(yaw)]])
    center = (low + high) / 2
    center[:2] = turn @ center[:2]
    size = np.maximum(high - low, thinnest)
    if size[1] > size[0]:
        size[:2] = size[1], size[0]
        yaw -= math.pi / 2
    return OrientedBox(center + middle, size, yaw)
