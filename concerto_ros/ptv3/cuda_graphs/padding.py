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
from torch.nn.functional import pad

from concerto_ros.ptv3.hierarchy import Hierarchy, Level, Pooling
from concerto_ros.ptv3.kernels.neighbour_table import NeighbourTable
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


@dataclass(frozen=True, eq=False)
class PaddedPooling:
    """Pooling whose shapes follow from those of its levels.

    Attributes:
        cluster: as in :class:`~concerto_ros.ptv3.hierarchy.Pooling`.
        members: (N, K) int64, rows of the finer level in each cluster, one of them repeated.
    """

    cluster: torch.Tensor
    members: torch.Tensor

    def reduce(self, values: torch.Tensor, how: str) -> torch.Tensor:
        """Reduce (N_fine, C) float to (N, C) by ``max``; a mean would count repeated rows twice.

        Raises:
            ValueError: ``how`` is not ``max``.
        """
        if how != "max":
            raise ValueError(f"how is {how!r}, expected 'max'")
        gathered = values.index_select(0, self.members.flatten())
        return gathered.unflatten(0, self.members.shape).amax(1)


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
        pooling = None
        if index:
            fine = shape.rows[index - 1]
            pooling = _padded_pooling(_pooling_of(level), rows, fine, strides[index - 1] ** 3)
        table = neighbour_table_of(level)
        added = torch.arange(len(level), rows, device=level.coord.device)
        alone = table.rows.new_full((27, len(added)), -1)
        alone[13].copy_(added)
        neighbours = replace(
            table,
            order=torch.cat([table.order, added]),
            rows=torch.cat([table.rows, alone], 1),
        )
        patches = {
            (curve, size): _padded_patches(patches, size, added)
            for (curve, size), patches in level.patches.items()
        }
        levels.append(
            replace(
                level,
                grid_coord=pad_rows(level.grid_coord, rows),
                coord=pad_rows(level.coord, rows),
                patches=patches,
                neighbours=neighbours,
                pooling=pooling,
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


def pad_rows(values: torch.Tensor, rows: int) -> torch.Tensor:
    """Pad (N, C) to (rows, C) with zeros."""
    return pad(values, (0, 0, 0, rows - len(values)))


def _padded_patches(patches: Patches, size: int, added: torch.Tensor) -> Patches:
    count = len(patches.order)
    rows = count + len(added)
    everything, restore = slice(0, rows), torch.cat([patches.restore, added])
    if count < size:
        real = (torch.arange(rows, device=added.device) < count)[None, None, None]
        group = PatchGroup(1, everything, everything, real)
        return Patches(torch.cat([patches.order, added]), (group,), restore)
    # The last patch of real rows is filled by the rows before it, and not by added ones: keys are
    # then queries, and nothing is gathered. Added rows, which nobody looks at, give way.
    group, whole = PatchGroup(rows // size, everything, everything), count // size * size
    borrowed = -count % size
    before = patches.order[whole - borrowed : whole]
    order = torch.cat([patches.order, before, added[borrowed:]])
    return Patches(order, (group,), restore)


def pooled_members(pooling: Pooling, max_members: int) -> torch.Tensor:
    """Return (N, max_members) int64, the finer rows in each voxel; the last of them is repeated.

    Args:
        pooling: of N voxels.
        max_members: at least as many as any of them holds.
    """
    start = torch.cumsum(pooling.sizes, 0) - pooling.sizes
    step = torch.arange(max_members, device=start.device)
    position = start[:, None] + torch.minimum(step, pooling.sizes[:, None] - 1)
    return pooling.order.take(position)


def _padded_pooling(
    pooling: Pooling, rows: int, fine_rows: int, max_members: int
) -> PaddedPooling:
    """Pad a pooling; at most ``max_members`` voxels are pooled into one."""
    members = pooled_members(pooling, max_members)
    # An added voxel holds an added voxel, the last one of either level.
    count, fine_count = len(members), len(pooling.order)
    members = pad(members, (0, 0, 0, rows - count), value=fine_rows - 1)
    cluster = pad(pooling.cluster, (0, fine_rows - fine_count), value=rows - 1)
    return PaddedPooling(cluster, members)


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
