# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Matrix products of training on a CPU, by PyTorch or by a replacement.

A step of training has numbers of rows that never recur. oneDNN, which serves inference, compiles
and keeps a kernel for each number; a library that serves any number may then be faster.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.autograd.function import once_differentiable

#: ``product(left, right, out)`` writes (N, K) times (K, C) into ``out`` (N, C), all float32 on
#: the CPU and without gradients.
Product = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], object]

_replacement: Product | None = None


def replace_products(product: Product | None) -> None:
    """Use ``product`` for the float32 CPU products of training; None: PyTorch again."""
    global _replacement
    _replacement = product


def replaced(value: torch.Tensor) -> bool:
    """Return whether products with ``value`` use the function of :func:`replace_products`."""
    return _replacement_for(value) is not None


def _replacement_for(value: torch.Tensor) -> Product | None:
    if (
        _replacement is not None
        and value.dtype == torch.float32
        and value.device.type == "cpu"
        and type(value.data) is torch.Tensor
    ):
        return _replacement
    return None


def multiply(
    left: torch.Tensor,
    right: torch.Tensor,
    bias: torch.Tensor | None = None,
    *,
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """Compute ``left @ right + bias``, without gradients.

    Args:
        left: (N, K).
        right: (K, C).
        bias: (C,); None: no bias.
        out: (N, C) tensor to write to; None: a new one.

    Returns:
        (N, C), which is ``out`` if it is given.
    """
    replacement = _replacement_for(left)
    if replacement is None:
        if bias is None:
            return torch.mm(left, right, out=out)
        return torch.addmm(bias, left, right, out=out)
    if out is None:
        out = left.new_empty(len(left), right.shape[1])
    replacement(left, right, out)
    return out if bias is None else out.add_(bias)


class LinearFunction(torch.autograd.Function):
    """``feat @ weight.t() + bias`` by :func:`multiply`, including its gradients."""

    @staticmethod
    def forward(
        ctx: Any, feat: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
    ) -> torch.Tensor:
        """Multiply (N, K) by (C, K) transposed and add (C,) or None; returns (N, C)."""
        ctx.save_for_backward(feat, weight)
        return multiply(feat, weight.t(), bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Return the gradients of the three inputs, None for those that need none."""
        feat, weight = ctx.saved_tensors
        for_feat, for_weight, for_bias = ctx.needs_input_grad
        grad_feat = multiply(grad, weight) if for_feat else None
        grad_weight = multiply(grad.t(), feat) if for_weight else None
        return grad_feat, grad_weight, grad.sum(0) if for_bias else None
