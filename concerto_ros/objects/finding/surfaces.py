# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Support surfaces: the tops of tables, desks, counters and cabinets."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

#: A top smaller than this supports nothing, square metres.
MIN_AREA = 0.04

#: The top is the highest level with at least this share of the voxels of the widest level.
SHARE_OF_WIDEST = 0.5

#: Voxels at most this many voxels above (THICKNESS) or below (DEPTH) the top belong to it.
THICKNESS, DEPTH = 0.75, 1.5

#: A column is looked at up to this many voxels above and below the top; one with voxels on both
#: sides passes through the top.
THROUGH = 4.0

#: An object on the top begins at most this many voxels above it.
GAP = 3.0

#: Objects hide parts of the top, so they may stand this many metres beyond its visible outline.
BEYOND = 0.1

#: Share of an object's voxels that may be beside the top, and share that may be below it.
BESIDE, BELOW = 0.5, 0.1

#: An object of the top's label that is longer than this share of the top is the upper part of the
#: same piece of furniture.
AS_LONG = 0.7


@dataclass(frozen=True, eq=False)
class Surface:
    """A horizontal top.

    Attributes:
        label: Of the object whose top it is.
        height: Metres, z of the fixed frame.
        outline: (H, 2) float64, metres, convex, counterclockwise.
    """

    label: int
    height: float
    outline: np.ndarray

    def covers(self, ground: np.ndarray, beyond: float = 0.0) -> np.ndarray:
        """Test which of (N, 2) points lie within the outline, or ``beyond`` metres around it.

        Returns:
            (N,) bool.
        """
        inside = np.ones(len(ground), bool)
        for start, end in zip(self.outline, np.roll(self.outline, -1, axis=0), strict=True):
            along, offset = end - start, ground - start
            left = (along[0] * offset[:, 1] - along[1] * offset[:, 0]) / np.hypot(*along)
            inside &= left >= -beyond - 1e-6
        return inside


def find_surface(label: int, points: np.ndarray, voxel_size: float) -> Surface | None:
    """Find the top of one table-like object; None without one.

    Args:
        label: Label of the object.
        points: (N, 3) metres, one for each of its voxels, N > 0, z up. What stands on it may be
            among them.
        voxel_size: Metres.
    """
    height = points[:, 2].astype(np.float64)
    bins = np.floor((height - height.min()) / (voxel_size / 2)).astype(np.int64)
    # A horizontal top fills two neighbouring bins of half a voxel.
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
    """Find the voxels that are in the top of an object, whatever their label.

    Models often label a part of a table as something else; a column of voxels that passes through
    the top is not meant.

    Args:
        index: (V, 3) lattice indices.
        points: (V, 3) metres.
        surface: The top.
        voxel_size: Metres.

    Returns:
        (V,) bool.
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
    """Return whether an object stands on this surface.

    An object that extends below the top, as a chair drawn up to a table does, stands elsewhere;
    one of the label of the top and nearly as long, as the upper shelves of a cupboard are, is the
    rest of the same piece of furniture.

    Args:
        points: (N, 3) metres, N > 0, voxels of the object.
        label: (N,) their labels.
        surface: The top.
        voxel_size: Metres.
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
    """Return the diagonal of the rectangle along x and y around (N, 2) points, metres."""
    return float(np.linalg.norm(np.ptp(ground, axis=0)))
