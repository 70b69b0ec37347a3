# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Submanifold convolution as one matrix product over the neighbour table, in Triton.

An implicit GEMM: neighbours are read in place instead of being gathered into a copy, and every
output is summed by one program in a fixed order, so no two runs differ.
"""

from __future__ import annotations

from collections.abc import Collection

import torch
import triton
import triton.language as tl

from concerto_ros.ptv3.kernels import neighbour_table
from concerto_ros.ptv3.kernels.neighbour_table import NeighbourTable
from concerto_ros.ptv3.kernels.tf32 import may_use_tf32

#: (minimum rows of a level, rows of its blocks): the first entry that a level reaches is used.
_BLOCK_ROWS = ((4096, 64), (1024, 32), (1, 16))


@triton.jit(do_not_specialize=["count"])
def convolve_block(
    feat,
    rows,
    order,
    matrices,
    bias,
    out,
    count,
    IN: tl.constexpr,
    OUT: tl.constexpr,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_IN: tl.constexpr,
    BLOCK_OUT: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Multiply BLOCK_ROWS columns of the table by the matrices, for BLOCK_OUT channels."""
    place = tl.program_id(0) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    inside = place < count
    to = tl.program_id(1) * BLOCK_OUT + tl.arange(0, BLOCK_OUT)
    to_inside = to < OUT
    total = tl.zeros((BLOCK_ROWS, BLOCK_OUT), tl.float32)
    for k in range(27):
        source = tl.load(rows + k * count.to(tl.int64) + place, mask=inside, other=-1)
        if tl.max(source, 0) >= 0:
            present = source >= 0
            base = source.to(tl.int64) * IN
            for start in range(0, IN, BLOCK_IN):
                by = start + tl.arange(0, BLOCK_IN)
                by_inside = by < IN
                left = tl.load(
                    feat + base[:, None] + by[None, :],
                    mask=present[:, None] & by_inside[None, :],
                    other=0.0,
                )
                right = tl.load(
                    matrices + (k * IN + by)[:, None] * OUT + to[None, :],
                    mask=by_inside[:, None] & to_inside[None, :],
                    other=0.0,
                )
                total = tl.dot(left, right, total, input_precision=PRECISION)
    total += tl.load(bias + to, mask=to_inside, other=0.0).to(tl.float32)[None, :]
    row = tl.load(order + place, mask=inside, other=0)
    tl.store(
        out + row[:, None] * OUT + to[None, :],
        total.to(out.dtype.element_ty),
        mask=inside[:, None] & to_inside[None, :],
    )


def multiply(
    feat: torch.Tensor, matrices: torch.Tensor, bias: torch.Tensor, table: NeighbourTable
) -> torch.Tensor:
    """Compute the same as :func:`concerto_ros.ptv3.kernels.neighbour_table.multiply`.

    All tensors have the same type. Sums are float32; products of float32 are TF32 only where those
    of PyTorch are. float64 is left to PyTorch.
    """
    if feat.dtype == torch.float64:
        return neighbour_table.multiply(feat, matrices, bias, table)
    count, (_, width_in, width_out) = len(feat), matrices.shape
    out = feat.new_empty(count, width_out)
    exact = feat.dtype == torch.float32 and not may_use_tf32()
    block_rows, block_in, block_out = block_sizes(count, width_in, width_out, exact)
    grid = (triton.cdiv(count, block_rows), triton.cdiv(width_out, block_out))
    with torch.cuda.device_of(feat):
        convolve_block[grid](
            feat.contiguous(),
            table.rows,
            table.order,
            matrices.contiguous(),
            bias,
            out,
            count,
            IN=width_in,
            OUT=width_out,
            BLOCK_ROWS=block_rows,
            BLOCK_IN=block_in,
            BLOCK_OUT=block_out,
            PRECISION="ieee" if exact else "tf32",
            num_warps=4,
            num_stages=3,
        )
    return out


def block_sizes(count: int, width_in: int, width_out: int, exact: bool) -> tuple[int, int, int]:
    """Return (rows, input channels, output channels) of a block.

    Small levels are cut finer, so that there are enough programs for every multiprocessor; exact
    float32 products, without tensor cores, take smaller blocks to stay within the registers. The
    choice depends on the shape and never on a trial run: another choice would sum in another
    order.
    """
    block_rows = next((rows for minimum, rows in _BLOCK_ROWS if count >= minimum), 16)
    widest = 32 if count < 4096 else 64 if exact else 128
    block_out = max(min(triton.next_power_of_2(width_out), widest), 16)
    sizes = (32, 16) if exact else (64, 32, 16)
    block_in = next((size for size in sizes if width_in % size == 0), 32)
    return block_rows, block_in, block_out


def warm_up(widths: Collection[int], dtype: torch.dtype, device: torch.device) -> None:
    """Compile every kernel that levels of any size need for channels of each of ``widths``."""
    for count, _ in _BLOCK_ROWS:
        alone = torch.arange(count, device=device)
        rows = torch.full((27, count), -1, dtype=torch.int32, device=device)
        rows[13] = alone
        table = NeighbourTable(alone, rows, multiply)
        for width in widths:
            feat = torch.zeros(count, width, dtype=dtype, device=device)
            multiply(feat, feat.new_zeros(27, width, width), feat.new_zeros(width), table)
