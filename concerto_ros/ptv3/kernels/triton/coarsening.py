# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The voxels of a coarser level in Triton: four kernels, a sort and a running sum."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from concerto_ros.ptv3.kernels.pooling import CoarserVoxels, Pooling

_BLOCK = 256


@triton.jit(do_not_specialize=["count", "stride", "size_x", "size_y", "size_z"])
def key_block(grid_coord, batch, keys, count, stride, size_x, size_y, size_z, BLOCK: tl.constexpr):
    """Compute the keys of BLOCK voxels after division of their indices."""
    row = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = row < count
    x = tl.load(grid_coord + 3 * row, mask=inside, other=0) // stride
    y = tl.load(grid_coord + 3 * row + 1, mask=inside, other=0) // stride
    z = tl.load(grid_coord + 3 * row + 2, mask=inside, other=0) // stride
    cloud = tl.load(batch + row, mask=inside, other=0)
    tl.store(keys + row, ((cloud * size_x + x) * size_y + y) * size_z + z, mask=inside)


@triton.jit(do_not_specialize=["count"])
def step_block(keys, steps, count, BLOCK: tl.constexpr):
    """Write 1 where a key of BLOCK sorted ones differs from the one before, else 0."""
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = place < count
    later = inside & (place > 0)
    before = tl.load(keys + place - 1, mask=later, other=0)
    differs = later & (tl.load(keys + place, mask=inside, other=0) != before)
    tl.store(steps + place, differs.to(tl.int64), mask=inside)


@triton.jit(do_not_specialize=["count", "coarse_count", "stride"])
def unite_block(
    grid_coord,
    batch,
    keys,
    order,
    member,
    cluster,
    starts,
    coarse_keys,
    coarse_grid_coord,
    coarse_batch,
    count,
    coarse_count,
    stride,
    BLOCK: tl.constexpr,
):
    """Name the coarser voxel of BLOCK sorted rows; the first row of each writes what it is."""
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = place < count
    row = tl.load(order + place, mask=inside, other=0)
    to = tl.load(member + place, mask=inside, other=0)
    tl.store(cluster + row, to, mask=inside)
    before = tl.load(member + place - 1, mask=inside & (place > 0), other=-1)
    first = inside & (to != before)
    tl.store(starts + to, place, mask=first)
    tl.store(starts + coarse_count + 0 * place, place + 1, mask=place == count - 1)
    tl.store(coarse_keys + to, tl.load(keys + place, mask=first, other=0), mask=first)
    tl.store(coarse_batch + to, tl.load(batch + row, mask=first, other=0), mask=first)
    for axis in range(3):
        index = tl.load(grid_coord + 3 * row + axis, mask=first, other=0) // stride
        tl.store(coarse_grid_coord + 3 * to + axis, index, mask=first)


@triton.jit(do_not_specialize=["coarse_count"])
def mean_block(coord, order, starts, out, coarse_count, BLOCK: tl.constexpr):
    """Average the positions of BLOCK coarser voxels, summed in the order of their rows."""
    to = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = to < coarse_count
    start = tl.load(starts + to, mask=inside, other=0)
    size = tl.load(starts + to + 1, mask=inside, other=0) - start
    x = tl.zeros((BLOCK,), tl.float32)
    y = tl.zeros((BLOCK,), tl.float32)
    z = tl.zeros((BLOCK,), tl.float32)
    for k in range(tl.max(size, 0)):
        there = inside & (k < size)
        row = tl.load(order + start + k, mask=there, other=0)
        x += tl.load(coord + 3 * row, mask=there, other=0.0)
        y += tl.load(coord + 3 * row + 1, mask=there, other=0.0)
        z += tl.load(coord + 3 * row + 2, mask=there, other=0.0)
    number = tl.where(inside, size, 1).to(tl.float32)
    tl.store(out + 3 * to, tl.div_rn(x, number), mask=inside)
    tl.store(out + 3 * to + 1, tl.div_rn(y, number), mask=inside)
    tl.store(out + 3 * to + 2, tl.div_rn(z, number), mask=inside)


def coarsen(
    grid_coord: torch.Tensor,
    batch: torch.Tensor,
    coord: torch.Tensor,
    stride: int,
    largest: list[int],
    count: int,
) -> CoarserVoxels:
    """Compute :func:`concerto_ros.ptv3.kernels.pooling.coarsen`, bit for bit."""
    fine = len(batch)
    grid_coord, coord = grid_coord.contiguous(), coord.contiguous()
    keys, member, cluster = (torch.empty_like(batch) for _ in range(3))
    starts = batch.new_empty(count + 1)
    coarse_keys, coarse_batch = batch.new_empty(count), batch.new_empty(count)
    coarse_grid_coord, coarse_coord = grid_coord.new_empty(count, 3), coord.new_empty(count, 3)
    sizes = (value + 2 for value in largest)
    grid = (triton.cdiv(fine, _BLOCK),)
    with torch.cuda.device_of(batch):
        key_block[grid](grid_coord, batch, keys, fine, stride, *sizes, BLOCK=_BLOCK)
        keys, order = torch.sort(keys, stable=True)
        step_block[grid](keys, member, fine, BLOCK=_BLOCK)
        torch.cumsum(member, 0, out=member)
        unite_block[grid](
            grid_coord,
            batch,
            keys,
            order,
            member,
            cluster,
            starts,
            coarse_keys,
            coarse_grid_coord,
            coarse_batch,
            fine,
            count,
            stride,
            BLOCK=_BLOCK,
        )
        mean_block[(triton.cdiv(count, _BLOCK),)](
            coord, order, starts, coarse_coord, count, BLOCK=_BLOCK
        )
    pooling = Pooling(cluster, order, starts)
    return CoarserVoxels(coarse_keys, coarse_grid_coord, coarse_batch, coarse_coord, pooling)
