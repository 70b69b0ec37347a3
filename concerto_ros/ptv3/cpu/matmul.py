# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Matrix products of training on a CPU, by PyTorch or by what a program puts in its place.

A step of training brings rows in numbers that never come again. oneDNN, which serves inference,
writes and keeps a kernel for each number; a library that serves any number may then be faster.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.autograd.function import once_differentiable

#: ``product(left, right, out)`` writes (N, K) times (K, C) into ``out`` (N, C), all float32 on
#: the CPU and without gradients.
Product = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], object]

_replacement: Product | None = None


def replace_products(product: Product | None) -> None:
    """Have ``product`` compute the float32 CPU products of training; None: PyTorch again."""
    global _replacement
    _replacement = product


def replaced(value: torch.Tensor) -> bool:
    """Whether products with ``value`` are by what :func:`replace_products` put in place."""
    return (
        _replacement is not None
        and value.dtype == torch.float32
        and value.device.type == "cpu"
        and type(value.data) is torch.Tensor
    )


def multiply(
    left: torch.Tensor,
    right: torch.Tensor,
    bias: torch.Tensor | None = None,
    *,
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """(N, K) times (K, C), plus (C,): (N, C), in ``out`` if given; no gradients."""
    if not replaced(left):
        if bias is None:
            return torch.mm(left, right, out=out)
        return torch.addmm(bias, left, right, out=out)
    if out is None:
        out = left.new_empty(len(left), right.shape[1])
    _replacement(left, right, out)
    return out if bias is None else out.add_(bias)


class LinearFunction(torch.autograd.Function):
    """``feat @ weight.t() + bias`` by :func:`multiply`, gradients too."""

    @staticmethod
    def forward(ctx, feat: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None):
        """(N, K), (C, K) and (C,) or None: (N, C)."""
        ctx.save_for_backward(feat, weight)
        return multiply(feat, weight.t(), bias)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: torch.Tensor):
        feat, weight = ctx.saved_tensors
        for_feat, for_weight, for_bias = ctx.needs_input_grad
        grad_feat = multiply(grad, weight) if for_feat else None
        grad_weight = multiply(grad.t(), feat) if for_weight else None
        return grad_feat, grad_weight, grad.sum(0) if for_bias else None
