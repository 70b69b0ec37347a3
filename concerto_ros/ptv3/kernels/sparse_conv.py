# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Submanifold convolution (Graham et al., CVPR 2018) by neighbour pairs and matrix products."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from concerto_ros.ptv3.cpu import onednn
from concerto_ros.ptv3.cpu.matmul import multiply
from concerto_ros.ptv3.cpu.threads import for_each
from concerto_ros.ptv3.kernels.native.convolution import NativeNeighbours
from concerto_ros.ptv3.kernels.neighbour_table import NeighbourTable
from concerto_ros.ptv3.kernels.neighbours import CENTRE, KERNEL_ORDER, Neighbours, OtherNeighbours


class SubmanifoldConv(nn.Module):
    """3 x 3 x 3 convolution over the occupied voxels only.

    ``out[p] = bias + sum over d in {-1, 0, 1}^3 of weight[:, d] @ x[p + d]``, empty voxels left
    out. The weight has the official shape (C_out, 3, 3, 3, C_in), axes x, y, z. In memory the 27
    matrices are stored one after the other, each (C_in, C_out), as the products need them.
    """

    def __init__(self, channels: int):
        super().__init__()
        matrices = nn.init.trunc_normal_(torch.empty(3, 3, 3, channels, channels), std=0.02)
        self.weight = nn.Parameter(matrices.permute(4, 0, 1, 2, 3))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(
        self,
        feat: torch.Tensor,
        neighbours: Neighbours | NativeNeighbours | NeighbourTable | OtherNeighbours,
    ) -> torch.Tensor:
        """Convolve (N, C_in) features to (N, C_out).

        The products of each kernel offset are computed one after the other; then every row sums
        its own products in a fixed order, so the result is identical bit for bit on every run.
        """
        dtype = self.weight.dtype
        if torch.is_autocast_enabled(feat.device.type):  # which knows no functions of ours
            dtype = torch.get_autocast_dtype(feat.device.type)
        feat, weight, bias = feat.to(dtype), self.weight.to(dtype), self.bias.to(dtype)
        matrices = weight.permute(1, 2, 3, 4, 0).flatten(0, 2)
        if isinstance(neighbours, NeighbourTable):
            return neighbours.convolve(feat, matrices, bias)
        if isinstance(neighbours, NativeNeighbours):
            if neighbours.serves(feat, matrices, bias):
                return neighbours.convolve(feat, matrices, bias)
            neighbours = neighbours.by_offset
        if not isinstance(neighbours, Neighbours):
            return neighbours.convolve(feat, weight, bias)
        # Checked here: inside an autograd function gradients are off in training, too.
        fast = onednn.usable(feat)
        if fast:
            feat = onednn.in_recurring_rows(feat, feat.dtype)
        return _Convolve.apply(feat, matrices, bias, neighbours, fast)


class _Convolve(torch.autograd.Function):
    """The convolution with a backward pass of the same structure.

    The gradient of a row is again a convolution, with the kernel mirrored and transposed; left to
    autograd it would be 26 scattered additions.
    """

    @staticmethod
    def forward(
        ctx: Any,
        feat: torch.Tensor,
        matrices: torch.Tensor,
        bias: torch.Tensor,
        neighbours: Neighbours,
        fast: bool,
    ) -> torch.Tensor:
        ctx.save_for_backward(feat, matrices)
        ctx.neighbours = neighbours
        if fast:
            result = onednn.product(feat, matrices[CENTRE].t(), bias)
            result = result[: len(neighbours.starts) - 1]
        else:
            result = multiply(feat, matrices[CENTRE], bias)
        if not len(neighbours.sources):
            return result
        return result + _summed(_products(feat, matrices, neighbours, fast), neighbours)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        feat, matrices = ctx.saved_tensors
        neighbours = ctx.neighbours
        grad = grad.contiguous()
        for_feat, for_matrices, for_bias, *_ = ctx.needs_input_grad
        sources = _runs(neighbours.sources, neighbours)
        targets = sources[13:] + sources[:13]  # those of the mirrored run, in the same order
        grad_feat: torch.Tensor | None = None
        grad_matrices: torch.Tensor | None = None
        if for_feat:
            mirrored = matrices.flip(0).transpose(1, 2).contiguous()
            grad_feat = multiply(grad, mirrored[CENTRE])
            products = grad.new_empty(len(neighbours.sources), feat.shape[1])
            runs = _runs(products, neighbours)
        if for_matrices:
            grad_matrices = torch.zeros_like(matrices)
            multiply(feat.t(), grad, out=grad_matrices[CENTRE])
        for run, k in enumerate(KERNEL_ORDER):
            if not len(sources[run]) or not (for_feat or for_matrices):
                continue
            gathered = grad.index_select(0, sources[run])
            if for_feat:
                multiply(gathered, mirrored[k], out=runs[run])
            if grad_matrices is not None:  # of the mirrored run, whose targets these rows are
                inputs = feat.index_select(0, targets[run])
                multiply(inputs.t(), gathered, out=grad_matrices[26 - k])
        if grad_feat is not None and len(neighbours.sources):
            grad_feat += _summed(products, neighbours)
        return grad_feat, grad_matrices, grad.sum(0) if for_bias else None, None, None


def _runs(
    rows: torch.Tensor, neighbours: Neighbours, *, whole: bool = False
) -> tuple[torch.Tensor, ...]:
    """Split (S, ...) rows into the runs of the kernel offsets: their pairs, or ``whole``."""
    runs = rows.split(neighbours.lengths)
    if whole:
        return runs
    return tuple(run[:count] for run, count in zip(runs, neighbours.counts, strict=True))


def _summed(products: torch.Tensor, neighbours: Neighbours) -> torch.Tensor:
    """Sum the products (P, C) of each target in a fixed order, (N, C)."""
    return functional.embedding_bag(
        neighbours.pairs, products, neighbours.starts, mode="sum", include_last_offset=True
    )


def _products(
    feat: torch.Tensor, matrices: torch.Tensor, neighbours: Neighbours, fast: bool
) -> torch.Tensor:
    """Multiply each pair's source row by the matrix of its kernel offset, (P, C_out).

    ``fast``: whether oneDNN may be used.
    """
    products = feat.new_empty(len(neighbours.sources), matrices.shape[2])
    # PyTorch's products write in place. oneDNN's save more time in float32 only, and only where
    # MKL leaves half the vector width unused.
    by_onednn = fast and feat.dtype == torch.float32 and onednn.has_whole_vectors()

    def multiply_run(run: tuple[torch.Tensor, torch.Tensor, int]) -> None:
        out, rows, k = run
        gathered = feat.index_select(0, rows)
        if by_onednn and len(rows):
            out.copy_(onednn.product(gathered, matrices[k].t()))
        else:
            multiply(gathered, matrices[k], out=out)

    outputs, sources = (
        _runs(rows, neighbours, whole=fast) for rows in (products, neighbours.sources)
    )
    runs = zip(outputs, sources, KERNEL_ORDER, strict=True)
    if feat.device.type == "cpu" and type(feat) is torch.Tensor:  # not a tensor without values
        for_each(multiply_run, list(runs))
        return products
    for run in runs:
        multiply_run(run)
    return products
