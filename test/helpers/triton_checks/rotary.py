# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Rotary embeddings."""

from __future__ import annotations

from itertools import product

import torch

from concerto_ros.ptv3.kernels import fused
from concerto_ros.ptv3.kernels.triton import rotary as triton_rotary
from triton_checks.shared import DEVICE, KINDS, built


@torch.no_grad()
def rotated_heads():
    """Queries and keys are rotated as PyTorch does, far from the origin too; values stay."""
    generator = torch.Generator().manual_seed(0)
    kinds = [(torch.float32, 2e-6), (torch.float16, 1e-3), (torch.bfloat16, 1e-2)]
    for (count, heads, half), (dtype, tolerance) in product(
        ((1, 1, 1), (70, 2, 3), (300, 3, 8)), kinds
    ):
        parts = torch.randn(count, 3, heads, 6 * half, generator=generator).to(DEVICE, dtype)
        inv_freq = (100.0 ** -(torch.arange(half) / half)).to(DEVICE)
        order = torch.randint(0, count, (count,), generator=generator).to(DEVICE)
        coord = 30 * torch.randn(count, 3, generator=generator)
        voxels = torch.randint(0, 65535, (count, 3), generator=generator)
        for position in (coord.to(DEVICE), voxels.to(DEVICE)):
            expected = fused.rotate(parts, position, order, inv_freq)
            result = triton_rotary.rotate(parts.clone(), position, order, inv_freq)
            assert result.dtype == dtype
            assert torch.equal(result[:, 2], parts[:, 2])
            torch.testing.assert_close(
                result.float(), expected.float(), rtol=tolerance, atol=tolerance
            )


def gradients_of_rotations():
    """Where gradients are needed, they are those of PyTorch."""
    heads = torch.randn(5, 3, 1, 6, device=DEVICE).requires_grad_()
    position, order = torch.rand(5, 3, device=DEVICE), torch.arange(5, device=DEVICE)
    triton_rotary.rotate(heads, position, order, torch.ones(1, device=DEVICE)).sum().backward()
    assert heads.grad.abs().min() > 0


def compiles(capability: int):
    """The kernels compile for GPUs that are not here, within their registers and memory."""
    for kind in KINDS:
        block = triton_rotary.block_sizes(3)
        constants = dict(zip(("ROWS", "BLOCK"), block, strict=True))
        constants |= {"HEADS": 2, "HALF": 3}
        for position in ("*fp32", "*i64"):
            types = {"heads": f"*{kind}", "position": position, "order": "*i64"}
            types |= {"inv_freq": "*fp32", "count": "i32"}
            done = built(triton_rotary.rotate_block, types, constants, capability)
            # Indices of voxels make angles for which the fast instructions are of no use.
            assert "cos.approx" not in done.asm["ptx"]
