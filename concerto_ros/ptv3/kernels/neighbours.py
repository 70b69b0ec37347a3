# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pairs of touching voxels of a cloud, for the 3 x 3 x 3 convolutions of a level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch

from concerto_ros.ptv3.cpu.onednn import recurring_rows

#: The 13 kernel offsets of which the other 13 are the mirror images, as (dx, dy, dz).
_COLUMNS = ((0, 1), (1, -1), (1, 0), (1, 1))
HALF_OFFSETS = ((0, 0, 1),) + tuple((dx, dy, dz) for dx, dy in _COLUMNS for dz in (-1, 0, 1))


def kernel_index(dx: int, dy: int, dz: int) -> int:
    """Return the position of an offset in a kernel laid out (x, y, z): 0 to 26."""
    return 9 * (dx + 1) + 3 * (dy + 1) + dz + 1


#: Position of the voxel itself.
CENTRE = kernel_index(0, 0, 0)

#: Kernel index of each run of pairs in :class:`Neighbours`.
KERNEL_ORDER = tuple(kernel_index(*offset) for offset in HALF_OFFSETS) + tuple(
    26 - kernel_index(*offset) for offset in HALF_OFFSETS
)


@dataclass(frozen=True, eq=False)
class Neighbours:
    """All pairs (target, source) of touching voxels of a cloud, except each voxel with itself.

    Attributes:
        sources: (S,) int64 rows, grouped by kernel offset in the order of ``KERNEL_ORDER``. Each
            run ends with zeros that belong to no pair, so that its length recurs.
        counts: 26 numbers of pairs.
        lengths: 26 run lengths of ``sources``.
        pairs: (P,) int64, positions in ``sources`` sorted by target row, then by kernel offset.
        starts: (N + 1,) int64, where each target's run begins in ``pairs``.
    """

    sources: torch.Tensor
    counts: tuple[int, ...]
    lengths: tuple[int, ...]
    pairs: torch.Tensor
    starts: torch.Tensor


class OtherNeighbours(Protocol):
    """The neighbours of a library with a convolution of its own."""

    def convolve(
        self, feat: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor
    ) -> torch.Tensor:
        """Convolve (N, C_in) features by the weight in its official shape, (N, C_out)."""


def voxel_keys(
    grid_coord: torch.Tensor, batch: torch.Tensor, largest: list[int], reach: int = 1
) -> torch.Tensor:
    """Return (N,) int64 keys that sort as (batch, x, y, z), with empty layers in between.

    The layers keep steps past the border of one row, plane or cloud off the next one.

    Args:
        grid_coord: (N, 3) int64 voxel indices, at least 0.
        batch: (N,) int64, cloud of each row.
        largest: largest voxel index of each axis.
        reach: empty layers, the farthest step.
    """
    _, size_y, size_z = sizes = [value + 1 + reach for value in largest]
    x, y, z = grid_coord.unbind(1)
    return ((batch * sizes[0] + x) * size_y + y) * size_z + z


def find_neighbours(
    keys: torch.Tensor, rows: torch.Tensor | None, largest: list[int]
) -> Neighbours:
    """Build the pairs from sorted, distinct :func:`voxel_keys`.

    Three voxels on a line along z have consecutive keys, so one binary search serves a whole
    column.

    Args:
        keys: (N,) int64.
        rows: (N,) int64, the row of each key; None where the rows themselves are sorted.
        largest: largest voxel index of each axis.
    """
    count = len(keys)
    size_y, size_z = largest[1] + 2, largest[2] + 2
    # A sentinel: a search may then run past the last key.
    ended = torch.cat([keys, keys.new_full((1,), torch.iinfo(torch.int64).max)])
    hits = [ended[1:] == keys + 1]
    positions = [torch.arange(1, count + 1, device=keys.device)]
    for dx, dy in _COLUMNS:
        target = keys + ((dx * size_y + dy) * size_z - 1)
        position = torch.searchsorted(keys, target)
        for _ in range(3):
            hit = ended[position] == target
            hits.append(hit)
            positions.append(position)
            position = position + hit
            target = target + 1
    found = torch.stack(hits)
    half, left = torch.nonzero(found, as_tuple=True)
    right = torch.stack(positions)[half, left]
    if rows is not None:
        left, right = rows[left], rows[right]
    half_counts = found.sum(1).tolist()

    # A pair found in one direction is a pair of the mirrored offset in the other.
    lengths = [recurring_rows(count) for count in half_counts]
    added = torch.tensor(lengths) - torch.tensor(half_counts)
    before = (torch.cumsum(added, 0) - added).to(keys.device)
    position = torch.arange(len(left), device=keys.device) + before[half]
    mirrored = position + sum(lengths)
    sources = keys.new_zeros(2 * sum(lengths))
    sources[position], sources[mirrored] = right, left
    table = keys.new_full((count, 26), -1)
    table[left, half], table[right, half + 13] = position, mirrored
    present = table >= 0
    starts = torch.zeros(count + 1, dtype=torch.int64, device=keys.device)
    torch.cumsum(present.sum(1), 0, out=starts[1:])
    return Neighbours(
        sources=sources,
        counts=tuple(half_counts) * 2,
        lengths=tuple(lengths) * 2,
        pairs=table[present],
        starts=starts,
    )
