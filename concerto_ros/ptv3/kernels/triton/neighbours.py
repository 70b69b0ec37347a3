# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The neighbour table in Triton: two kernels and a sort instead of forty operators."""

from __future__ import annotations

from collections.abc import Callable

import torch
import triton
import triton.language as tl

from concerto_ros.ptv3.kernels.neighbour_table import NeighbourTable

_BLOCK = 256


@triton.jit(do_not_specialize=["count", "steps", "size_y", "size_z"])
def find_block(keys, table, pattern, count, steps, size_y, size_z, BLOCK: tl.constexpr):
    """Find the 27 neighbours of BLOCK voxels in the sorted keys, and which of them there are."""
    row = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = row < count
    key = tl.load(keys + row, mask=inside, other=0)
    found = tl.zeros((BLOCK,), tl.int32)
    for column in range(9):
        step_x = column // 3 - 1
        step_y = column % 3 - 1
        target = key + (step_x * size_y.to(tl.int64) + step_y) * size_z - 1
        # Binary search for the first key that is not below the target.
        low = tl.zeros((BLOCK,), tl.int64)
        high = low + count
        for _ in range(steps):
            middle = (low + high) >> 1
            searching = inside & (low < high)
            below = tl.load(keys + middle, mask=searching, other=0) < target
            low = tl.where(searching & below, middle + 1, low)
            high = tl.where(searching & (below == 0), middle, high)
        # Three voxels on a line along z have consecutive keys.
        for step in range(3):
            there = inside & (low < count)
            hit = there & (tl.load(keys + low, mask=there, other=-1) == target)
            k = 3 * column + step
            place = table + k * count.to(tl.int64) + row
            tl.store(place, tl.where(hit, low, -1).to(tl.int32), mask=inside)
            found = found | hit.to(tl.int32) << k
            low = low + hit.to(tl.int64)
            target = target + 1
    tl.store(pattern + row, found, mask=inside)


@triton.jit(do_not_specialize=["count"])
def arrange_block(table, by, rows, out, order, count, HAS_ROWS: tl.constexpr, BLOCK: tl.constexpr):
    """Bring BLOCK columns of the table into their order, and name voxels by their rows."""
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = place < count
    column = tl.load(by + place, mask=inside, other=0)
    for k in range(27):
        start = k * count.to(tl.int64)
        found = tl.load(table + start + column, mask=inside, other=-1)
        if HAS_ROWS:
            there = inside & (found >= 0)
            found = tl.load(rows + found.to(tl.int64), mask=there, other=-1).to(tl.int32)
        tl.store(out + start + place, found, mask=inside)
    if HAS_ROWS:
        tl.store(order + place, tl.load(rows + column, mask=inside, other=0), mask=inside)


def find_neighbour_table(
    keys: torch.Tensor,
    rows: torch.Tensor | None,
    largest: list[int],
    multiply: Callable[..., torch.Tensor],
) -> NeighbourTable:
    """Build the table of :mod:`concerto_ros.ptv3.kernels.neighbour_table`, bit for bit.

    Arguments are those of ``find_neighbour_table`` there.
    """
    count = len(keys)
    table = torch.empty(27, count, dtype=torch.int32, device=keys.device)
    pattern = torch.empty(count, dtype=torch.int32, device=keys.device)
    grid = (triton.cdiv(count, _BLOCK),)
    with torch.cuda.device_of(keys):
        find_block[grid](
            keys,
            table,
            pattern,
            count,
            count.bit_length(),
            largest[1] + 2,
            largest[2] + 2,
            BLOCK=_BLOCK,
        )
        by = torch.sort(pattern, stable=True).indices
        arranged, order = torch.empty_like(table), by if rows is None else torch.empty_like(by)
        arrange_block[grid](
            table,
            by,
            by if rows is None else rows,
            arranged,
            order,
            count,
            HAS_ROWS=rows is not None,
            BLOCK=_BLOCK,
        )
    return NeighbourTable(order, arranged, multiply)
