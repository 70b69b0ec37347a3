# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What ``test_ptv3_backends.py`` runs in a process of its own: Triton's kernels against PyTorch.

On the CPU by Triton's interpreter (``TRITON_INTERPRET=1``), else on a GPU.
"""

from __future__ import annotations

import copy
import sys
from dataclasses import astuple
from itertools import product

import torch
from ptv3_inputs import CONFIG, batch_of, convolution

from concerto_ros.ptv3 import build_hierarchy
from concerto_ros.ptv3.kernels import curves as serialization
from concerto_ros.ptv3.kernels import fused, level_padding, neighbour_table
from concerto_ros.ptv3.kernels.backends import PAIRS, choose_backend
from concerto_ros.ptv3.kernels.level_padding import FinerLevel
from concerto_ros.ptv3.kernels.neighbour_table import NeighbourTable
from concerto_ros.ptv3.kernels.neighbours import voxel_keys
from concerto_ros.ptv3.kernels.pooling import PaddedPooling, Pooling, pooled_members
from concerto_ros.ptv3.kernels.triton import coarsening as triton_coarsening
from concerto_ros.ptv3.kernels.triton import conv as triton_conv
from concerto_ros.ptv3.kernels.triton import curves as triton_codes
from concerto_ros.ptv3.kernels.triton import neighbours as triton_neighbours
from concerto_ros.ptv3.kernels.triton import norm as triton_norm
from concerto_ros.ptv3.kernels.triton import padding as triton_padding
from concerto_ros.ptv3.kernels.triton import pooling as triton_pooling
from concerto_ros.ptv3.kernels.triton import rotary as triton_rotary

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def levels(*sizes: int):
    """The same levels by plain PyTorch and by Triton."""
    given = [value.to(DEVICE) for value in batch_of(*sizes, side=6)]
    triton = choose_backend("triton", DEVICE)
    assert triton.name == "triton"
    plain, fast = (build_hierarchy(*given, CONFIG, backend) for backend in (PAIRS, triton))
    return zip(plain.levels, fast.levels, strict=True)


def codes():
    """Curve codes are the same bit for bit."""
    for depth in (0, 1, 2, 7, 16):
        generator = torch.Generator().manual_seed(depth)
        grid_coord = torch.randint(0, 1 << depth, (1100, 3), generator=generator).to(DEVICE)
        for curve in serialization.CURVES:
            for part in (grid_coord, grid_coord.int()[:1], grid_coord[:, [2, 1, 0]]):
                expected = serialization.curve_code(part, depth, curve)
                assert torch.equal(triton_codes.curve_code(part, depth, curve), expected)


def hierarchy():
    """Levels are the same bit for bit."""
    for sizes in ((90,), (1,), (40, 1, 12)):
        for plain, fast in levels(*sizes):
            for name in ("grid_coord", "coord", "batch", "offset"):
                assert torch.equal(getattr(plain, name), getattr(fast, name)), name
            for patching, patches in plain.patches.items():
                assert torch.equal(patches.order, fast.patches[patching].order)
            if plain.pooling:
                _same_arrays(astuple(fast.pooling), astuple(plain.pooling))


def coarser_voxels():
    """All of a coarser level is the same bit for bit, over blocks and for far indices."""
    assert choose_backend("triton", DEVICE).fused.coarsen is triton_coarsening.coarsen
    for sizes, side, stride in (((1,), 6, 2), ((700,), 9, 2), ((256, 257, 3), 40, 3)):
        grid_coord, coord, offset = (part.to(DEVICE) for part in batch_of(*sizes, side=side))
        positions = torch.arange(len(grid_coord), device=DEVICE)
        batch = torch.searchsorted(offset, positions, right=True)
        for far in (0, 65000 // stride):
            voxels = grid_coord + far * stride
            united = torch.cat([batch[:, None], voxels // stride], 1).unique(dim=0)
            largest = united[:, 1:].amax(0).tolist()
            given = voxels, batch, coord, stride, largest, len(united)
            *ours, ours_pooling = triton_coarsening.coarsen(*given)
            *plain, plain_pooling = fused.coarsen(*given)
            _same_arrays(ours, plain)
            _same_arrays(astuple(ours_pooling), astuple(plain_pooling))


def neighbour_tables():
    """Tables and their orders are the same bit for bit."""
    for sizes, side in (((90,), 6), ((1,), 6), ((40, 1, 12), 6), ((700,), 9), ((256, 257), 40)):
        grid_coord, _, offset = (value.to(DEVICE) for value in batch_of(*sizes, side=side))
        positions = torch.arange(len(grid_coord), device=DEVICE)
        batch = torch.searchsorted(offset, positions, right=True)
        # The second layout has planes too large for 32 bits.
        for largest in (grid_coord.amax(0).tolist(), [65535, 65535, 65535]):
            keys, order = voxel_keys(grid_coord, batch, largest).sort()
            for rows in (order, None):
                plain, fast = (
                    module.find_neighbour_table(keys, rows, largest, triton_conv.multiply)
                    for module in (neighbour_table, triton_neighbours)
                )
                assert torch.equal(plain.rows, fast.rows), (sizes, largest)
                assert torch.equal(plain.order, fast.order), (sizes, largest)
                assert (fast.rows.dtype, fast.order.dtype) == (torch.int32, torch.int64)


@torch.no_grad()
def convolution_of_every_width_and_type():
    """Within rounding of the float32 result, and the same bits every time."""
    for channels, dtype, tolerance in (
        (1, torch.float32, 1e-6),
        (48, torch.float32, 1e-6),
        (33, torch.float16, 1e-3),
        # Triton's interpreter has no products of bfloat16.
        *([(48, torch.bfloat16, 1e-2)] if DEVICE.type == "cuda" else []),
        (3, torch.float64, 1e-12),
    ):
        generator = torch.Generator().manual_seed(0)
        for plain, fast in [*levels(40, 1, 12), next(levels(1))]:
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


def warming_up():
    """After it levels of any size take kernels that are compiled."""
    residuals_compile_once_for_each_width()
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


def padded_levels():
    """Every array of a padded level is the same bit for bit."""
    assert choose_backend("triton", DEVICE).fused.pad_level is triton_padding.pad_level
    for size, rows, finer in ((1, 64, 128), (60, 64, 384), (300, 640, 512)):
        generator = torch.Generator().manual_seed(size)
        coord = torch.randn(size, 3, generator=generator)
        grid_coord = torch.randint(0, 9, (size, 3), generator=generator)
        table = torch.randint(-1, size, (27, size), generator=generator).int()
        sizes = torch.randint(1, 9, (size,), generator=generator).clamp_(max=finer // size)
        starts = torch.nn.functional.pad(sizes.cumsum(0), (1, 0))
        order = torch.randperm(int(starts[-1]), generator=generator)
        cluster = torch.repeat_interleave(sizes)[order.argsort()]
        held = Pooling(*map(_there, (cluster, order, starts)))
        given = list(map(_there, (grid_coord, coord, torch.randperm(size), table)))
        for pooled in (None, FinerLevel(held, finer, 8)):
            ours, plain = (
                module.pad_level(*given, pooled, rows)
                for module in (triton_padding, level_padding)
            )
            _same_arrays(ours[:4], plain[:4])
            if pooled:
                _same_arrays(astuple(ours.pooling), astuple(plain.pooling))


def padded_patches():
    """Orders, their inverses and masks are the same bit for bit, whatever the last patch lacks."""
    for count, rows in ((1, 64), (15, 64), (16, 32), (17, 64), (300, 320), (512, 528)):
        for curves in (1, 3):
            orders = torch.stack([torch.randperm(count, device=DEVICE) for _ in range(curves)])
            ours, plain = (
                module.pad_patches(orders, 16, rows) for module in (triton_padding, level_padding)
            )
            _same_arrays(ours, plain)


@torch.no_grad()
def pooled_rows():
    """Maxima are the same bit for bit; normalised ones within rounding; NaN stays where it is."""
    generator = torch.Generator().manual_seed(0)
    sizes = torch.randint(1, 9, (70,), generator=generator)
    starts = torch.nn.functional.pad(sizes.cumsum(0), (1, 0))
    fine = int(starts[-1])
    order = torch.randperm(fine, generator=generator)
    cluster = torch.repeat_interleave(sizes)[order.argsort()]
    segments = Pooling(*map(_there, (cluster, order, starts)))
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


def _there(value):
    return value.to(DEVICE) if isinstance(value, torch.Tensor) else value


def _same_arrays(ours, plain):
    for one, other in zip(ours, plain, strict=True):
        assert (one is None) == (other is None)
        assert one is None or (one.dtype == other.dtype and torch.equal(one, other))


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


def compiles(capabilities: list[int]):
    """The kernels compile for GPUs that are not here, within their registers and memory."""
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource, compile

    def built(kernel, signature, constants, capability):
        signature |= dict.fromkeys(constants, "constexpr")
        source = ASTSource(kernel, signature, constants)
        return compile(source, target=GPUTarget("cuda", capability, 32))

    for capability in capabilities:
        for kind in ("fp32", "bf16", "fp16"):
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
            for channels, norm_branch in ((48, True), (768, False)):
                block = triton_norm.block_sizes(channels)
                constants = dict(zip(("ROWS", "BLOCK"), block, strict=True))
                constants |= {"C": channels, "EPS": 1e-5, "NORM_BRANCH": norm_branch}
                arguments = triton_norm.add_norm_block.arg_names
                types = {"feat": "*fp32", "total": "*fp32", "count": "i32"}
                signature = {
                    name: types.get(name, f"*{kind}")
                    for name in arguments
                    if name not in constants
                }
                done = built(triton_norm.add_norm_block, signature, constants, capability)
                assert done.metadata.shared <= 96 * 1024
            for segments, norm in ((True, False), (False, True)):
                block = triton_norm.block_sizes(192)
                constants = dict(zip(("ROWS", "BLOCK"), block, strict=True))
                constants |= {"C": 192, "EPS": 1e-5, "SEGMENTS": segments, "NORM": norm}
                types = dict.fromkeys(("values", "weight", "bias"), f"*{kind}")
                types |= {"out": "*fp32" if norm else f"*{kind}"}
                types |= dict.fromkeys(("fine_rows", "starts"), "*i64")
                types |= dict.fromkeys(("count", "members"), "i32")
                built(triton_pooling.pool_block, types, constants, capability)
            block = triton_rotary.block_sizes(3)
            constants = dict(zip(("ROWS", "BLOCK"), block, strict=True))
            constants |= {"HEADS": 2, "HALF": 3}
            for position in ("*fp32", "*i64"):
                types = {"heads": f"*{kind}", "position": position, "order": "*i64"}
                types |= {"inv_freq": "*fp32", "count": "i32"}
                done = built(triton_rotary.rotate_block, types, constants, capability)
                # Indices of voxels make angles for which the fast instructions are of no use.
                assert "cos.approx" not in done.asm["ptx"]
        for kernel, constants in (
            (triton_padding.pad_level_block, {"MEMBERS": 0}),
            (triton_padding.pad_level_block, {"MEMBERS": 27}),
            (triton_padding.pad_patches_block, {"SHORT": True}),
        ):
            types = {"coord": "*fp32", "neighbours": "*i32", "real_rows": "*u8"}
            types |= {"out_coord": "*fp32", "out_neighbours": "*i32"}
            numbers = ("count", "rows", "fine_count", "fine_rows", "whole", "borrowed")
            types |= dict.fromkeys(numbers, "i32")
            signature = {
                name: types.get(name, "*i64") for name in kernel.arg_names if not name.isupper()
            }
            built(kernel, signature, constants | {"BLOCK": 256}, capability)
        numbers = ("count", "coarse_count", "stride", "size_x", "size_y", "size_z")
        for kernel in (
            triton_coarsening.key_block,
            triton_coarsening.step_block,
            triton_coarsening.unite_block,
            triton_coarsening.mean_block,
        ):
            types = dict.fromkeys(numbers, "i32") | dict.fromkeys(("coord", "out"), "*fp32")
            signature = {
                name: types.get(name, "*i64") for name in kernel.arg_names if name != "BLOCK"
            }
            built(kernel, signature, {"BLOCK": 256}, capability)
        signature = {"grid_coord": "*i64", "out": "*i64", "count": "i32", "depth": "i32"}
        constants = {"HILBERT": True, "EXCHANGED": 1, "BLOCK": 1024}
        built(triton_codes.curve_code_block, signature, constants, capability)
        numbers = dict.fromkeys(("count", "steps", "size_y", "size_z"), "i32")
        signature = {"keys": "*i64", "table": "*i32", "pattern": "*i32"} | numbers
        built(triton_neighbours.find_block, signature, {"BLOCK": 256}, capability)
        longs = dict.fromkeys(("by", "rows"), "*i64")
        for has_rows in (False, True):
            signature = {"table": "*i32"} | longs | {"out": "*i32", "order": "*i64"}
            signature["count"] = "i32"
            constants = {"HAS_ROWS": has_rows, "BLOCK": 256}
            built(triton_neighbours.arrange_block, signature, constants, capability)


if __name__ == "__main__":
    if sys.argv[1] == "compiles":
        compiles([int(capability) for capability in sys.argv[2:]])
    else:
        codes()
        neighbour_tables()
        hierarchy()
        coarser_voxels()
        convolution_of_every_width_and_type()
        residuals_and_norms()
        gradients_of_norms()
        padded_levels()
        padded_patches()
        pooled_rows()
        gradients_of_pools()
        rotated_heads()
        gradients_of_rotations()
        warming_up()
        gradients()
