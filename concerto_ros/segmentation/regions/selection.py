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

from concerto_ros.mapping.voxel_grid import bounds

#: Edge of a block, voxels; the encoder sees so many more blocks on each side, of what is due at
#: once only so many, because its turn comes soon, and up to so many if it sees less than this
#: number of voxels. Maps that have fewer are always predicted as a whole.
BLOCK, MARGIN, CLOSE, RINGS, LEAST = 8, 2, 1, 5, 4096
#: A block changed if more of its voxels than this share entered or left the map; those whose
#: readings changed count half, because they have a label.
SOME = 0.1
#: It is due at once if more than SOME of it has no prediction, or more than MUCH of it changed.
MUCH = 0.4
#: So few voxels do not count: sensors are noisy.
FEW = 8
#: If what is due at a turn and its margin are at least the share LARGE of the map, or of AMPLE
#: voxels, the encoder sees so many. Attention works in patches that are cut along curves through
#: all that the encoder sees: those of a whole room are nearly the patches of the whole map.
LARGE, AMPLE = 0.25, 100_000
#: Seconds from one turn to the next. Then all is due that changed since the last one, with the
#: blocks beside what was due at once and every voxel without a prediction: the encoder sees less
#: in vain around many blocks at a time than around a few at each time.
PATIENCE = 0.8
#: Seconds within which every voxel is predicted again, an equal part of the map at each turn.
REFRESH, TURNS = 9.6, 12
#: Blocks of TILE x TILE columns have the same turn of the refresh.
TILE = 8
#: From this share of the map's voxels on, the encoder sees all of them.
WHOLE = 0.75
#: Likewise, if so many lie in blocks in which anything changed: a LiDAR adds some voxels in most
#: places with each sweep, and around each of them the encoder would see its margin.
EVERYWHERE = 0.45
#: The stamp of what was never predicted.
NEVER = np.iinfo(np.int64).min
#: The phase of turns that are the same for all blocks.
_ALL = np.zeros(1, np.int64)
#: Blocks become larger rather than more than this.
_MOST_BLOCKS = 1 << 22


@dataclass(frozen=True, eq=False)
class History:
    """What is known of the V voxels of a map.

    Attributes:
        index: (V, 3) lattice indices, V > 0.
        first_seen: (V,) int64, nanoseconds.
        predicted: (V,) int64, nanoseconds, stamp of the last prediction; :data:`NEVER`: none.
        changed: (V,) bool, whether the readings changed since then; False without one.
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


def select(history: History, now: int, *, last: bool = False) -> Region:
    """Return the voxels that are due.

    A block is due at once if many of its voxels changed, at the next turn if some did or those of
    a block beside it, and when its turn of the refresh comes: whatever happens, the prediction of
    no voxel is older than :data:`REFRESH` afterwards. Blocks between such blocks, around which the
    encoder sees as much anyway, are predicted with them.

    Args:
        history: of the voxels of the map.
        now: nanoseconds, the stamp of the map.
        last: whether the next turn may never come, as no newer map does; then no voxel waits for
            it without a prediction.

    Returns:
        The region; it may be empty. The whole map where it is small, where it changed in most
            places, or where the encoder would see most of it.
    """
    size = len(history.index)
    new = history.predicted == NEVER
    if size < LEAST:
        return whole_map(size)
    blocks = _Blocks.of(history.index)
    entered = blocks.count(new)
    changes = entered + blocks.count_at(history.gone) + 0.5 * blocks.count(history.changed)
    if blocks.size[changes > 0].sum() > EVERYWHERE * size:
        return whole_map(size)
    some = np.maximum(FEW, SOME * blocks.size)
    at_once = (entered > (0 if last else some)) | (changes > np.maximum(FEW, MUCH * blocks.size))
    unsettled = (blocks.spread(at_once) | (changes > some))[blocks.of_voxel] | history.unsettled
    at_once &= blocks.size > 0  # all that was in it left: the blocks around it are unsettled
    since = np.where(new, history.first_seen, history.predicted)
    turn = blocks.any((unsettled | new) & (since < _last_turn(PATIENCE, now, _ALL)))
    again = blocks.any(since < _last_turn(REFRESH, now, blocks.phase)[blocks.of_voxel])

    due = turn | again | at_once
    near = blocks.ample(blocks.spread(turn, MARGIN))
    near |= blocks.spread(again, MARGIN) | blocks.spread(at_once, CLOSE)
    for _ in range(RINGS - CLOSE):
        if 0 < blocks.size[near].sum() < LEAST:
            near = blocks.spread(near)
    seen = near[blocks.of_voxel]
    if np.count_nonzero(seen) >= WHOLE * size:
        return whole_map(size)
    settled = turn | again | (near & ~blocks.spread(~near & (blocks.size > 0), MARGIN))
    # What was never predicted is better predicted with less around it than not at all.
    core = (settled | due)[blocks.of_voxel] | (seen & new)
    unsettled &= ~settled[blocks.of_voxel]
    return Region(np.flatnonzero(seen), np.flatnonzero(core), unsettled)


def _last_turn(seconds: float, now: int, phase: np.ndarray) -> np.ndarray:
    """Return when the last turn was, (B,) int64 nanoseconds.

    Turns are at fixed times and places of the lattice: one that follows another by ``seconds``
    catches every voxel that was not predicted between, and those near each other together.

    Args:
        seconds: from one turn to the next.
        now: nanoseconds.
        phase: (B,) which of :data:`TURNS` turns in this time it is.
    """
    period = round(seconds * 1e9)
    later = phase * (period // TURNS)
    return (now - later) // period * period + later


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
        lowest, highest = bounds(index)
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

    def spread(self, mask: np.ndarray, rings: int = 1) -> np.ndarray:
        """Return (B,) the blocks of a mask (B,) and so many on each side."""
        grid = mask.reshape(self.shape).copy()
        for axis in rings * [0, 1, 2]:
            before = np.moveaxis(grid, axis, 0)
            after = before.copy()
            after[1:] |= before[:-1]
            after[:-1] |= before[1:]
            grid = np.moveaxis(after, 0, axis)
        return grid.reshape(-1)

    def ample(self, mask: np.ndarray) -> np.ndarray:
        """Return (B,) the blocks of a mask (B,); if these are large, those around as well."""
        before, count = 0, self.size[mask].sum()
        large = LARGE * min(len(self.of_voxel), AMPLE)
        while max(large, before + 1) <= count < AMPLE:
            mask = self.spread(mask)
            before, count = count, self.size[mask].sum()
        return mask

    @property
    def phase(self) -> np.ndarray:
        """Which turn of the refresh each block has, (B,) int64."""
        x, y = ((self.low[axis] + np.arange(self.shape[axis])) // TILE for axis in range(2))
        columns = (x[:, None] + 3 * y) % TURNS
        return np.repeat(columns.reshape(-1), self.shape[2])


def _number(block: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return (block[:, 0] * shape[1] + block[:, 1]) * shape[2] + block[:, 2]
