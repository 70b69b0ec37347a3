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

from concerto_ros.mapping.voxel_cells import BLOCK, VoxelCells
from concerto_ros.mapping.voxel_grid import bounds, find_keys, pack, unpack

#: The encoder sees so many more blocks of :data:`BLOCK` voxels on each side, of what is due at
#: once only so many, because its turn comes soon, and up to so many if it sees less than this
#: number of voxels. Maps that have fewer are always predicted as a whole.
MARGIN, CLOSE, RINGS, LEAST = 2, 1, 5, 4096
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
_NO_ROWS = np.zeros(0, np.int64)
#: Blocks become larger rather than more than this.
_MOST_BLOCKS = 1 << 22


@dataclass(frozen=True, eq=False)
class History:
    """What is known of the V voxels of a map.

    Attributes:
        cells: those of the voxels, V > 0.
        first_seen: (V,) int64, nanoseconds.
        predicted: (V,) int64, nanoseconds, stamp of the last prediction; :data:`NEVER`: none.
        changed: (V,) bool, whether the readings changed since then; False without one.
        unsettled: (V,) bool, whether their block or one beside it changed since then.
        gone: (G, 3) lattice indices of voxels that left the map since it was last asked about.
    """

    cells: VoxelCells
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
    size = len(history.predicted)
    new = history.predicted == NEVER
    if size < LEAST:
        return whole_map(size)
    blocks, gone = _Blocks.of(history.cells, history.gone)
    entered = blocks.count(new)
    changes = entered + gone + 0.5 * blocks.count(history.changed)
    if blocks.size[changes > 0].sum() > EVERYWHERE * size:
        return whole_map(size)
    some = np.maximum(FEW, SOME * blocks.size)
    at_once = (entered > (0 if last else some)) | (changes > np.maximum(FEW, MUCH * blocks.size))
    unsettled = (blocks.around(at_once).spread().mask | (changes > some))[blocks.of_voxel]
    unsettled |= history.unsettled
    at_once &= blocks.size > 0  # all that was in it left: the blocks around it are unsettled
    since, unpredicted = history.predicted.copy(), np.flatnonzero(new)
    since[unpredicted] = history.first_seen[unpredicted]
    turn = blocks.any((unsettled | new) & (since < _last_turn(PATIENCE, now, _ALL)))
    again = blocks.any(since < _last_turn(REFRESH, now, blocks.phase)[blocks.of_voxel])

    due = turn | again | at_once
    if not due.any():
        return Region(_NO_ROWS, _NO_ROWS, unsettled)
    parts = [
        _ample(blocks.around(turn).spread(MARGIN), size),
        blocks.around(again).spread(MARGIN),
        blocks.around(at_once).spread(CLOSE),
    ]
    near = np.any([part.mask for part in parts], axis=0)
    for _ in range(RINGS - CLOSE):
        if 0 < blocks.size[near].sum() < LEAST:
            parts = [part.spread() for part in parts]
            near = np.any([part.mask for part in parts], axis=0)
    rows = np.flatnonzero(near[blocks.of_voxel])
    if len(rows) >= WHOLE * size:
        return whole_map(size)
    others = ~near & (blocks.size > 0) & blocks.within(near, MARGIN)
    settled = turn | again | (near & ~blocks.around(others).spread(MARGIN).mask)
    block = blocks.of_voxel[rows]
    # What was never predicted is better predicted with less around it than not at all.
    core = (settled | due)[block] | new[rows]
    unsettled[rows] &= ~settled[block]
    return Region(rows, rows[core], unsettled)


