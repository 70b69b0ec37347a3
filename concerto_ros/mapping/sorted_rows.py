# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The rows of a map's voxels sorted by key, kept sorted as voxels come and go."""

from __future__ import annotations

import numpy as np


class SortedRows:
    """Which rows of a map hold a voxel, in the order of the keys of their voxels.

    What came and went is collected, and merged when the order is asked for: sorting all keys anew
    would take time in proportion to the map.

    Attributes:
        keys: (V,) int64, ascending, the keys of the voxels at the last :meth:`merge`.
        rows: (V,) int64, the row of each.
    """

    def __init__(self, capacity: int):
        """Make an order without voxels, for a map of ``capacity`` rows."""
        self._came = np.zeros(capacity, dtype=bool)
        self._went = np.zeros(capacity, dtype=bool)
        self.clear()

    def clear(self) -> None:
        """Forget all voxels."""
        self.keys = self.rows = np.zeros(0, dtype=np.int64)
        self._changes: list[np.ndarray] = []
        self._came.fill(False)
        self._went.fill(False)

    def add(self, rows: np.ndarray) -> None:
        """Note that ``rows`` (n,), which had no voxel, have one."""
        self._came[rows] = True
        self._changes.append(rows.copy())

    def remove(self, rows: np.ndarray) -> None:
        """Note that the voxels of ``rows`` (n,) left the map."""
        self._went[rows] = True
        self._came[rows] = False
        self._changes.append(rows.copy())

    def merge(self, keys: np.ndarray) -> None:
        """Bring the order up to date.

        Args:
            keys: (capacity,) int64, the key of the voxel in each row.
        """
        if not self._changes:
            return
        changed = np.concatenate(self._changes)
        if self._went[changed].any():
            stays = ~self._went[self.rows]
            self.keys, self.rows = self.keys[stays], self.rows[stays]
        came = np.unique(changed[self._came[changed]])
        came = came[np.argsort(keys[came])]
        place = np.searchsorted(self.keys, keys[came])
        self.keys = np.insert(self.keys, place, keys[came])
        self.rows = np.insert(self.rows, place, came)
        self._came[changed] = self._went[changed] = False
        self._changes.clear()
