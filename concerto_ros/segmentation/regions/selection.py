# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which voxels of a map are due for a prediction: pure arithmetic on indices and stamps.

The map is divided into cubic blocks. A block is due as a whole, and the encoder sees the blocks
around it as well, because the features of a voxel depend on what is near it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

#: Edge of a block, voxels; the encoder sees one more block on each side, and up to so many if it
#: sees less than this number of voxels.
BLOCK, RINGS, LEAST = 8, 5, 4096
#: A block is due at once if more of its voxels than this share changed, counting those that left,
MUCH = 0.3
#: and a second after its last prediction if more than this share did, or a block beside it was
#: due, or if it has had a voxel without any prediction for so long.
SOME, PATIENCE = 0.1, 1.0
#: So few changed voxels do not count: sensors are noisy.
FEW = 8
#: Seconds within which every voxel is predicted again, and into how many turns they are divided.
REFRESH, TURNS = 10.0, 8
#: Blocks of TILE x TILE columns have the same turn.
TILE = 8
#: From this share of the map's voxels on, the encoder sees all of them.
WHOLE = 0.75
#: The stamp of what was never predicted.
NEVER = np.iinfo(np.int64).min
#: Blocks become larger rather than more than this.
_MOST_BLOCKS = 1 << 22


@dataclass(frozen=True, eq=False)
class History:
    """What is known of the V voxels of a map.

    Attributes:
        index: (V, 3) lattice indices, V > 0.
        first_seen: (V,) int64, nanoseconds.
        predicted: (V,) int64, nanoseconds, stamp of the last prediction; :data:`NEVER`: none.
        changed: (V,) bool, whether the readings changed since then.
        unsettled: (V,) bool, whether their block or one beside it changed since then.
        gone: (G, 3) lattice indices of voxels that left the map since it was last asked about.
    """

    index: np.ndarray
    first_seen: np.ndarray
    predicted: np.ndarray
    changed: np.ndarray
    unsettled: np.ndarray
    gone: np.ndarray


@dataclass(frozen=True, eq=False)
class Region:
    """The part of a map that a prediction covers.

    Attributes:
        rows: (n,) int64, ascending, the voxels that the encoder sees; None: all.
        core: (m,) int64, ascending, those that get the prediction; None: all.
        unsettled: (V,) bool, the voxels whose block, or one beside it, changed since their
            prediction, once this one is done.
    """

    rows: np.ndarray | None
    core: np.ndarray | None
    unsettled: np.ndarray

    @cached_property
    def inner(self) -> np.ndarray | None:
        """The core as positions in ``rows``, (m,) int64; None: all."""
        if self.rows is None or self.core is None:
            return None
        return np.searchsorted(self.rows, self.core)


def whole_map(size: int) -> Region:
    """Return the region that is all of a map of ``size`` voxels."""
    return Region(None, None, np.zeros(size, bool))


def select(history: History, now: int) -> Region:
    """Return the voxels that are due.

    A block is due if enough of its voxels changed, a second later than its last prediction if
    those of a block beside it did, and when its turn of the refresh comes: whatever happens, the
    prediction of no voxel is older than :data:`REFRESH` afterwards.

    Args:
        history: of the voxels of the map.
        now: nanoseconds, the stamp of the map.

    Returns:
        The region; it may be empty. The whole map where the encoder would see most of it.
    """
    size = len(history.index)
    blocks = _Blocks.of(history.index)
    new = history.predicted == NEVER
    changes = blocks.count(history.changed | new) + blocks.count_at(history.gone)
    due = changes > np.maximum(FEW, MUCH * blocks.size)
    unsettled = blocks.spread(due) | (changes > np.maximum(FEW, SOME * blocks.size))
    unsettled = history.unsettled | unsettled[blocks.of_voxel]
    due &= blocks.size > 0  # all that was in it left: the blocks around it are unsettled
    since = np.where(new, history.first_seen, history.predicted)
    due |= blocks.any((unsettled | new) & (since < now - round(PATIENCE * 1e9)))
    due |= blocks.any(since < _turn(history.index, blocks.edge, now))

    near = blocks.spread(due)
    for _ in range(RINGS - 1):
        if blocks.size[near].sum() < LEAST:
            near = blocks.spread(near)
    seen = near[blocks.of_voxel]
    if np.count_nonzero(seen) >= WHOLE * size:
        return whole_map(size)
    # What was never predicted is better predicted with less around it than not at all.
    core = due[blocks.of_voxel] | (seen & new)
    return Region(np.flatnonzero(seen), np.flatnonzero(core), unsettled & ~core)


def _turn(index: np.ndarray, edge: int, now: int) -> np.ndarray:
    """Return when the last turn of each voxel was, (V,) int64 nanoseconds.

    Turns are at fixed times and places of the lattice: one that follows another by
    :data:`REFRESH` catches every voxel that was not predicted between.
    """
    tile = index[:, :2] // (edge * TILE)
    period = round(REFRESH * 1e9)
    phase = (tile[:, 0].astype(np.int64) + 3 * tile[:, 1]) % TURNS * (period // TURNS)
    return (now - phase) // period * period + phase


@dataclass(frozen=True, eq=False)
class _Blocks:
    """The blocks of a map in a grid that has a margin of one block.

    Attributes:
        edge: of a block, voxels.
        low: (3,) the lowest block.
        shape: blocks in each direction.
        of_voxel: (V,) the number of the block of each voxel.
        size: (B,) how many voxels each block has.
    """

    edge: int
    low: np.ndarray
    shape: tuple[int, ...]
    of_voxel: np.ndarray
    size: np.ndarray

    @classmethod
    def of(cls, index: np.ndarray) -> _Blocks:
        edge = BLOCK
        lowest, highest = index.min(axis=0).astype(np.int64), index.max(axis=0).astype(np.int64)
        while np.prod(highest // edge - lowest // edge + 3, dtype=np.float64) > _MOST_BLOCKS:
            edge *= 2
        low = lowest // edge - 1
        shape = tuple((highest // edge - low + 2).tolist())
        of_voxel = _number(index // edge - low, shape)
        return cls(edge, low, shape, of_voxel, np.bincount(of_voxel, minlength=np.prod(shape)))

    def count(self, mask: np.ndarray) -> np.ndarray:
        """Return (B,) how many voxels of a mask (V,) each block has."""
        return np.bincount(self.of_voxel[mask], minlength=len(self.size))

    def any(self, mask: np.ndarray) -> np.ndarray:
        """Return (B,) whether a block has any voxel of a mask (V,)."""
        return self.count(mask) > 0

    def count_at(self, index: np.ndarray) -> np.ndarray:
        """Return (B,) how many of the lattice indices (G, 3) each block has."""
        block = index // self.edge - self.low
        inside = np.all((block >= 0) & (block < self.shape), axis=1)
        return np.bincount(_number(block[inside], self.shape), minlength=len(self.size))

    def spread(self, mask: np.ndarray) -> np.ndarray:
        """Return (B,) the blocks of a mask (B,) and the 26 around each."""
        grid = mask.reshape(self.shape).copy()
        for axis in range(3):
            before = np.moveaxis(grid, axis, 0)
            after = before.copy()
            after[1:] |= before[:-1]
            after[:-1] |= before[1:]
            grid = np.moveaxis(after, 0, axis)
        return grid.reshape(-1)


def _number(block: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return (block[:, 0] * shape[1] + block[:, 1]) * shape[2] + block[:, 2]
