# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The number of voxels of every level of a batch, found before any level is built.

A GPU computes asynchronously until the program reads a number back. So all numbers that building a
:class:`~concerto_ros.ptv3.hierarchy.Hierarchy` depends on are read at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from concerto_ros.ptv3.kernels.curves import MAX_DEPTH


@dataclass(frozen=True, eq=False)
class LevelSizes:
    """The numbers of a batch of B clouds that the program needs to build its levels.

    Attributes:
        offsets: (levels, B) int64 on the device of the input, cumulative sizes of the clouds.
        ends: the same as lists.
        low: smallest voxel index of each axis at the finest level.
        high: largest voxel index likewise.
        repeated: rows of the finest level that have the voxel of another row of the same cloud.
        order: (N,) int64, rows of the finest level along the ``z`` curve, cloud after cloud.
    """

    offsets: torch.Tensor
    ends: list[list[int]]
    low: list[int]
    high: list[int]
    repeated: int
    order: torch.Tensor


def measure_levels(
    grid_coord: torch.Tensor,
    batch: torch.Tensor,
    offset: torch.Tensor,
    strides: Sequence[int],
    curve_code: Callable[[torch.Tensor, int, str], torch.Tensor],
) -> LevelSizes:
    """Measure a batch, waiting for the device only once.

    The input need not be valid: ``ends[0]``, ``low`` and ``high`` are correct in any case, so that
    it can be checked by them. The other values are meaningful only for the input that
    :func:`~concerto_ros.ptv3.hierarchy.build_hierarchy` accepts.

    Args:
        grid_coord: (N, 3) int64, N >= 1.
        batch: (N,) int64, cloud of each row.
        offset: (B,) int64, cumulative sizes of the clouds.
        strides: of each coarser level, relative to the one before.
        curve_code: :func:`concerto_ros.ptv3.kernels.curves.curve_code` or an equivalent function.
    """
    low, high = torch.aminmax(grid_coord, dim=0)

    def codes(grid_coord: torch.Tensor) -> torch.Tensor:
        code = curve_code(grid_coord, MAX_DEPTH, "z")
        return by_cloud(code, batch, offset, MAX_DEPTH)

    code, order = torch.sort(codes(grid_coord))
    repeated = (code[1:] == code[:-1]).sum()
    last = (offset - 1).clamp(0, len(code) - 1)
    by_level = [offset]
    for sorted_code in _coarser(code, grid_coord, strides, codes):
        steps = torch.zeros_like(sorted_code)
        torch.cumsum(sorted_code[1:] != sorted_code[:-1], 0, out=steps[1:])
        by_level.append(steps.index_select(0, last) + 1)
    offsets = torch.stack(by_level)
    numbers = torch.cat([offsets.flatten(), low, high, repeated[None]]).tolist()
    clouds = len(offset)
    ends = [numbers[start : start + clouds] for start in range(0, offsets.numel(), clouds)]
    return LevelSizes(offsets, ends, numbers[-7:-4], numbers[-4:-1], numbers[-1], order)


def by_cloud(
    code: torch.Tensor, batch: torch.Tensor, offset: torch.Tensor, depth: int
) -> torch.Tensor:
    """Return codes that sort by cloud first.

    Args:
        code: (N,) int64, along a curve of ``depth`` bits per axis.
        batch: (N,) int64, cloud of each row.
        offset: (B,) int64, cumulative sizes of the clouds.
        depth: bits per axis.
    """
    return code if len(offset) == 1 else batch << 3 * depth | code


def _coarser(
    code: torch.Tensor,
    grid_coord: torch.Tensor,
    strides: Sequence[int],
    codes: Callable[[torch.Tensor], torch.Tensor],
) -> Iterator[torch.Tensor]:
    """Yield for each coarser level the sorted codes of the voxels of the finest rows."""
    for stride in strides:
        grid_coord = grid_coord // stride
        bits = stride.bit_length() - 1
        if stride != 1 << bits:
            yield (code := codes(grid_coord).sort().values)
            continue
        # The curve visits all children of a voxel without leaving it.
        yield (code := code >> 3 * bits)
