# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The rows of a map's voxels sorted by key, kept sorted as voxels come and go."""

from __future__ import annotations

import numpy as np
import torch

from concerto_ros.mapping.voxel_cells import MapCells


class SortedRows:
    """Which rows of a map hold a voxel, in the order of the keys of their voxels.

    What came and went is collected, and merged when the order is asked for: sorting all keys anew
    would take time in proportion to the map.

    Attributes:
        keys: (V,) int64, ascending, the keys of the voxels at the last :meth:`merge`.
        rows: (V,) int64, the row of each.
        cells: the cells of these voxels.
    """

    def __init__(self, capacity: int):
        """Make an order without voxels, for a map of ``capacity`` rows."""
        self._came = np.zeros(capacity, dtype=bool)
        self._went = np.zeros(capacity, dtype=bool)
        self.cells = MapCells(capacity)
        self.clear()

    def clear(self) -> None:
        """Forget all voxels."""
        self.keys = self.rows = np.zeros(0, dtype=np.int64)
        self.cells.clear()
        self._came.fill(False)
        self._went.fill(False)

    def add(self, rows: np.ndarray) -> None:
        """Note that ``rows`` (n,), which had no voxel, have one."""
        self._came[rows] = True

    def remove(self, rows: np.ndarray) -> None:
        """Note that the voxels of ``rows`` (n,) left the map."""
        self._went[rows] = True
        self._came[rows] = False

    def merge(self, keys: np.ndarray) -> None:
        """Bring the order up to date.

        Args:
            keys: (capacity,) int64, the key of the voxel in each row.
        """
        if self._went.any():
            stays = ~self._went[self.rows]
            self.cells.remove(self.rows[~stays])
            self.keys, self.rows = self.keys[stays], self.rows[stays]
            self._went.fill(False)
        came = np.flatnonzero(self._came)
        if not len(came):
            return
        ordered, order = torch.sort(torch.from_numpy(keys[came]))
        new, came = ordered.numpy(), came[order.numpy()]
        place = np.searchsorted(self.keys, new)
        self.keys = np.insert(self.keys, place, new)
        self.rows = np.insert(self.rows, place, came)
        self.cells.add(came, new)
        self._came[came] = False
