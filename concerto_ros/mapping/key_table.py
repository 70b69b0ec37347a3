# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A hash table from voxel keys to row numbers, vectorised over whole arrays."""

from __future__ import annotations

import numpy as np

_EMPTY = np.int64(-1)
_REMOVED = np.int64(-2)
#: 2**64 divided by the golden ratio: spreads neighbouring keys (Knuth, vol. 3, 6.4).
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


class KeyTable:
    """Distinct keys (int64, >= 0) and the row (int32, >= 0) each one owns.

    Open addressing with linear probing; every probe is one NumPy operation over all keys that are
    not found yet. All memory is allocated at construction. Results do not depend on the slots.
    """

    def __init__(self, capacity: int):
        """Make an empty table for at most ``capacity`` keys, which fill at most half of it."""
        bits = max(4, int(2 * capacity - 1).bit_length())
        self._shift = np.uint64(64 - bits)
        self._mask = np.int64((1 << bits) - 1)
        self._keys = np.full(1 << bits, _EMPTY)
        self._rows = np.zeros(1 << bits, dtype=np.int32)
        self._occupied = 0  # slots that are not _EMPTY; removed ones lengthen searches as well

    def find(self, keys: np.ndarray) -> np.ndarray:
        """Return the rows (N,) int32 of ``keys`` (N,) int64; -1 where a key is absent."""
        slot, present = self._search(keys)
        return np.where(present, self._rows[slot], np.int32(-1))

    def insert(self, keys: np.ndarray, rows: np.ndarray) -> None:
        """Add ``keys`` (N,), all distinct and absent, with their ``rows`` (N,)."""
        if self._occupied + len(keys) > 0.7 * len(self._keys):
            self._rebuild()
        slot = self._home(keys)
        while len(keys):
            found = self._keys[slot]
            free = found < 0
            self._keys[slot[free]] = keys[free]
            # Of several keys written to one slot, only one is stored.
            settled = self._keys[slot] == keys
            self._rows[slot[settled]] = rows[settled]
            self._occupied += int(np.count_nonzero(settled & (found == _EMPTY)))
            waiting = ~settled
            keys, rows = keys[waiting], rows[waiting]
            slot = (slot[waiting] + 1) & self._mask

    def remove(self, keys: np.ndarray) -> None:
        """Forget ``keys`` (N,); absent ones are ignored."""
        slot, present = self._search(keys)
        self._keys[slot[present]] = _REMOVED

    def clear(self) -> None:
        """Remove all keys."""
        self._keys.fill(_EMPTY)
        self._occupied = 0

    def _home(self, keys: np.ndarray) -> np.ndarray:
        return ((keys.view(np.uint64) * _GOLDEN) >> self._shift).view(np.int64)

    def _search(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return for each key the slot where its search ended, and whether it holds the key."""
        slot = self._home(keys)
        found = self._keys[slot]
        present = found == keys
        looking = np.flatnonzero(~present & (found != _EMPTY))
        while len(looking):
            slot[looking] = (slot[looking] + 1) & self._mask
            found = self._keys[slot[looking]]
            hit = found == keys[looking]
            present[looking] = hit
            looking = looking[~hit & (found != _EMPTY)]
        return slot, present

    def _rebuild(self) -> None:
        """Reinsert all keys, which frees the slots of removed ones."""
        present = self._keys >= 0
        keys, rows = self._keys[present], self._rows[present]
        self.clear()
        self.insert(keys, rows)
