# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The rolling map at one moment."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from concerto_ros.mapping.generation import Generation
from concerto_ros.mapping.members import Members
from concerto_ros.mapping.voxel_cells import VoxelCells
from concerto_ros.mapping.voxel_grid import LATTICE_LIMIT, find_keys, pack
from concerto_ros.sensors.frame import OriginalPoints
from concerto_ros.sensors.normals import neighbourhood_normals


@dataclass(frozen=True, eq=False)
class MapSnapshot:
    """The map at one moment, in the fixed frame. Arrays are read-only, rows sorted by (x, y, z).

    Attributes:
        keys: (V,) int64, ascending: ``pack(index)``, which identifies the same voxel in every map.
        index: (V, 3) int32 lattice index, ``floor(point / voxel_size)``.
        points: (V, 3) float32, metres, mean of the points seen in the voxel.
        colors: (V, 3) float32, 0..255, mean colour; zeros where ``has_color`` is False.
        has_color: (V,) bool.
        normals: (V, 3) float32 unit vectors, zeros where unknown.
        sensor_directions: (V, 3) float32 unit vectors from the voxel to the sensors that saw it.
        stamps: (V,) int64, nanoseconds, when the voxel was last seen.
        first_seen: (V,) int64, nanoseconds, when the voxel was first seen.
        stamp: Nanoseconds, newest frame in the map; 0 before the first.
        robot: (3,) float64, metres, where the robot was at ``stamp``.
        voxel_size: Metres.
        frames: Frames in the window.
        newest: The points of the newest message in the map, where its frame holds them.
        generation: Ends when the map is cleared or replaced.
        revision: Changes of the map until then, in this generation: snapshots with the same
            generation and revision are equal.
        slots: (V,) int64, see :class:`Members`, as the next two; None: not of a map.
        entered: (V,) int64.
        changed: (V,) int64.
        map_cells: the cells of the voxels, where the map has counted them.
    """

    keys: np.ndarray
    index: np.ndarray
    points: np.ndarray
    colors: np.ndarray
    has_color: np.ndarray
    normals: np.ndarray
    sensor_directions: np.ndarray
    stamps: np.ndarray
    first_seen: np.ndarray
    stamp: int
    robot: np.ndarray
    voxel_size: float
    frames: int
    newest: OriginalPoints | None = None
    generation: Generation = field(default_factory=Generation)
    revision: int = 0
    slots: np.ndarray | None = None
    entered: np.ndarray | None = None
    changed: np.ndarray | None = None
    map_cells: VoxelCells | None = None

    def __post_init__(self) -> None:
        for value in vars(self).values():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False

    def __len__(self) -> int:
        return len(self.index)

    @cached_property
    def members(self) -> Members:
        """Which voxels these are, to be compared with those of another moment."""
        if self.slots is None or self.entered is None or self.changed is None:
            return Members.alone(self.keys, self.first_seen)
        return Members(
            self.keys,
            self.first_seen,
            self.slots,
            self.entered,
            self.changed,
            self.generation,
            self.revision,
        )

    @cached_property
    def cells(self) -> VoxelCells:
        """The cells that the voxels lie in."""
        return VoxelCells.of(self.index) if self.map_cells is None else self.map_cells

    def rows_of(self, points: np.ndarray) -> np.ndarray:
        """Return the row of the voxel that each of ``points`` (N, 3), metres, lies in.

        Returns:
            (N,) int64; -1 where the map has no voxel, and for points that are not finite.
        """
        index = np.floor(points.astype(np.float64) / self.voxel_size)
        inside = np.all((index >= -LATTICE_LIMIT) & (index < LATTICE_LIMIT), axis=1)
        keys = pack(np.where(inside[:, None], index, 0))
        return np.where(inside, find_keys(self.keys, keys), -1)

    def rows_in(self, keys: np.ndarray, first_seen: np.ndarray) -> np.ndarray:
        """Return the row that each voxel has among those of an earlier snapshot of this map.

        A voxel that left the map and entered it again is another surface, even with the same key.
        When it was first seen tells the two apart; whether that was later than the earlier
        snapshot does not, because messages of several sensors come late.

        Args:
            keys: (U,) int64, ascending, of the earlier snapshot, or of some of its voxels.
            first_seen: (U,) int64, likewise.

        Returns:
            (V,) int64; -1 where the voxel is not among them, or has been another one since.
        """
        rows = find_keys(keys, self.keys)
        if len(keys):
            rows[self.first_seen != first_seen[rows]] = -1
        return rows

    def with_normals(self, rows: np.ndarray | None = None) -> MapSnapshot:
        """Return the map with missing normals estimated from neighbouring voxels.

        They face the sensors that saw the voxel. Fitting on voxels instead of raw points costs a
        fraction, because neighbouring readings are already averaged.

        Args:
            rows: (n,) the voxels whose normals are estimated, from those of their neighbours that
                are among them; None: all.
        """
        chosen = slice(None) if rows is None else rows
        part = self.normals[chosen]
        missing = np.flatnonzero(~part.any(axis=1))
        if not len(missing):
            return self
        # Depth images leave few voxels without normals: then it is cheaper to fit only those.
        few = len(missing) < 0.5 * len(part)
        fitted = neighbourhood_normals(
            self.points[chosen], self.sensor_directions[chosen], rows=missing if few else None
        )
        part = part.copy()
        part[missing] = fitted if few else fitted[missing]
        if rows is None:
            return replace(self, normals=part)
        normals = self.normals.copy()
        normals[rows] = part
        return replace(self, normals=normals)
