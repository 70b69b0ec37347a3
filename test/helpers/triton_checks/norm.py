# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Residuals and their norms."""

from __future__ import annotations

import copy

import torch

from concerto_ros.ptv3.kernels import fused
from concerto_ros.ptv3.kernels.backends import choose_backend
from concerto_ros.ptv3.kernels.triton import norm as triton_norm
from triton_checks.shared import DEVICE, KINDS, built


@torch.no_grad()
def residuals_and_norms():
    """Sums within rounding of float32; the normalised ones within that of their own type."""
    backend = choose_backend("triton", DEVICE)
    assert backend.fused.add_norm is triton_norm.add_norm
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator).to(DEVICE)

    kinds = [(torch.float32, 2e-5), (torch.float16, 2e-3), (torch.bfloat16, 2e-2)]
    for count, channels in ((1, 1), (65, 18), (300, 48), (5, 64), (3, 768)):
        for dtype, tolerance in kinds:
            norms = [torch.nn.LayerNorm(channels, device=DEVICE) for _ in range(2)]
            for norm in norms:
                norm.weight.add_(random(channels))
                norm.bias.add_(random(channels))
                norm.to(dtype)
            # Rows far from zero lose their digits where the mean is not taken off first.
            feat, branch = random(count, channels) + 20, random(count, channels).to(dtype)
            for branch_norm in (None, norms[1]):
                total, normed = triton_norm.add_norm(feat, branch, norms[0], branch_norm)
                assert (total.dtype, normed.dtype) == (torch.float32, dtype)
                doubles = [
                    norm and copy.deepcopy(norm).double() for norm in (norms[0], branch_norm)
                ]
                expected = fused.add_norm(feat.double(), branch.double(), *doubles)
                torch.testing.assert_close(total.double(), expected[0], rtol=1e-6, atol=1e-5)
                off = (normed.double() - expected[1]).abs()
                assert (off <= tolerance * (1 + 8 * expected[1].abs())).all(), (channels, dtype)


def gradients_of_norms():
    """Where gradients are needed, they are those of PyTorch."""
    norm = torch.nn.LayerNorm(6, device=DEVICE)
    feat, branch = (torch.randn(4, 6, device=DEVICE).requires_grad_() for _ in range(2))
    total, normed = triton_norm.add_norm(feat, branch, norm)
    (total * normed).sum().backward()
    assert branch.grad.abs().min() > 0 and norm.weight.grad.abs().min() > 0


@torch.no_grad()
def residuals_compile_once_for_each_width():
    """After the warm-up no kernel of residuals is compiled, however many rows there are."""
    kernel, launched = triton_norm.add_norm_block, set()

    class Kernel:
        def __getitem__(self, grid):
            return lambda feat, branch, *_, **constants: launched.add(
                (branch.dtype, *sorted(constants.items()))
            )

    triton_norm.add_norm_block = Kernel()
    try:
        triton_norm.warm_up((3, 16), torch.float16, DEVICE)
        ready = set(launched)
        assert len(ready) == 4
        for count in (1, 2, 1023, 20000):
            for width in (3, 16):
                norm = torch.nn.LayerNorm(width, dtype=torch.float16, device=DEVICE)
                feat = torch.zeros(count, width, device=DEVICE)
                for branch_norm in (norm, None):
                    triton_norm.add_norm(feat, feat.half(), norm, branch_norm)
        assert launched == ready
    finally:
        triton_norm.add_norm_block = kernel


def compiles(capability: int):
    """The kernels compile for GPUs that are not here, within their registers and memory."""
    for kind in KINDS:
        for channels, norm_branch in ((48, True), (768, False)):
            block = triton_norm.block_sizes(channels)
            constants = dict(zip(("ROWS", "BLOCK"), block, strict=True))
            constants |= {"C": channels, "EPS": 1e-5, "NORM_BRANCH": norm_branch}
            arguments = triton_norm.add_norm_block.arg_names
            types = {"feat": "*fp32", "total": "*fp32", "count": "i32"}
            signature = {
                name: types.get(name, f"*{kind}") for name in arguments if name not in constants
            }
            done = built(triton_norm.add_norm_block, signature, constants, capability)
            assert done.metadata.shared <= 96 * 1024
