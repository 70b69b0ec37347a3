# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Filling up the levels of a cloud to sizes that come back, for what wants fixed shapes.

The voxels that are added touch no real one: nothing is their neighbour, no real voxel attends to
them, and they fall into voxels that were added to the next level.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch.nn.functional import pad

from concerto_ros.ptv3.hierarchy import Hierarchy, Level, Pooling
from concerto_ros.ptv3.patches import Patches, PatchGroup

#: Rows are added in multiples of this to a level that is shorter than a patch.
_STEP = 64

#: Sizes between one power of two and the next.
_PER_OCTAVE = 4


@dataclass(frozen=True)
class PaddedShape:
    """What decides every shape of a padded hierarchy.

    Attributes
    ----------
    rows: of each level, more than it has.
    short: for each level and patch size whether all real voxels attend to all.
    """

    rows: tuple[int, ...]
    short: tuple[tuple[bool, ...], ...]

    @classmethod
    def above(cls, hierarchy: Hierarchy) -> PaddedShape:
        """The smallest shape with room for a cloud; clouds of similar size share it."""
        rows = tuple(_rows_above(len(level), _patch_sizes(level)) for level in hierarchy.levels)
        return cls(rows, _short(hierarchy))


@dataclass(frozen=True, eq=False)
class PaddedPooling:
    """Pooling whose shapes follow from those of its levels.

    Attributes
    ----------
    cluster: as in :class:`~concerto_ros.ptv3.hierarchy.Pooling`.
    members: (N, K) int64, rows of the finer level in each cluster, one of them repeated.
    """

    cluster: torch.Tensor
    members: torch.Tensor

    def reduce(self, values: torch.Tensor, how: str) -> torch.Tensor:
        """(N_fine, C) float -> (N, C): ``max``, the only one that may see a value twice."""
        if how != "max":
            raise ValueError(f"how is {how!r}, expected 'max'")
        gathered = values.index_select(0, self.members.flatten())
        return gathered.unflatten(0, self.members.shape).amax(1)


def pad_hierarchy(hierarchy: Hierarchy, shape: PaddedShape, strides: Sequence[int]) -> Hierarchy:
    """Fill up the levels of one cloud, whose neighbours are tables, to a shape that holds it.

    Real voxels keep their rows and come first. Batch and offset are those of the cloud itself.
    """
    levels: list[Level] = []
    for index, (level, rows) in enumerate(zip(hierarchy.levels, shape.rows, strict=True)):
        pooling = None
        if index:
            fine = shape.rows[index - 1]
            pooling = _padded_pooling(level.pooling, rows, fine, strides[index - 1] ** 3)
        table = level.neighbours
        added = torch.arange(len(level), rows, device=level.coord.device)
        alone = table.rows.new_full((27, len(added)), -1)
        alone[13].copy_(added)
        neighbours = replace(
            table,
            order=torch.cat([table.order, added]),
            rows=torch.cat([table.rows, alone], 1),
        )
        patches = {
            (curve, size): _padded_patches(patches, size, rows)
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


def pad_rows(values: torch.Tensor, rows: int) -> torch.Tensor:
    """(N, C) -> (rows, C), filled up with zeros."""
    return pad(values, (0, 0, 0, rows - len(values)))


def _padded_patches(patches: Patches, size: int, rows: int) -> Patches:
    count = len(patches.order)
    place = torch.arange(rows, device=patches.order.device)
    added = place[count:]
    everything = slice(0, rows)
    if count < size:
        real = (place < count)[None, None, None]
        group = PatchGroup(1, everything, everything, real)
    else:
        # The patch in which the real rows end reaches back for its keys instead of on.
        first = place // size * size
        ends_within = (first < count) & (first + size > count)
        keys = place + ends_within * (count - size - first)
        group = PatchGroup(rows // size, everything, keys)
    order = torch.cat([patches.order, added])
    return Patches(order, (group,), torch.cat([patches.restore, added]))


def _padded_pooling(pooling: Pooling, rows: int, fine_rows: int, most: int) -> PaddedPooling:
    """``most`` is the largest number of voxels that can fall into one."""
    start = torch.cumsum(pooling.sizes, 0) - pooling.sizes
    step = torch.arange(most, device=start.device)
    place = start[:, None] + torch.minimum(step, pooling.sizes[:, None] - 1)
    members = pooling.order.take(place)
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


def _rows_above(count: int, patch_sizes: list[int]) -> int:
    """The next larger of the sizes that come back: whole patches, some to an octave."""
    whole = math.lcm(*patch_sizes)
    within_one = not patch_sizes or count < patch_sizes[0]
    step = math.gcd(_STEP, whole) if within_one else whole
    octave = 1 << max(1, count // step).bit_length() - 1
    step *= max(1, octave // _PER_OCTAVE)
    return (count // step + 1) * step
