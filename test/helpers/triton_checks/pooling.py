# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pooling of features."""

from __future__ import annotations

from itertools import product

import torch

from concerto_ros.ptv3.kernels.pooling import PaddedPooling, Pooling, pooled_members
from concerto_ros.ptv3.kernels.triton import norm as triton_norm
from concerto_ros.ptv3.kernels.triton import pooling as triton_pooling
from triton_checks.shared import DEVICE, KINDS, built, there


@torch.no_grad()
def pooled_rows():
    """Maxima are the same bit for bit; normalised ones within rounding; NaN stays where it is."""
    generator = torch.Generator().manual_seed(0)
    sizes = torch.randint(1, 9, (70,), generator=generator)
    starts = torch.nn.functional.pad(sizes.cumsum(0), (1, 0))
    fine = int(starts[-1])
    order = torch.randperm(fine, generator=generator)
    cluster = torch.repeat_interleave(sizes)[order.argsort()]
    segments = Pooling(*map(there, (cluster, order, starts)))
    padded = PaddedPooling(segments.cluster, pooled_members(segments, 8))
    kinds = [(torch.float32, 2e-5), (torch.float16, 2e-5), (torch.bfloat16, 2e-5)]
    for channels, (dtype, tolerance) in product((1, 33, 192), kinds):
        values = torch.randn(fine, channels, generator=generator).to(DEVICE, dtype)
        values[order[0]] = torch.nan
        values[order[-1]] = -torch.inf
        norm = torch.nn.LayerNorm(channels, device=DEVICE)
        norm.weight.add_(torch.randn(channels, generator=generator).to(DEVICE))
        for pooling in (segments, padded):
            for plain in (torch.nn.Identity(), norm):
                given = values, pooling, plain
                act = torch.nn.GELU() if plain is norm else torch.nn.Identity()
                expected = act(plain(pooling.reduce(values, "max").float()))
                result = triton_pooling.pool(*given, act)
                assert result.dtype == (torch.float32 if plain is norm else dtype)
                assert result[0].isnan().all() and result[1:-1].isfinite().all()
                off = 0.0 if plain is not norm else tolerance
                torch.testing.assert_close(
                    result.float(), expected, rtol=off, atol=off, equal_nan=True
                )


def gradients_of_pools():
    """Where gradients are needed, they are those of PyTorch."""
    starts = torch.tensor([0, 2, 3], device=DEVICE)
    order = torch.tensor([2, 0, 1], device=DEVICE)
    pooling = Pooling(torch.tensor([0, 1, 0], device=DEVICE), order, starts)
    values = torch.randn(3, 6, device=DEVICE).requires_grad_()
    norm = torch.nn.LayerNorm(6, device=DEVICE)
    triton_pooling.pool(values, pooling, norm, torch.nn.GELU()).square().sum().backward()
    assert values.grad.abs().sum() > 0 and norm.weight.grad.abs().sum() > 0


def compiles(capability: int):
    """The kernels compile for GPUs that are not here, within their registers and memory."""
    for kind in KINDS:
        for segments, norm in ((True, False), (False, True)):
            block = triton_norm.block_sizes(192)
            constants = dict(zip(("ROWS", "BLOCK"), block, strict=True))
            constants |= {"C": 192, "EPS": 1e-5, "SEGMENTS": segments, "NORM": norm}
            types = dict.fromkeys(("values", "weight", "bias"), f"*{kind}")
            types |= {"out": "*fp32" if norm else f"*{kind}"}
            types |= dict.fromkeys(("fine_rows", "starts"), "*i64")
            types |= dict.fromkeys(("count", "members"), "i32")
            built(triton_pooling.pool_block, types, constants, capability)
