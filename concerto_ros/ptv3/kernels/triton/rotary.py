# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Rotary embedding in Triton: queries and keys are rotated where they are, by one kernel.

Angles are computed in registers: none are kept for the blocks of a level, nor brought into the
order of its patches.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from concerto_ros.ptv3.kernels import fused

#: Angles of a program.
_ANGLES = 512


@triton.jit(do_not_specialize=["count"])
def rotate_block(
    heads,
    position,
    order,
    inv_freq,
    count,
    HEADS: tl.constexpr,
    HALF: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Rotate the queries and keys of ROWS rows; HALF channels of an axis with the other half."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    real = row < count
    pair = tl.arange(0, BLOCK)
    inside = pair < 3 * HALF
    mask = real[:, None] & inside[None, :]
    axis = pair // HALF
    source = tl.load(order + row, mask=real, other=0)
    at = tl.load(position + 3 * source[:, None] + axis[None, :], mask=mask, other=0)
    frequency = tl.load(inv_freq + pair % HALF, mask=inside, other=0.0)
    angle = at.to(tl.float32) * frequency[None, :]
    cos, sin = tl.cos(angle), tl.sin(angle)
    # Queries and keys lie side by side, then come the values.
    start = (
        heads + row[:, None] * (3 * HEADS * 6 * HALF) + (axis * 2 * HALF + pair % HALF)[None, :]
    )
    for head in range(2 * HEADS):
        left = start + head * (6 * HALF)
        first = tl.load(left, mask=mask, other=0.0).to(tl.float32)
        second = tl.load(left + HALF, mask=mask, other=0.0).to(tl.float32)
        tl.store(left, (first * cos - second * sin).to(heads.dtype.element_ty), mask=mask)
        tl.store(left + HALF, (second * cos + first * sin).to(heads.dtype.element_ty), mask=mask)


def block_sizes(half: int) -> tuple[int, int]:
    """Return the rows of a program and the angles of a row, both powers of two."""
    block = triton.next_power_of_2(3 * half)
    return max(_ANGLES // block, 1), block


def rotate(
    heads: torch.Tensor, position: torch.Tensor, order: torch.Tensor, inv_freq: torch.Tensor
) -> torch.Tensor:
    """Compute what :func:`concerto_ros.ptv3.kernels.fused.rotate` does, in ``heads`` itself.

    Gradients and float64 are left to PyTorch.
    """
    if torch.is_grad_enabled() or heads.dtype == torch.float64:
        return fused.rotate(heads, position, order, inv_freq)
    heads = heads.contiguous()
    count, _, number, _ = heads.shape
    rows, block = block_sizes(len(inv_freq))
    with torch.cuda.device_of(heads):
        rotate_block[(triton.cdiv(count, rows),)](
            heads,
            position.contiguous(),
            order,
            inv_freq,
            count,
            HEADS=number,
            HALF=len(inv_freq),
            ROWS=rows,
            BLOCK=block,
        )
    return heads
