# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The points of a scene or view on their way to the voxels that an encoder takes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from concerto_ros.mapping.voxel_grid import pack
from concerto_ros.sensors.normals import unit_vectors

#: Of a view of which the student's frames see fewer voxels than this, it gets all.
FEWEST_SEEN = 32


@dataclass(frozen=True, eq=False)
class ViewCloud:
    """Points of a scene or view.

    Attributes:
        points: (N, 3) metres.
        origin: (N, 3) metres, where they were before augmentation.
        colors: (N, 3), 0..255.
        normals: (N, 2, 3), as all frames of the scene give them and as the student's do.
        patches: (N, I, 2) where images see them.
        seen: (N,) bool, whether the student's frames do.
        voxel: (N,) int64, the voxel of the scene that each lies in.
    """

    points: np.ndarray
    origin: np.ndarray
    colors: np.ndarray
    normals: np.ndarray
    patches: np.ndarray
    seen: np.ndarray
    voxel: np.ndarray

    def of(self, rows: np.ndarray) -> ViewCloud:
        """Some of the points."""
        return ViewCloud(*(value[rows] for value in vars(self).values()))

    def firsts(self) -> np.ndarray:
        """(V,) int64, the first point of each voxel."""
        return np.unique(self.voxel, return_index=True)[1]

    def within(self, rows: np.ndarray) -> ViewCloud:
        """A view: all points of the voxels in which some points lie.

        The student sees all of them if it sees fewer than :data:`FEWEST_SEEN` of the voxels.
        """
        view = self.of(np.flatnonzero(np.isin(self.voxel, self.voxel[rows])))
        if len(np.unique(view.voxel[view.seen])) >= FEWEST_SEEN:
            return view
        return replace(view, seen=np.ones_like(view.seen))


class Voxels(NamedTuple):
    """The voxels of a view.

    Attributes:
        feat: (V, 9) xyz, colour and normal, as all frames give them.
        grid: (V, 3) int64.
        coord: (V, 3) float32.
        origin: (V, 3) metres, before augmentation.
        patches: (V, I, 2) where images see them.
        own: (V, 9) as ``feat``, by the student's frames; of no meaning where they see nothing.
        seen: (V,) bool, which voxels the student's frames see.
    """

    feat: np.ndarray
    grid: np.ndarray
    coord: np.ndarray
    origin: np.ndarray
    patches: np.ndarray
    own: np.ndarray
    seen: np.ndarray


def voxels_of(
    cloud: ViewCloud, coord: np.ndarray, feat: np.ndarray, cell: np.ndarray, means: bool
) -> Voxels:
    """Sample the points of a view, each to its cell.

    Args:
        cloud: The points.
        coord: (N, 3), their place for the encoder.
        feat: (N, 9) their input.
        cell: (N, 3) of the grid.
        means: Whether a voxel is the mean of its points, instead of the first of them.
    """
    _, first, voxel = np.unique(pack(cell), return_index=True, return_inverse=True)
    own = np.concatenate([feat[:, :6], cloud.normals[:, 1]], axis=1)
    grid, patches = cell[first].astype(np.int64), cloud.patches[first]
    mine = cloud.seen
    if not means:
        whole = feat[first], grid, coord[first], cloud.origin[first], patches
        return Voxels(*whole, own[first], mine[first])
    return Voxels(
        _mean_feat(feat, voxel, len(first)),
        grid,
        _means(coord, voxel, len(first)),
        _means(cloud.origin, voxel, len(first)),
        patches,
        _mean_feat(own[mine], voxel[mine], len(first)),
        np.bincount(voxel[mine], minlength=len(first)) > 0,
    )


def _mean_feat(feat: np.ndarray, voxel: np.ndarray, count: int) -> np.ndarray:
    mean = _means(feat, voxel, count)
    mean[:, 6:9] = unit_vectors(mean[:, 6:9])
    return mean


def _means(values: np.ndarray, voxel: np.ndarray, count: int) -> np.ndarray:
    """The mean of the rows (N, C) of each voxel, (count, C) float32; zeros of an empty one."""
    sums = [np.bincount(voxel, column, minlength=count) for column in values.T]
    size = np.bincount(voxel, minlength=count).clip(min=1)
    return (np.stack(sums, axis=1) / size[:, None]).astype(np.float32)
