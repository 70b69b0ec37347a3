# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The height of the floor: that of the lowest surface of a cloud, not of its lowest point.

Returns below the ground are normal in the sweeps of LiDARs, wherever light is reflected twice.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from concerto_ros.mapping.voxel_grid import pack

#: Edge of the blocks in which voxels are counted, voxels.
BLOCK = 4
#: A block belongs to a surface if it holds at least this many voxels, and at least this share of
#: the voxels above and below it: copies of a surface that are thin have few of both.
FEWEST, PART = 3, 0.3
#: Strays are alone in blocks that are so many times as wide, too: distant ground is sparse.
WIDE = 2
#: A wall has at least this many voxels in a block and in a wide one, strays have fewer.
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
    points: np.ndarray, index: np.ndarray, voxel_size: float, known: float = math.nan
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
    """
    height = points[:, 2].astype(np.float64)
    lowest = float(height.min())
    if len(points) < FEW:
        return Floor(lowest if math.isnan(known) else known, np.zeros(len(points), bool))
    tolerance = SAME * voxel_size
    fine = _blocks(index, BLOCK)
    # Where too few are on surfaces, the cloud is too sparse to tell.
    surface = np.sort(height[fine.on_surface] if fine.on_surface.sum() >= FEW else height)
    # The first that has so many others, itself among them, less than a layer above it.
    least = math.ceil(SHARE * len(surface))
    large = surface[least - 1 :] < surface[: len(surface) - least + 1] + LAYER * voxel_size
    floor = float(surface[int(large.argmax())])
    strays = height < floor - tolerance
    if strays.any():
        wide = _blocks(index, WIDE * BLOCK)
        dense = (fine.in_block >= DENSE) | (wide.in_block >= WIDE_DENSE)
        walls = strays & dense
        walls[walls] = _reaches_up(floor - height[walls], LAYER * voxel_size)
        if walls.sum() > WALLS_BELOW * len(points):
            floor = float(height[walls].min())
            strays = height < floor - tolerance
        strays &= ~(walls | fine.on_surface | wide.on_surface)
    if floor - lowest <= tolerance:
        floor = lowest
    return Floor(floor if math.isnan(known) else known, strays)


def _reaches_up(depth: np.ndarray, layer: float) -> np.ndarray:
    """Return which voxels (V,) have others in every layer up to depth 0; both in metres.

    A wall goes on upwards. What a puddle or a pane reflects may be dense as well, but lies by
    itself.
    """
    number = (depth / layer).astype(np.int64)
    empty = np.flatnonzero(np.bincount(number, minlength=1) == 0)
    return number < (empty[0] if len(empty) else np.inf)


class _Blocks(NamedTuple):
    """For each voxel, the number of voxels in its block, and whether they are on a surface."""

    in_block: np.ndarray
    on_surface: np.ndarray


def _blocks(index: np.ndarray, block: int) -> _Blocks:
    """Divide voxels into blocks of so many voxels each way."""
    cell = index // block
    _, first, block_of, in_block = np.unique(
        pack(cell), return_index=True, return_inverse=True, return_counts=True
    )
    _, column_of = np.unique(pack(cell[first] * [1, 1, 0]), return_inverse=True)
    in_column = np.bincount(column_of, weights=in_block)[column_of]
    surface = (in_block >= FEWEST) & (in_block >= PART * in_column)
    return _Blocks(in_block[block_of], surface[block_of])
