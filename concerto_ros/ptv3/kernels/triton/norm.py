# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A residual, its layer normalisation and the cast of the result in one Triton kernel."""

from __future__ import annotations

from collections.abc import Collection

import torch
import triton
import triton.language as tl

from concerto_ros.ptv3.kernels import fused

#: Values of a program: rows of narrow features go together.
_VALUES = 2048


@triton.jit
def normalised(values, weight, bias, channel, inside, C: tl.constexpr, EPS: tl.constexpr):
    """Normalise (rows, channels) along the channels, of which those inside count."""
    mean = tl.sum(values, 1) / C
    off = tl.where(inside[None, :], values - mean[:, None], 0.0)
    scale = tl.rsqrt(tl.sum(off * off, 1) / C + EPS)
    factor = tl.load(weight + channel, mask=inside, other=0.0).to(tl.float32)
    shift = tl.load(bias + channel, mask=inside, other=0.0).to(tl.float32)
    return off * scale[:, None] * factor[None, :] + shift[None, :]


@triton.jit(do_not_specialize=["count"])
def add_norm_block(
    feat,
    branch,
    branch_weight,
    branch_bias,
    weight,
    bias,
    total,
    normed,
    count,
    C: tl.constexpr,
    EPS: tl.constexpr,
    NORM_BRANCH: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Add a branch to ROWS rows of the features, normalised first or not; store both results."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    channel = tl.arange(0, BLOCK)
    inside = channel < C
    mask = (row < count)[:, None] & inside[None, :]
    place = row[:, None] * C + channel[None, :]
    added = tl.load(branch + place, mask=mask, other=0.0).to(tl.float32)
    if NORM_BRANCH:
        added = normalised(added, branch_weight, branch_bias, channel, inside, C, EPS)
    values = tl.load(feat + place, mask=mask, other=0.0) + added
    tl.store(total + place, values, mask=mask)
    result = normalised(values, weight, bias, channel, inside, C, EPS)
    tl.store(normed + place, result.to(normed.dtype.element_ty), mask=mask)


def block_sizes(channels: int) -> tuple[int, int]:
    """Return the rows of a program and the channels of a row, both powers of two."""
    block = triton.next_power_of_2(channels)
    return max(_VALUES // block, 1), block


def warm_up(widths: Collection[int], dtype: torch.dtype, device: torch.device) -> None:
    """Compile every kernel that blocks of as many channels as each of ``widths`` need."""
    for width in widths:
        feat = torch.zeros(1, width, device=device)
        norm = torch.nn.LayerNorm(width, dtype=dtype, device=device)
        for branch_norm in (norm, None):
            add_norm(feat, feat.to(dtype), norm, branch_norm)


def add_norm(
    feat: torch.Tensor,
    branch: torch.Tensor,
    norm: torch.nn.LayerNorm,
    branch_norm: torch.nn.LayerNorm | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute what :func:`concerto_ros.ptv3.kernels.fused.add_norm` does.

    Sums are float32, as there; the normalised features are in the precision of the weights.
    Gradients and float64 are left to PyTorch.
    """
    if torch.is_grad_enabled() or feat.dtype != torch.float32:
        return fused.add_norm(feat, branch, norm, branch_norm)
    count, channels = feat.shape
    rows, block = block_sizes(channels)
    total = torch.empty_like(feat, memory_format=torch.contiguous_format)
    normed = torch.empty_like(total, dtype=norm.weight.dtype)
    first = norm if branch_norm is None else branch_norm
    with torch.cuda.device_of(feat):
        add_norm_block[(triton.cdiv(count, rows),)](
            feat.contiguous(),
            branch.contiguous(),
            first.weight,
            first.bias,
            norm.weight,
            norm.bias,
            total,
            normed,
            count,
            C=channels,
            EPS=norm.eps,
            NORM_BRANCH=branch_norm is not None,
            ROWS=rows,
            BLOCK=block,
        )
    return total, normed