def _ample(around: _Around, size: int) -> _Around:
    """Return what is around some blocks; if that is large, more of it.

    Args:
        around: the blocks and their margin.
        size: of the map, voxels.
    """
    before, count = 0, around.size
    large = LARGE * min(size, AMPLE)
    while max(large, before + 1) <= count < AMPLE:
        around = around.spread()
        before, count = count, around.size
    return around


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
    """The B blocks of a map that have voxels, or had some lately.

    Attributes:
        place: (B, 3) lattice indices divided by the edge of a block.
        of_voxel: (V,) the number of the block of each voxel.
        size: (B,) how many voxels each block has.
    """

    place: np.ndarray
    of_voxel: np.ndarray
    size: np.ndarray

    @classmethod
    def of(cls, cells: VoxelCells, gone: np.ndarray) -> tuple[_Blocks, np.ndarray]:
        """Divide a map, and count (B,) the voxels with lattice indices (G, 3) that left it."""
        corner = unpack(cells.corner)
        low, high = bounds(corner[cells.count > 0])
        edge = BLOCK
        while np.prod(high // edge - low // edge + 3, dtype=np.float64) > _MOST_BLOCKS:
            edge *= 2
        # What left farther away is beside no voxel.
        left = gone // edge
        left = left[_inside(left, low // edge - 1, high // edge + 1)]
        if edge == BLOCK:
            place, block = unpack(cells.block_corner) // edge, cells.block
        else:
            keys, block = np.unique(pack(corner // edge), return_inverse=True)
            place = unpack(keys)
        count = np.zeros(len(place), np.int64)
        if len(left):
            keys, which = np.unique(pack(left), return_inverse=True)
            row = _rows_in(pack(place), keys)
            added = row < 0
            row[added] = len(place) + np.arange(np.count_nonzero(added))
            place = np.concatenate([place, unpack(keys[added])])
            count = np.bincount(row[which], minlength=len(place))
        size = np.bincount(block, weights=cells.count, minlength=len(place)).astype(np.int64)
        return cls(place, block[cells.of_voxel], size), count

    def count(self, mask: np.ndarray) -> np.ndarray:
        """Return (B,) how many voxels of a mask (V,) each block has."""
        return np.bincount(self.of_voxel[mask], minlength=len(self.size))

    def any(self, mask: np.ndarray) -> np.ndarray:
        """Return (B,) whether a block has any voxel of a mask (V,)."""
        return self.count(mask) > 0

    def around(self, mask: np.ndarray) -> _Around:
        """Return the blocks of a mask (B,), to be spread."""
        place = self.place[mask]
        if not len(place):
            return _Around(self, np.zeros(3, np.int64), np.zeros((0, 0, 0), bool))
        low, high = bounds(place)
        grid = np.zeros(high - low + 1, bool)
        grid[tuple((place - low).T)] = True
        return _Around(self, low, grid)

    def within(self, mask: np.ndarray, rings: int) -> np.ndarray:
        """Return (B,) the blocks in the bounding box of a mask (B,) and so many on each side."""
        low, high = bounds(self.place[mask])
        return _inside(self.place, low - rings, high + rings)

    @cached_property
    def ends(self) -> tuple[np.ndarray, np.ndarray]:
        """The lowest and the highest place of all, (3,) each."""
        return bounds(self.place)

    @property
    def phase(self) -> np.ndarray:
        """Which turn of the refresh each block has, (B,) int64."""
        x, y, _ = (self.place // TILE).T
        return ((x + 3 * y) % TURNS).astype(np.int64)


@dataclass(frozen=True, eq=False)
class _Around:
    """Blocks and those around them, ring after ring, across places without voxels as well.

    Attributes:
        blocks: those of the map.
        low: (3,) the place of the first of the grid.
        grid: (X, Y, Z) bool, which places are among them.
    """

    blocks: _Blocks
    low: np.ndarray
    grid: np.ndarray

    def spread(self, rings: int = 1) -> _Around:
        """Return them with so many more on each side, as far as the map goes."""
        if not self.grid.size:
            return self
        lowest, highest = self.blocks.ends
        low = np.maximum(self.low - rings, lowest)
        high = np.minimum(self.low + self.grid.shape - 1 + rings, highest)
        grid = np.zeros(high - low + 1, bool)
        start = self.low - low
        x, y, z = (slice(*ends) for ends in zip(start, start + self.grid.shape, strict=True))
        grid[x, y, z] = self.grid
        for axis in rings * [0, 1, 2]:
            before = np.moveaxis(grid, axis, 0)
            after = before.copy()
            after[1:] |= before[:-1]
            after[:-1] |= before[1:]
            grid = np.moveaxis(after, 0, axis)
        return _Around(self.blocks, low, grid)

    @cached_property
    def mask(self) -> np.ndarray:
        """Which blocks of the map are among them, (B,) bool."""
        place = self.blocks.place
        mask = _inside(place, self.low, self.low + self.grid.shape - 1)
        mask[mask] = self.grid[tuple((place[mask] - self.low).T)]
        return mask

    @property
    def size(self) -> int:
        """How many voxels they have."""
        return int(self.blocks.size[self.mask].sum())


def _inside(place: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return which of (n, 3) are in a box from ``low`` to ``high`` (3,), column by column."""
    inside = np.ones(len(place), bool)
    for column, least, most in zip(place.T, low, high, strict=True):
        inside &= (column >= least) & (column <= most)
    return inside


def _rows_in(held: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Return the row of each of (n,) keys among others, in any order; -1: there is none."""
    order = np.argsort(held)
    row = find_keys(held[order], keys)
    return np.where(row < 0, -1, order[row])
