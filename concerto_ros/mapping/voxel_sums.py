# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Running sums of what was observed in each voxel of the map, and their means."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from concerto_ros.mapping.map_snapshot import MapSnapshot
from concerto_ros.mapping.voxel_grid import FrameVoxels, unpack
from concerto_ros.sensors.normals import unit_vectors

# Columns of the sums.
_FRACTION, _COLOR, _NORMAL, _TOWARD = slice(0, 3), slice(3, 6), slice(6, 9), slice(9, 12)
_COUNT, _COLOR_COUNT, _COLUMNS = 12, 13, 14


class VoxelMeans(NamedTuple):
    """What the sums of V voxels say.

    Attributes:
        points: (V, 3) float32, metres.
        colors: (V, 3) float32, 0..255; zeros where ``has_color`` is False.
        has_color: (V,) bool.
        normals: (V, 3) float32 unit vectors, zeros where unknown.
        sensor_directions: (V, 3) float32 unit vectors from the voxel to the sensors that saw it.
    """

    points: np.ndarray
    colors: np.ndarray
    has_color: np.ndarray
    normals: np.ndarray
    sensor_directions: np.ndarray


class VoxelSums:
    """Sums in one row for each voxel of a map; the map says which voxel has which row.

    The means that were read of a row are kept until something is added to it. All memory that
    outlives a call is allocated at construction.
    """

    def __init__(self, capacity: int, voxel_size: float, limit: float):
        """Make sums of zero.

        Args:
            capacity: Number of rows.
            voxel_size: Metres, edge of a voxel.
            limit: Number of observations of a voxel above which its sums are halved.
        """
        self._voxel_size, self._limit = voxel_size, limit
        self._sums = torch.zeros(capacity, _COLUMNS)
        # Mean point, colour, normal and direction to the sensors of each row, and whether it has a
        # colour; of stale rows those of an earlier reading.
        self._means = tuple(torch.zeros(capacity, 3) for _ in range(4))
        self._colored = np.zeros(capacity, dtype=bool)
        self._stale = np.zeros(capacity, dtype=bool)

    def restart(self, rows: np.ndarray) -> None:
        """Set ``rows`` (n,) to zero; something is added to them before they are read again."""
        self._sums[torch.from_numpy(rows)] = 0.0

    def add(self, rows: np.ndarray, sums: torch.Tensor) -> None:
        """Add the (n, columns) sums of :func:`frame_sums` or :func:`snapshot_sums`.

        Args:
            rows: (n,) int64, distinct.
            sums: Of what was observed in their voxels.
        """
        held = self._sums.numpy()  # by NumPy: several times as fast as index_add_
        total = held.take(rows, axis=0)
        total += sums.numpy()
        total[total[:, _COUNT] > self._limit] *= 0.5
        held[rows] = total
        self._stale[rows] = True

    def points(self, rows: np.ndarray, keys: np.ndarray) -> np.ndarray:
        """Return the mean points of the voxels ``keys`` (V,) in ``rows``: (V, 3) float64, m."""
        sums = self._sums.numpy().take(rows, axis=0)
        fraction = sums[:, _FRACTION] / sums[:, _COUNT, None]
        return (unpack(keys) + fraction.astype(np.float64)) * self._voxel_size

    def means(self, rows: np.ndarray, keys: np.ndarray) -> VoxelMeans:
        """Return the means of the voxels ``keys`` (V,) in ``rows`` (V,)."""
        stale = self._stale[rows]
        self._renew(rows[stale], keys[stale])
        # NumPy takes rows of three numbers six times as fast as PyTorch.
        points, colors, normals, toward = (
            values.numpy().take(rows, axis=0) for values in self._means
        )
        return VoxelMeans(points, colors, self._colored[rows], normals, toward)

    def _renew(self, rows: np.ndarray, keys: np.ndarray) -> None:
        """Compute the means of the voxels ``keys`` (V,) in ``rows`` (V,) from their sums."""
        row = torch.from_numpy(rows)
        sums = self._sums.index_select(0, row)
        count = sums[:, _COLOR_COUNT, None]
        colored = count >= 0.5  # halving leaves less than one old colour
        for means, new in zip(
            self._means,
            (
                torch.from_numpy(self.points(rows, keys)).float(),
                (sums[:, _COLOR] / count.clamp_min(0.5)).where(colored, 0.0),
                torch.from_numpy(unit_vectors(sums[:, _NORMAL].numpy())),
                torch.from_numpy(unit_vectors(sums[:, _TOWARD].numpy())),
            ),
            strict=True,
        ):
            means.index_copy_(0, row, new)
        self._colored[rows] = colored[:, 0].numpy()
        self._stale[rows] = False


def frame_sums(seen: FrameVoxels, origin: np.ndarray, voxel_size: float) -> torch.Tensor:
    """Return the sums (V, columns) of one frame.

    The direction to the sensor is that of the mean point, as a voxel is small compared with its
    distance to the sensor.

    Args:
        seen: The V voxels of its points.
        origin: (3,), metres, where the sensor was.
        voxel_size: Metres.
    """
    sums = torch.zeros(len(seen), _COLUMNS)
    count = torch.from_numpy(seen.count)[:, None]
    fraction = torch.from_numpy(seen.fraction)
    sums[:, _FRACTION] = fraction
    # The lattice index in float64, for the same precision far from the origin.
    corner = torch.from_numpy(seen.index).double().mul_(voxel_size)
    toward = torch.from_numpy(np.asarray(origin, dtype=np.float64)).sub(corner).float()
    toward.sub_(fraction / count, alpha=voxel_size)
    length = torch.linalg.vector_norm(toward, dim=1, keepdim=True)
    sums[:, _TOWARD] = toward.mul_(count / length.clamp_min_(1e-3))
    sums[:, _COUNT] = count[:, 0]
    if seen.color is not None:
        sums[:, _COLOR] = torch.from_numpy(seen.color)
        sums[:, _COLOR_COUNT] = count[:, 0]
    if seen.normal is not None:
        sums[:, _NORMAL] = torch.from_numpy(seen.normal)
    return sums


def snapshot_sums(snapshot: MapSnapshot, voxel_size: float) -> torch.Tensor:
    """Return the sums (V, columns) of the V voxels of a snapshot, each as one observation."""
    sums = np.zeros((len(snapshot), _COLUMNS), np.float32)
    cell_offset = snapshot.points.astype(np.float64) / voxel_size - snapshot.index
    sums[:, _FRACTION] = np.clip(cell_offset, 0.0, 1.0)
    sums[:, _COLOR], sums[:, _COLOR_COUNT] = snapshot.colors, snapshot.has_color
    sums[:, _NORMAL], sums[:, _TOWARD] = snapshot.normals, snapshot.sensor_directions
    sums[:, _COUNT] = 1.0
    return torch.from_numpy(sums)
