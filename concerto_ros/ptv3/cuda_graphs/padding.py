# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Padding the levels of a cloud to recurring sizes, for CUDA graphs of fixed shape.

The voxels that are added do not affect real ones: nothing is their neighbour, no real voxel
attends to them, and they are pooled into voxels that were added to the next level.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from concerto_ros.ptv3.hierarchy import Hierarchy, Level
from concerto_ros.ptv3.kernels.level_padding import FinerLevel
from concerto_ros.ptv3.kernels.neighbour_table import NeighbourTable
from concerto_ros.ptv3.kernels.pooling import Pooling
from concerto_ros.ptv3.patches import Patches, PatchGroup
from concerto_ros.ptv3.recurring_sizes import recurring_size

#: A level that is shorter than a patch is padded to a multiple of this.
_STEP = 64

#: Sizes between one power of two and the next, of the finest level and those after it. A shape is
#: one size of each level, so the coarser ones, which take less time, have few: a robot's clouds
#: then come back to some ten shapes instead of hundreds.
_PER_OCTAVE = (4, 2, 1)


@dataclass(frozen=True)
class PaddedShape:
    """The numbers that determine every shape of a padded hierarchy.

    Attributes:
        rows: of each level, more than it has.
        short: for each level and patch size whether all real voxels attend to all.
    """

    rows: tuple[int, ...]
    short: tuple[tuple[bool, ...], ...]

    @classmethod
    def above(cls, hierarchy: Hierarchy) -> PaddedShape:
        """Return the smallest shape with room for a cloud; clouds of similar size share it."""
        rows = tuple(
            _rows_above(len(level), _patch_sizes(level), _PER_OCTAVE[min(i, len(_PER_OCTAVE) - 1)])
            for i, level in enumerate(hierarchy.levels)
        )
        return cls(rows, _short(hierarchy))


def pad_hierarchy(hierarchy: Hierarchy, shape: PaddedShape, strides: Sequence[int]) -> Hierarchy:
    """Pad the levels of one cloud to a shape with room for it.

    Real voxels keep their rows and come first. Batch and offset are those of the cloud itself.

    Args:
        hierarchy: of one cloud, with tables of neighbours.
        shape: has room for the cloud.
        strides: of each coarser level, relative to the one before.
    """
    levels: list[Level] = []
    for index, (level, rows) in enumerate(zip(hierarchy.levels, shape.rows, strict=True)):
        table, pooled = neighbour_table_of(level), None
        if index:
            members = strides[index - 1] ** 3
            pooled = FinerLevel(_pooling_of(level), shape.rows[index - 1], members)
        padded = level.fused.pad_level(
            level.grid_coord, level.coord, table.order, table.rows, pooled, rows
        )
        levels.append(
            replace(
                level,
                grid_coord=padded.grid_coord,
                coord=padded.coord,
                patches=_padded_patches(level, rows),
                neighbours=replace(table, order=padded.order, rows=padded.neighbours),
                pooling=padded.pooling,
            )
        )
    return Hierarchy(tuple(levels))


def neighbour_table_of(level: Level) -> NeighbourTable:
    """Return the neighbours of a level that can be padded; raises TypeError for others."""
    if not isinstance(level.neighbours, NeighbourTable):
        got = type(level.neighbours).__name__
        raise TypeError(f"the neighbours of the level are {got}, expected a NeighbourTable")
    return level.neighbours


def _pooling_of(level: Level) -> Pooling:
    if not isinstance(level.pooling, Pooling):
        got = type(level.pooling).__name__
        raise TypeError(f"the pooling of the level is {got}, expected a Pooling")
    return level.pooling


def _padded_patches(level: Level, rows: int) -> dict[tuple[str, int], Patches]:
    everything, found = slice(0, rows), {}
    for size in _patch_sizes(level):
        along = [patching for patching in level.patches if patching[1] == size]
        orders = [level.patches[patching].order for patching in along]
        stacked = torch.stack(orders) if len(orders) > 1 else orders[0][None]
        padded = level.fused.pad_patches(stacked, size, rows)
        if padded.real is None:
            group = PatchGroup(rows // size, everything, everything)
        else:
            group = PatchGroup(1, everything, everything, padded.real[None, None, None])
        for patching, order, restore in zip(along, padded.orders, padded.restores, strict=True):
            found[patching] = Patches(order, (group,), restore)
    return {patching: found[patching] for patching in level.patches}


def _patch_sizes(level: Level) -> list[int]:
    return sorted({size for _, size in level.patches})


def _short(hierarchy: Hierarchy) -> tuple[tuple[bool, ...], ...]:
    return tuple(
        tuple(len(level) < size for size in _patch_sizes(level)) for level in hierarchy.levels
    )


def _rows_above(count: int, patch_sizes: list[int], per_octave: int) -> int:
    """Return the next larger recurring size of whole patches, of a few sizes to an octave."""
    whole = math.lcm(*patch_sizes)
    within_one = not patch_sizes or count < patch_sizes[0]
    step = math.gcd(_STEP, whole) if within_one else whole
    return recurring_size(count + 1, step, per_octave)
