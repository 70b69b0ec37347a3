# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Surfaces that things stand on: the tops of tables, desks, counters and cabinets."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

#: A top smaller than this holds nothing, square metres.
MIN_AREA = 0.04

#: Of several levels the highest counts that has this share of the voxels of the widest one.
SHARE_OF_WIDEST = 0.5

#: What lies within so many voxels above or below the top is taken for the top itself.
THICKNESS, DEPTH = 0.75, 1.5

#: What goes on for so many voxels both above and below the top does not end at it.
THROUGH = 4.0

#: A thing on the top begins within so many voxels above it.
GAP = 3.0

#: Of the top only so much is seen as the things on it let through: they may stand so many metres
#: beyond what is seen of it.
BEYOND = 0.1

#: Share of a thing's voxels that may lie beside the top, and share that may lie below it.
BESIDE, BELOW = 0.5, 0.1

#: Share of the top's length from which something of its label is the piece's own upper part.
AS_LONG = 0.7


@dataclass(frozen=True, eq=False)
class Surface:
    """A level top.

    Attributes
    ----------
    label: of the thing whose top it is.
    height: metres, z of the fixed frame.
    outline: (H, 2) float64, metres, convex, counterclockwise.
    """

    label: int
    height: float
    outline: np.ndarray

    def covers(self, ground: np.ndarray, beyond: float = 0.0) -> np.ndarray:
        """(N,) bool: which of (N, 2) lie within the outline, or ``beyond`` metres round it."""
        inside = np.ones(len(ground), bool)
        for start, end in zip(self.outline, np.roll(self.outline, -1, axis=0), strict=True):
            along, offset = end - start, ground - start
            left = (along[0] * offset[:, 1] - along[1] * offset[:, 0]) / np.hypot(*along)
            inside &= left >= -beyond - 1e-6
        return inside


def find_surface(label: int, points: np.ndarray, voxel_size: float) -> Surface | None:
    """The top of one table-like thing with this label, None where it has none.

    points: (N, 3) metres, one for each of its voxels, N > 0, z up. What stands on it may be
    among them.
    """
    height = points[:, 2].astype(np.float64)
    bins = np.floor((height - height.min()) / (voxel_size / 2)).astype(np.int64)
    # A level top fills two neighbouring bins of half a voxel.
    counts = np.convolve(np.bincount(bins), [1, 1])
    wide = int(np.flatnonzero(counts >= SHARE_OF_WIDEST * counts.max())[-1])
    lowest = max(wide - 2, 0)
    peak = lowest + int(np.argmax(counts[lowest : wide + 1]))
    level = (bins == peak) | (bins == peak - 1)
    if np.count_nonzero(level) * voxel_size**2 < MIN_AREA:
        return None
    outline = cv2.convexHull(points[level, :2].astype(np.float32))[:, 0].astype(np.float64)
    if len(outline) < 3:
        return None
    x, y = (outline - outline[0]).T
    if np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) < 0:
        outline = outline[::-1]
    return Surface(label, float(np.median(height[level])), outline)


def belongs_to_top(
    index: np.ndarray, points: np.ndarray, surface: Surface, voxel_size: float
) -> np.ndarray:
    """(V,) bool: voxels in the top of a thing, whatever their label.

    index: (V, 3) lattice indices, points: (V, 3) metres. Models often call a part of a table
    something else; a column of voxels that goes through the top is not meant.
    """
    height = (points[:, 2] - surface.height) / voxel_size
    near = np.flatnonzero(np.abs(height) <= THROUGH)
    near = near[surface.covers(points[near, :2].astype(np.float64), BEYOND)]
    height = height[near]
    _, column = np.unique(index[near, :2], axis=0, return_inverse=True)
    column = column.reshape(-1)
    above = np.bincount(column, height > THICKNESS) > 0
    below = np.bincount(column, height < -DEPTH) > 0
    through = (above & below)[column]
    top = np.zeros(len(points), bool)
    top[near] = (height <= THICKNESS) & (height >= -DEPTH) & ~through
    return top


def stands_on(points: np.ndarray, label: np.ndarray, surface: Surface, voxel_size: float) -> bool:
    """Whether the thing of (N, 3) ``points``, N > 0, stands on this surface.

    label: (N,) of its voxels. A thing that goes on below the top, as a chair drawn up to a table
    does, stands elsewhere; one of the label of the top and nearly as long, as the upper shelves
    of a cupboard are, is the rest of the same piece.
    """
    height = points[:, 2] - surface.height
    above = height > 0
    if not above.any() or height[above].min() > GAP * voxel_size:
        return False
    if np.mean(~above) > BELOW:
        return False
    ground = points[:, :2].astype(np.float64)
    own = np.mean(label == surface.label) > 0.5
    if own and _length(ground) > AS_LONG * _length(surface.outline):
        return False
    return bool(np.mean(~surface.covers(ground, BEYOND)) <= BESIDE)


def _length(ground: np.ndarray) -> float:
    """Metres, the diagonal of the rectangle along x and y round (N, 2) points."""
    return float(np.linalg.norm(np.ptp(ground, axis=0)))
