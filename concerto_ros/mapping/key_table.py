# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A hash table from lattice keys to row numbers that takes whole arrays at once."""

from __future__ import annotations

import numpy as np

_EMPTY = np.int64(-1)
_REMOVED = np.int64(-2)
#: 2**64 divided by the golden ratio: spreads neighbouring keys apart (Knuth, vol. 3, 6.4).
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


class KeyTable:
    """Distinct keys (int64, >= 0) and the row (int32, >= 0) each one owns.

    Open addressing with linear probing; every probe is one numpy operation over all keys that are
    still looking. The memory is taken at construction and never grows. Which slot a key lands in
    never shows outside.
    """

    def __init__(self, capacity: int):
        """``capacity``: the most keys the table ever holds; it is kept at most half full."""
        bits = max(4, int(2 * capacity - 1).bit_length())
        self._shift = np.uint64(64 - bits)
        self._mask = np.int64((1 << bits) - 1)
        self._keys = np.full(1 << bits, _EMPTY)
        self._rows = np.zeros(1 << bits, dtype=np.int32)
        self._taken = 0  # slots that are not _EMPTY; removed ones lengthen every search as well

    def find(self, keys: np.ndarray) -> np.ndarray:
        """(N,) int32 rows of ``keys`` (N,) int64; -1 where a key is absent."""
        slot, present = self._search(keys)
        return np.where(present, self._rows[slot], np.int32(-1))

    def insert(self, keys: np.ndarray, rows: np.ndarray) -> None:
        """Add ``keys`` (N,), all distinct and absent, with their ``rows`` (N,)."""
        if self._taken + len(keys) > 0.7 * len(self._keys):
            self._rebuild()
        slot = self._home(keys)
        while len(keys):
            found = self._keys[slot]
            free = found < 0
            self._keys[slot[free]] = keys[free]
            # Of the keys that wrote into one slot together only one is there now.
            settled = self._keys[slot] == keys
            self._rows[slot[settled]] = rows[settled]
            self._taken += int(np.count_nonzero(settled & (found == _EMPTY)))
            waiting = ~settled
            keys, rows = keys[waiting], rows[waiting]
            slot = (slot[waiting] + 1) & self._mask

    def remove(self, keys: np.ndarray) -> None:
        """Forget ``keys`` (N,); absent ones are ignored."""
        slot, present = self._search(keys)
        self._keys[slot[present]] = _REMOVED

    def clear(self) -> None:
        self._keys.fill(_EMPTY)
        self._taken = 0

    def _home(self, keys: np.ndarray) -> np.ndarray:
        return ((keys.view(np.uint64) * _GOLDEN) >> self._shift).view(np.int64)

    def _search(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For each key the slot where its search ended, and whether the key is there."""
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
        """Insert the living keys anew, which drops the slots of removed ones."""
        alive = self._keys >= 0
        keys, rows = self._keys[alive], self._rows[alive]
        self.clear()
        self.insert(keys, rows)
