# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Space-filling curves in Triton: one kernel launch instead of about two hundred in PyTorch."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from concerto_ros.ptv3.kernels.curves import check_curve

_BLOCK = 1024


@triton.jit
def _spread(value):
    """Move bit i of a 16-bit number to bit 3 i."""
    value = value.to(tl.int64)
    value = (value | value << 16) & 0x00FF0000FF
    value = (value | value << 8) & 0x00F00F00F00F
    value = (value | value << 4) & 0x0C30C30C30C3
    return (value | value << 2) & 0x249249249249


@triton.jit(do_not_specialize=["count", "depth"])
def curve_code_block(
    grid_coord,
    out,
    count,
    depth,
    HILBERT: tl.constexpr,
    EXCHANGED: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Compute the codes of BLOCK voxels as :mod:`concerto_ros.ptv3.kernels.curves` does."""
    row = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = row < count
    x = tl.load(grid_coord + 3 * row + EXCHANGED, mask=inside, other=0).to(tl.int32)
    y = tl.load(grid_coord + 3 * row + 1 - EXCHANGED, mask=inside, other=0).to(tl.int32)
    z = tl.load(grid_coord + 3 * row + 2, mask=inside, other=0).to(tl.int32)
    if HILBERT:
        for step in range(1, depth):
            bit = depth - step
            below = (1 << bit) - 1
            x = x ^ (-(x >> bit & 1) & below)
            set_y = -(y >> bit & 1)
            swap = (x ^ y) & ~set_y & below
            x = x ^ swap ^ (set_y & below)
            y = y ^ swap
            set_z = -(z >> bit & 1)
            swap = (x ^ z) & ~set_z & below
            x = x ^ swap ^ (set_z & below)
            z = z ^ swap
    code = _spread(x) << 2 | _spread(y) << 1 | _spread(z)
    if HILBERT:
        # Every bit of the Gray code becomes the parity of itself and all bits above it.
        code = code ^ code >> 1
        code = code ^ code >> 2
        code = code ^ code >> 4
        code = code ^ code >> 8
        code = code ^ code >> 16
        code = code ^ code >> 32
    tl.store(out + row, code, mask=inside)


def curve_code(grid_coord: torch.Tensor, depth: int, curve: str) -> torch.Tensor:
    """Compute the same as :func:`concerto_ros.ptv3.kernels.curves.curve_code`, bit for bit."""
    check_curve(depth, curve)
    count = len(grid_coord)
    out = torch.empty(count, dtype=torch.int64, device=grid_coord.device)
    with torch.cuda.device_of(grid_coord):
        curve_code_block[(triton.cdiv(count, _BLOCK),)](
            grid_coord.contiguous(),
            out,
            count,
            depth,
            HILBERT=curve.startswith("hilbert"),
            EXCHANGED=int(curve.endswith("-trans")),
            BLOCK=_BLOCK,
        )
    return out
