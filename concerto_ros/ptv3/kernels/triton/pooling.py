# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pooling in Triton: the maximum of gathered rows, its layer normalisation and GELU in one."""

from __future__ import annotations

from collections.abc import Collection

import torch
import triton
import triton.language as tl

from concerto_ros.ptv3.kernels import fused
from concerto_ros.ptv3.kernels.pooling import LevelPooling, PaddedPooling, Pooling
from concerto_ros.ptv3.kernels.triton.norm import block_sizes, normalised


@triton.jit(do_not_specialize=["count", "members"])
def pool_block(
    values,
    fine_rows,
    starts,
    weight,
    bias,
    out,
    count,
    members,
    C: tl.constexpr,
    EPS: tl.constexpr,
    SEGMENTS: tl.constexpr,
    NORM: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Pool to ROWS rows: of segments of the finer rows, or of as many finer rows for each."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    real = row < count
    channel = tl.arange(0, BLOCK)
    inside = channel < C
    mask = real[:, None] & inside[None, :]
    if SEGMENTS:
        first = tl.load(starts + row, mask=real, other=0)
        last = tl.load(starts + row + 1, mask=real, other=1) - 1
        most = tl.max(last - first, 0) + 1
    else:
        first = row * members
        last = first + members - 1
        most = members.to(tl.int64)
    best = tl.full((ROWS, BLOCK), float("-inf"), tl.float32)
    for k in range(most):
        # A voxel of fewer rows takes its last one again.
        source = tl.load(fine_rows + tl.minimum(first + k, last), mask=real, other=0)
        value = tl.load(values + source[:, None] * C + channel[None, :], mask=mask, other=0.0)
        best = tl.maximum(best, value.to(tl.float32), propagate_nan=tl.PropagateNan.ALL)
    if NORM:
        best = normalised(best, weight, bias, channel, inside, C, EPS)
        best = 0.5 * best * (1 + tl.erf(best * 0.7071067811865476))
    tl.store(out + row[:, None] * C + channel[None, :], best.to(out.dtype.element_ty), mask=mask)


def pool(
    values: torch.Tensor,
    pooling: LevelPooling,
    norm: torch.nn.Module,
    act: torch.nn.Module,
) -> torch.Tensor:
    """Compute what :func:`concerto_ros.ptv3.kernels.fused.pool` does, without gathering rows.

    Where the norm is not a layer normalisation (LitePT), only the maximum is computed here.
    Gradients, float64 and other poolings are left to PyTorch.
    """
    if torch.is_grad_enabled() or values.dtype == torch.float64:
        return fused.pool(values, pooling, norm, act)
    if isinstance(pooling, PaddedPooling):
        fine_rows = starts = pooling.members
        count, members = pooling.members.shape
    elif isinstance(pooling, Pooling):
        fine_rows, starts = pooling.order, pooling.starts
        count, members = len(starts) - 1, 0
    else:
        return fused.pool(values, pooling, norm, act)
    normalises = isinstance(norm, torch.nn.LayerNorm)
    channels = values.shape[1]
    rows, block = block_sizes(channels)
    out = values.new_empty(count, channels, dtype=torch.float32 if normalises else values.dtype)
    with torch.cuda.device_of(values):
        pool_block[(triton.cdiv(count, rows),)](
            values.contiguous(),
            fine_rows,
            starts,
            norm.weight if normalises else out,
            norm.bias if normalises else out,
            out,
            count,
            members,
            C=channels,
            EPS=norm.eps if normalises else 0.0,
            SEGMENTS=not members,
            NORM=normalises,
            ROWS=rows,
            BLOCK=block,
        )
    return out if normalises else act(norm(out))


def warm_up(widths: Collection[int], dtype: torch.dtype, device: torch.device) -> None:
    """Compile every kernel that poolings to as many channels as each of ``widths`` need."""
    one = torch.zeros(1, dtype=torch.int64, device=device)
    poolings = (Pooling(one, one, torch.arange(2, device=device)), PaddedPooling(one, one[None]))
    for width in widths:
        norm = torch.nn.LayerNorm(width, dtype=dtype, device=device)
        for pooling in poolings:
            pool(norm.weight[None], pooling, norm, torch.nn.GELU())
