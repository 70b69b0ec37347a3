# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Steps that one kernel of ours computes, each against PyTorch's operators on the same device."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from dataclasses import replace
from unittest.mock import patch

import torch
from torch import nn

from benchmarks.gpu_check.scope import TOLERANCE, Findings, Row, Scope, distance, scene
from benchmarks.measure import runs
from concerto_ros.ptv3.blocks import Norm
from concerto_ros.ptv3.cuda_graphs import graphs
from concerto_ros.ptv3.cuda_graphs.padding import PaddedShape, pad_hierarchy
from concerto_ros.ptv3.encoder import Encoder
from concerto_ros.ptv3.hierarchy import Hierarchy, build_hierarchy
from concerto_ros.ptv3.kernels.backends import TABLE, choose_backend
from concerto_ros.ptv3.kernels.fused import PLAIN, Fused

#: Channels of a head with rotary embedding, as Utonia has them, and frequencies of an axis.
_ROTARY, _FREQUENCIES = 18, 3

#: Computes a step by the kernels that it is given.
Step = Callable[[Fused], list[torch.Tensor]]


@torch.inference_mode()
def steps(scope: Scope) -> Findings:
    """Compare and time every step of every level of one cloud."""
    found = Findings()
    encoder = scope.model(list(scope.models)[-1], scope.fast)
    backend = choose_backend("auto", scope.device) if scope.on_gpu else TABLE
    _, *where = scope.sent(scene(max(scope.voxels)))
    hierarchy = build_hierarchy(*where, encoder.config, backend)
    worst: dict[str, float] = {}
    for name, voxels, step in _steps(scope, encoder, hierarchy):
        ours, plain = step(backend.fused), step(PLAIN)
        off = distance(ours, [part.float().cpu() for part in plain])
        worst[name] = max(worst.get(name, 0.0), off)
        row: Row = {"step": name, "voxels": voxels, "off": off}
        for title, kernels in (("PyTorch ms", PLAIN), ("kernel ms", backend.fused)):
            spent = runs(lambda s=step, k=kernels: s(k), scope.device, scope.runs)
            row[title] = 1e3 * statistics.median(spent)
        found.rows.append(row)
    if backend.name == "triton":
        found.rows += _blocks(scope, hierarchy)
    for name, off in worst.items():
        most = 0.0 if name == "padding" else TOLERANCE[scope.fast]
        found.check(name, f"at most {off:.1e} off", off <= most)
    return found


def _blocks(scope: Scope, hierarchy: Hierarchy) -> Iterator[Row]:
    """Time the convolution of 48 channels by blocks of 16 input channels, and by one of 64."""
    from concerto_ros.ptv3.kernels.triton import conv

    level = hierarchy.levels[0]
    table = graphs.neighbour_table_of(level)
    feat = torch.randn(len(level), 48, device=scope.device).to(scope.fast)
    matrices = torch.randn(27, 48, 48, device=scope.device).to(scope.fast)
    for block_in in (16, 64):
        with patch.object(conv, "block_sizes", return_value=(64, block_in, 64)):
            spent = runs(lambda: table.convolve(feat, matrices, feat[0]), scope.device, scope.runs)
        name = f"convolution of 48 channels by blocks of {block_in}"
        yield {"step": name, "voxels": len(level), "kernel ms": 1e3 * statistics.median(spent)}


def _steps(
    scope: Scope, encoder: Encoder, hierarchy: Hierarchy
) -> Iterator[tuple[str, int, Step]]:
    """Yield the name of a step, the voxels of its level, and the step."""

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, device=scope.device)

    inv_freq = torch.tensor(10.0, device=scope.device) ** -torch.arange(
        _FREQUENCIES, device=scope.device
    )
    for index, (level, channels) in enumerate(
        zip(hierarchy.levels, encoder.config.enc_channels, strict=True)
    ):
        count = len(level)
        feat, branch = random(count, channels), random(count, channels).to(scope.fast)
        norm = Norm(channels, device=scope.device, dtype=scope.fast)
        yield (
            "residual and norm",
            count,
            lambda f, given=(feat, branch, norm, norm): list(f.add_norm(*given)),
        )
        if index:
            fine = random(len(hierarchy.levels[index - 1]), channels).to(scope.fast)
            given = fine, level.pooled_from, norm, nn.GELU()
            yield "pooling", count, lambda f, given=given: [f.pool(*given)]
        heads = random(count, 3, 2, _ROTARY).to(scope.fast)
        order = torch.randperm(count, device=scope.device)
        given = level.coord, order, inv_freq
        yield (
            "rotary embedding",
            count,
            lambda f, heads=heads, given=given: [f.rotate(heads.clone(), *given)],
        )
    if graphs.can_be_padded(hierarchy):
        shape = PaddedShape.above(hierarchy)

        def padding(kernels: Fused) -> list[torch.Tensor]:
            levels = tuple(replace(level, fused=kernels) for level in hierarchy.levels)
            padded = pad_hierarchy(Hierarchy(levels), shape, encoder.config.stride)
            return graphs._tensors(padded)

        yield "padding", len(hierarchy.levels[0]), padding
