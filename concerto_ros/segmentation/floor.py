# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The height of the floor: that of the lowest surface of a cloud, not of its lowest point.

Returns below the ground are normal in the sweeps of LiDARs, wherever light is reflected twice.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from concerto_ros.mapping.voxel_cells import CELL, VoxelCells
from concerto_ros.mapping.voxel_grid import AXIS_BITS, unpack

#: A cell belongs to a surface if it holds at least this many voxels, and at least this share of
#: the voxels above and below it: copies of a surface that are thin have few of both. Strays are
#: alone in their block of cells, too: distant ground is sparse.
FEWEST, PART = 3, 0.3
#: A wall has at least this many voxels in a cell and in a block, strays have fewer.
DENSE, WIDE_DENSE = 8, 20
#: Below a floor there is at most this share of the voxels on walls: with more, what was found is
#: the top of something, seen without a floor.
WALLS_BELOW = 0.02
#: Height of the layer in which the floor lies, voxels; it is sloped, and noisy.
LAYER = 8
#: The floor has at least this share of the voxels of all surfaces.
SHARE = 0.01
#: A floor that lies at most this many voxels above the lowest point is at the lowest point.
SAME = 2
#: One height of so many tells about where the lowest ones end.
_SAMPLED = 32
#: Fewer voxels than this are not told apart.
FEW = 100


class Floor(NamedTuple):
    """The lowest surface of a cloud.

    Attributes:
        height: metres, in the frame of the points.
        strays: (V,) bool, the voxels below it that lie on no surface.
    """

    height: float
    strays: np.ndarray


def find_floor(
    points: np.ndarray,
    index: np.ndarray,
    voxel_size: float,
    known: float = math.nan,
    cells: VoxelCells | None = None,
) -> Floor:
    """Find the lowest surface of any size, and the voxels that lie below it alone.

    It is the bottom of the lowest layer that holds a hundredth of all voxels with others around
    them; where walls go on below it, no floor is in view, and their lower end counts. Stray points
    lie alone. A cloud without them has its floor at its lowest point, exactly, as the published
    models were trained.

    Args:
        points: (V, 3) mean of the points of each voxel, metres, z up; V > 0.
        index: (V, 3) lattice indices of the voxels.
        voxel_size: Metres.
        known: Metres, the height of the floor where it is known; NaN: it is estimated. Strays are
            those below the estimate: distant ground may be lower than what is known of the floor.
        cells: those of ``index``; None: they are counted.
    """
    height = points[:, 2].astype(np.float64)
    lowest = float(height.min())
    if len(points) < FEW:
        return Floor(lowest if math.isnan(known) else known, np.zeros(len(points), bool))
    tolerance = SAME * voxel_size
    if cells is None:
        cells = VoxelCells.of(index)
    fine = _on_surface(cells.count, cells.column)
    floor = _lowest_layer(height, cells, fine, voxel_size)
    strays = np.zeros(len(points), bool)
    if lowest < floor - tolerance:
        below = np.flatnonzero(height < floor - tolerance)
        in_block = np.bincount(cells.block, weights=cells.count)
        _, column = np.unique(cells.block_corner >> AXIS_BITS, return_inverse=True)
        wide = _on_surface(in_block, column)
        cell = cells.of_voxel[below]
        block = cells.block[cell]
        walls = (cells.count[cell] >= DENSE) | (in_block[block] >= WIDE_DENSE)
        depth = floor - height[below]
        walls[walls] = _reaches_up(depth[walls], LAYER * voxel_size)
        if walls.sum() > WALLS_BELOW * len(points):
            floor = float(height[below[walls]].min())
        alone = ~(walls | fine[cell] | wide[block]) & (height[below] < floor - tolerance)
        strays[below[alone]] = True
    if floor - lowest <= tolerance:
        floor = lowest
    return Floor(floor if math.isnan(known) else known, strays)


def _on_surface(count: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Return which cells (C,) are part of a surface.

    Args:
        count: (C,) how many voxels each has.
        column: (C,) the number of the column that each is part of.
    """
    in_column = np.bincount(column, weights=count)[column]
    return (count >= FEWEST) & (count >= PART * in_column)


def _lowest_layer(
    height: np.ndarray, cells: VoxelCells, on_surface: np.ndarray, voxel_size: float
) -> float:
    """Return the bottom of the lowest layer that has enough of the voxels on surfaces, metres.

    Args:
        height: (V,) metres.
        cells: those of the voxels.
        on_surface: (C,) bool, which of the cells are on a surface.
        voxel_size: Metres.
    """
    size = int(cells.count[on_surface].sum())
    everywhere = size < FEW  # where too few are on surfaces, the cloud is too sparse to tell
    if everywhere:
        on_surface, size = np.ones(len(on_surface), bool), len(height)
    least = math.ceil(SHARE * size)
    # It starts not above the lowest two layers of cells that have so many: where the lowest of all
    # heights have one, none of the others matters.
    level = unpack(cells.corner)[:, 2] // CELL
    base = int(level.min())
    in_level = np.bincount(level - base, weights=cells.count * on_surface, minlength=2)
    enough = np.flatnonzero((in_level[:-1] > 0) & (in_level[:-1] + in_level[1:] >= least))
    if len(enough):
        top = CELL * (base + int(enough[0]) + 1) + LAYER + CELL
        low = np.flatnonzero(height < top * voxel_size)
        surface = height[low[on_surface[cells.of_voxel[low]]]]
        count = int(in_level[: enough[0]].sum()) + 2 * least
        some = np.sort(surface[::_SAMPLED])
        if count // _SAMPLED + 2 < len(some):
            surface = surface[surface <= some[count // _SAMPLED + 2]]
        large, surface = _large(surface, least, voxel_size)
        if large.any():
            return float(surface[int(large.argmax())])
    large, surface = _large(height[on_surface[cells.of_voxel]], least, voxel_size)
    return float(surface[int(large.argmax())])


def _large(height: np.ndarray, least: int, voxel_size: float) -> tuple[np.ndarray, np.ndarray]:
    """Return which of some heights have enough others less than a layer above, and all in order.

    Args:
        height: (n,) metres.
        least: how many are enough, itself among them.
        voxel_size: Metres.
    """
    height = np.sort(height)
    fits = max(0, len(height) - least + 1)
    return height[least - 1 :] < height[:fits] + LAYER * voxel_size, height


def _reaches_up(depth: np.ndarray, layer: float) -> np.ndarray:
    """Return which voxels (V,) have others in every layer up to depth 0; both in metres.

    A wall goes on upwards. What a puddle or a pane reflects may be dense as well, but lies by
    itself.
    """
    number = (depth / layer).astype(np.int64)
    empty = np.flatnonzero(np.bincount(number, minlength=1) == 0)
    return number < (empty[0] if len(empty) else np.inf)
