# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Sparse convolution."""

from __future__ import annotations

import torch
from ptv3_inputs import convolution

from concerto_ros.ptv3.kernels.backends import choose_backend
from concerto_ros.ptv3.kernels.neighbour_table import NeighbourTable
from concerto_ros.ptv3.kernels.triton import conv as triton_conv
from triton_checks.shared import DEVICE, KINDS, built, levels


@torch.no_grad()
def convolution_of_every_width_and_type():
    """Within rounding of the float32 result, and the same bits every time."""
    all_levels = [*levels(40, 1, 12), next(levels(1))]
    for channels, dtype, tolerance in (
        (1, torch.float32, 1e-6),
        (48, torch.float32, 1e-6),
        (33, torch.float16, 1e-3),
        # Triton's interpreter has no products of bfloat16.
        *([(48, torch.bfloat16, 1e-2)] if DEVICE.type == "cuda" else []),
        (3, torch.float64, 1e-12),
    ):
        generator = torch.Generator().manual_seed(0)
        for plain, fast in all_levels:
            feat = torch.randn(len(plain), channels, generator=generator).to(DEVICE, dtype)
            conv = convolution(channels, 0).to(DEVICE, dtype)
            result = conv(feat, fast.neighbours)
            assert result.dtype == dtype
            if DEVICE.type == "cuda":
                assert torch.equal(result, conv(feat, fast.neighbours))
            exact = torch.promote_types(dtype, torch.float32)
            expected = conv.to(exact)(feat.to(exact), plain.neighbours)
            off = torch.linalg.norm(result.to(exact) - expected)
            assert off <= tolerance * torch.linalg.norm(expected), (channels, dtype, len(plain))


def warming_up():
    """After it levels of any size take kernels that are compiled."""
    kernel, launched = triton_conv.convolve_block, set()

    class Kernel:
        """Notes what is launched, which decides what is compiled, instead of running it."""

        def __getitem__(self, grid):
            return lambda feat, *_, **constants: launched.add(
                (feat.dtype, *sorted(constants.items()))
            )

    triton_conv.convolve_block = Kernel()
    try:
        for dtype in (torch.float32, torch.float16):
            choose_backend("triton", DEVICE).warm_up((3, 16), dtype, DEVICE)
            ready = set(launched)
            assert ready
            for count in (1, 2, 1023, 1024, 4095, 4096, 20000):
                place = torch.arange(count, device=DEVICE)
                rows = torch.full((27, count), -1, dtype=torch.int32, device=DEVICE)
                table = NeighbourTable(place, rows, triton_conv.multiply)
                for width in (3, 16):
                    feat = torch.zeros(count, width, dtype=dtype, device=DEVICE)
                    matrices, bias = feat.new_zeros(27, width, width), feat.new_zeros(width)
                    table.convolve(feat, matrices, bias)
            assert launched == ready, launched - ready
    finally:
        triton_conv.convolve_block = kernel


def gradients():
    """Gradients of features, weights and bias."""
    generator = torch.Generator().manual_seed(0)
    conv = convolution(5, 1).to(DEVICE)
    for plain, fast in levels(20, 7):
        feat = torch.randn(len(plain), 5, generator=generator).to(DEVICE).requires_grad_()
        wanted = torch.randn(len(plain), 5, generator=generator).to(DEVICE)
        leaves = [feat, conv.weight, conv.bias]
        ours, theirs = (
            torch.autograd.grad((conv(feat, level.neighbours) * wanted).sum(), leaves)
            for level in (fast, plain)
        )
        for one, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def compiles(capability: int):
    """The kernels compile for GPUs that are not here, within their registers and memory."""
    for kind in KINDS:
        for count, channels in ((100_000, 48), (500, 512)):
            exact = kind == "fp32"
            block = triton_conv.block_sizes(count, channels, channels, exact)
            names = ("BLOCK_ROWS", "BLOCK_IN", "BLOCK_OUT")
            constants = dict(zip(names, block, strict=True))
            constants |= {"IN": channels, "OUT": channels}
            constants["PRECISION"] = "ieee" if exact else "tf32"
            pointers = dict.fromkeys(("feat", "matrices", "bias", "out"), f"*{kind}")
            signature = {"rows": "*i32", "order": "*i64", "count": "i32", **pointers}
            arguments = triton_conv.convolve_block.arg_names
            signature = {name: signature[name] for name in arguments if name in signature}
            done = built(triton_conv.convolve_block, signature, constants, capability)
            assert done.metadata.shared <= 96 * 1024
            assert exact or "mma" in done.asm["ptx"]
