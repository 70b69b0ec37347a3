# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which voxels a map had at one moment, and what changed in it since an earlier one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from concerto_ros.mapping.generation import Generation


@dataclass(frozen=True, eq=False)
class Members:
    """The voxels that a map had at one moment.

    Whoever keeps something of each voxel from one prediction to the next keeps it by slot: then
    only what came or changed has to be touched, and nothing is rearranged when the order of the
    rows shifts.

    Attributes:
        keys: (V,) int64, ascending.
        first_seen: (V,) int64, nanoseconds.
        slots: (V,) int64, numbers below the size of the map, which the voxels keep as long as they
            are in it. The slot of one that left is given to another.
        entered: (V,) int64, the revision of the map at which each voxel entered it.
        changed: (V,) int64, the revision at which each was last seen.
        generation: of the map.
        revision: of the map.
    """

    keys: np.ndarray
    first_seen: np.ndarray
    slots: np.ndarray
    entered: np.ndarray
    changed: np.ndarray
    generation: Generation
    revision: int

    @classmethod
    def alone(cls, keys: np.ndarray, first_seen: np.ndarray) -> Members:
        """Return voxels of which nothing else is known; their slots are their rows."""
        never, rows = np.zeros(len(keys), np.int64), np.arange(len(keys))
        return cls(keys, first_seen, rows, never, never, Generation(), 0)

    def __len__(self) -> int:
        return len(self.keys)

    @cached_property
    def room(self) -> int:
        """How many slots there are at least."""
        return int(self.slots.max(initial=-1)) + 1

    def since(self, earlier: Members) -> Changes | None:
        """Return what changed since an earlier moment of the same generation of the map.

        The answer is the same whatever was asked of the map between. None where the moments have
        nothing in common, or ``earlier`` is the later one.
        """
        if earlier.generation is not self.generation or earlier.revision > self.revision:
            return None
        seen = np.flatnonzero(self.changed > earlier.revision)
        return Changes(self, earlier, seen, seen[self.entered[seen] > earlier.revision])


@dataclass(frozen=True, eq=False)
class Changes:
    """What changed in a map from one moment to another.

    Attributes:
        now: the V voxels of the later moment.
        earlier: those of the other.
        seen: (n,) int64, ascending, the voxels that were seen since, and those that entered.
        entered: (m,) int64, ascending, those that entered the map; one that had left it is another
            surface, even with the same key.
    """

    now: Members
    earlier: Members
    seen: np.ndarray
    entered: np.ndarray

    @property
    def gone(self) -> np.ndarray:
        """The keys of the voxels that left the map since, (G,) int64."""
        now, earlier = self.now, self.earlier
        if len(now) - len(self.entered) == len(earlier):
            return earlier.keys[:0]
        stayed = np.zeros(max(now.room, earlier.room), bool)
        stayed[now.slots] = True
        stayed[now.slots[self.entered]] = False
        return earlier.keys[~stayed[earlier.slots]]
