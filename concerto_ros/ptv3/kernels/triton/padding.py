# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Padding of a level in Triton: one kernel for its arrays, one for its patches of one size."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from concerto_ros.ptv3.kernels.level_padding import (
    FinerLevel,
    PaddedLevel,
    PaddedPatches,
    borrowed_rows,
)
from concerto_ros.ptv3.kernels.pooling import PaddedPooling, Pooling

_BLOCK = 256


@triton.jit(do_not_specialize=["count", "rows", "fine_count", "fine_rows"])
def pad_level_block(
    grid_coord,
    coord,
    order,
    neighbours,
    cluster,
    pooled_order,
    starts,
    out_grid_coord,
    out_coord,
    out_order,
    out_neighbours,
    out_cluster,
    out_members,
    count,
    rows,
    fine_count,
    fine_rows,
    MEMBERS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Write BLOCK rows of each array; MEMBERS is 0 where nothing is pooled."""
    row = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = row < rows
    real = row < count
    for axis in range(3):
        place = 3 * row + axis
        index = tl.load(grid_coord + place, mask=real, other=0)
        tl.store(out_grid_coord + place, index, mask=inside)
        position = tl.load(coord + place, mask=real, other=0.0)
        tl.store(out_coord + place, position, mask=inside)
    column = tl.load(order + row, mask=real, other=0)
    tl.store(out_order + row, tl.where(real, column, row), mask=inside)
    for k in range(27):
        found = tl.load(neighbours + k * count.to(tl.int64) + row, mask=real, other=-1)
        if k == 13:
            found = tl.where(real, found, row.to(tl.int32))
        tl.store(out_neighbours + k * rows.to(tl.int64) + row, found, mask=inside)
    if MEMBERS:
        first = tl.load(starts + row, mask=real, other=0)
        last = tl.load(starts + row + 1, mask=real, other=0) - 1
        for k in range(MEMBERS):
            at = tl.minimum(first + k, last)
            member = tl.load(pooled_order + at, mask=real, other=0)
            member = tl.where(real, member, (fine_rows - 1).to(tl.int64))
            tl.store(out_members + MEMBERS * row + k, member, mask=inside)
        held = tl.load(cluster + row, mask=row < fine_count, other=0)
        held = tl.where(row < fine_count, held, (rows - 1).to(tl.int64))
        tl.store(out_cluster + row, held, mask=row < fine_rows)


@triton.jit(do_not_specialize=["count", "rows", "whole", "borrowed"])
def pad_patches_block(
    orders,
    out_orders,
    restores,
    real_rows,
    count,
    rows,
    whole,
    borrowed,
    SHORT: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Write BLOCK places of an order and of its inverse; of one patch also what is real."""
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    curve = tl.program_id(1).to(tl.int64)
    inside = place < rows
    real = place < count
    again = (place >= count) & (place < count + borrowed)
    source = tl.where(real, place, place - count + whole - borrowed)
    found = tl.load(orders + curve * count + source, mask=real | again, other=0)
    tl.store(out_orders + curve * rows + place, tl.where(real | again, found, place), mask=inside)
    tl.store(restores + curve * rows + tl.where(real, found, place), place, mask=inside)
    if SHORT:
        tl.store(real_rows + place, real.to(tl.uint8), mask=inside & (curve == 0))


def pad_level(
    grid_coord: torch.Tensor,
    coord: torch.Tensor,
    order: torch.Tensor,
    neighbours: torch.Tensor,
    finer: FinerLevel | None,
    rows: int,
) -> PaddedLevel:
    """Compute :func:`concerto_ros.ptv3.kernels.level_padding.pad_level`, bit for bit."""
    pooling = None
    # Where nothing is pooled, pointers that the kernel does not follow.
    given, written = (order,) * 3, (order,) * 2
    fine_count, fine_rows, members = 0, 0, 0
    if finer is not None:
        given = (finer.pooling.cluster, finer.pooling.order, finer.pooling.starts)
        fine_count, fine_rows, members = len(finer.pooling.order), finer.rows, finer.members
        written = order.new_empty(fine_rows), order.new_empty(rows, members)
        pooling = PaddedPooling(*written)
    padded = PaddedLevel(
        grid_coord.new_empty(rows, 3),
        coord.new_empty(rows, 3),
        order.new_empty(rows),
        neighbours.new_empty(27, rows),
        pooling,
    )
    with torch.cuda.device_of(coord):
        pad_level_block[(triton.cdiv(max(rows, fine_rows), _BLOCK),)](
            grid_coord.contiguous(),
            coord.contiguous(),
            order,
            neighbours,
            *given,
            *padded[:4],
            *written,
            len(coord),
            rows,
            fine_count,
            fine_rows,
            MEMBERS=members,
            BLOCK=_BLOCK,
        )
    return padded


def pad_patches(orders: torch.Tensor, size: int, rows: int) -> PaddedPatches:
    """Compute :func:`concerto_ros.ptv3.kernels.level_padding.pad_patches`, bit for bit."""
    curves, count = orders.shape
    out, restores = orders.new_empty(2, curves, rows)
    short = count < size
    real = orders.new_empty(rows, dtype=torch.uint8) if short else None
    with torch.cuda.device_of(orders):
        pad_patches_block[(triton.cdiv(rows, _BLOCK), curves)](
            orders.contiguous(),
            out,
            restores,
            orders if real is None else real,
            count,
            rows,
            *borrowed_rows(count, size),
            SHORT=short,
            BLOCK=_BLOCK,
        )
    return PaddedPatches(out, restores, None if real is None else real.view(torch.bool))


def warm_up(device: torch.device) -> None:
    """Compile the kernels of levels that are pooled by a stride of 2."""
    one = torch.zeros(1, dtype=torch.int64, device=device)
    pooling = Pooling(one, one, torch.arange(2, device=device))
    for finer in (None, FinerLevel(pooling, 2, 8)):
        level = one.new_zeros(1, 3), one.new_zeros(1, 3, dtype=torch.float32)
        pad_level(*level, one, one.new_zeros(27, 1, dtype=torch.int32), finer, 2)
    for size in (1, 2):
        pad_patches(one[None], size, 2)
