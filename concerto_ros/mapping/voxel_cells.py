# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The voxels of a map divided into cells, cells into blocks: what is asked of neighbourhoods.

Counting voxels by cell takes a sort of all of them. A map counts those that come and go instead.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from concerto_ros.mapping.voxel_grid import AXIS_BITS, pack

#: Edges of a cell and of a block, voxels.
CELL, BLOCK = 4, 8
#: Numbers of cells without voxels are given up once they are more than the others and this.
_FEW = 1024
_NO_KEYS = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class VoxelCells:
    """Which cell each of V voxels lies in.

    Attributes:
        of_voxel: (V,) int64, the number of the cell of each voxel.
        count: (C,) int64, how many voxels each cell has; it may be none.
        corner: (C,) int64, the key of the lowest lattice index of each cell.
        column: (C,) int64, the number of the column of cells that each is part of.
        block: (C,) int64, the number of the block that each is part of.
        block_corner: (B,) int64, the key of the lowest lattice index of each block.
    """

    of_voxel: np.ndarray
    count: np.ndarray
    corner: np.ndarray
    column: np.ndarray
    block: np.ndarray
    block_corner: np.ndarray

    @classmethod
    def of(cls, index: np.ndarray) -> VoxelCells:
        """Divide voxels (V, 3) into cells."""
        cells, rows = MapCells(len(index)), np.arange(len(index))
        cells.add(rows, pack(index))
        return cells.of(rows)


class MapCells:
    """The cells of the voxels of a map, by the rows of the map, as voxels come and go."""

    def __init__(self, capacity: int):
        """Make cells without voxels, for a map of ``capacity`` rows."""
        self._of_row = np.zeros(capacity, dtype=np.int64)
        self._start()

    def clear(self) -> None:
        """Forget all voxels."""
        self._of_row.fill(0)
        self._start()

    def _start(self) -> None:
        self._cells, self._columns, self._blocks = _Numbers(), _Numbers(), _Numbers()
        self._count = self._column = self._block = _NO_KEYS

    def add(self, rows: np.ndarray, keys: np.ndarray) -> None:
        """Count the voxels ``keys`` (n,), which entered the map in ``rows`` (n,)."""
        of_voxel = self._numbers(_corner(keys, CELL))
        self._of_row[rows] = of_voxel
        count = np.bincount(of_voxel, minlength=len(self._column))
        count[: len(self._count)] += self._count
        self._count = count

    def remove(self, rows: np.ndarray) -> None:
        """Count the voxels of ``rows`` (n,) no more, which left the map."""
        size = len(self._count)
        self._count = self._count - np.bincount(self._of_row[rows], minlength=size)
        kept = np.flatnonzero(self._count)
        if size > max(2 * len(kept), _FEW):
            corner, count = self._cells.keys[kept], self._count[kept]
            self._start()
            number = np.zeros(size, np.int64)
            number[kept] = self._numbers(corner)
            self._count = np.zeros(len(kept), np.int64)
            self._count[number[kept]] = count
            self._of_row = number[self._of_row]

    @property
    def corners(self) -> np.ndarray:
        """The corners of the cells that have voxels, (n,) int64."""
        return self._cells.keys[self._count > 0]

    def _numbers(self, corner: np.ndarray) -> np.ndarray:
        """Return the numbers of the cells with these corners, of which new ones get one."""
        known = len(self._column)
        numbers = self._cells.of(corner)
        new = self._cells.keys[known:]
        self._column = np.concatenate([self._column, self._columns.of(new >> AXIS_BITS)])
        self._block = np.concatenate([self._block, self._blocks.of(_corner(new, BLOCK))])
        return numbers

    def of(self, rows: np.ndarray) -> VoxelCells:
        """Return the cells of the voxels in ``rows`` (V,), which are all of the map."""
        return VoxelCells(
            self._of_row[rows],
            self._count,
            self._cells.keys,
            self._column,
            self._block,
            self._blocks.keys,
        )


class _Numbers:
    """Numbers keys in the order in which they come.

    Attributes:
        keys: (C,) int64, the keys by number; a new array whenever it grows.
    """

    def __init__(self) -> None:
        self.keys = _NO_KEYS
        self._sorted = self._number = _NO_KEYS

    def of(self, keys: np.ndarray) -> np.ndarray:
        """Return the numbers of keys (n,) int64, of which new ones get one."""
        distinct, which = _distinct(keys)
        row = np.searchsorted(self._sorted, distinct)
        new = row == len(self._sorted)
        new[~new] = self._sorted[row[~new]] != distinct[~new]
        if new.any():
            numbers = len(self.keys) + np.arange(np.count_nonzero(new))
            self.keys = np.concatenate([self.keys, distinct[new]])
            self._sorted = np.insert(self._sorted, row[new], distinct[new])
            self._number = np.insert(self._number, row[new], numbers)
            row += np.cumsum(new) - new  # the new ones before each
        return self._number[row][which]


def _distinct(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return distinct keys, ascending, and which of them each of (n,) is; faster than NumPy."""
    ordered, order = torch.sort(torch.from_numpy(keys))
    changes = np.diff(ordered.numpy(), prepend=-1) != 0
    which = np.empty(len(keys), np.int64)
    which[order.numpy()] = np.cumsum(changes) - 1
    return ordered.numpy()[changes], which


def _corner(keys: np.ndarray, edge: int) -> np.ndarray:
    """Return the keys of the lowest voxels of the cubes that voxels lie in.

    Args:
        keys: (n,) int64.
        edge: of the cubes, voxels, a power of two.
    """
    axis = (1 << AXIS_BITS) - edge
    return keys & ((axis << 2 * AXIS_BITS) | (axis << AXIS_BITS) | axis)
