# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Linear layers."""

from __future__ import annotations

import torch

from concerto_ros.ptv3.cpu.onednn import Linear
from concerto_ros.ptv3.kernels import fused
from concerto_ros.ptv3.kernels.native.calls import (
    COUNT,
    INTEGER,
    POINTER,
    call,
    is_observed,
    multiplies,
    takes,
)

_TYPES = (INTEGER, INTEGER, POINTER, POINTER, POINTER, POINTER, COUNT, COUNT, COUNT, INTEGER)


def linear(layer: Linear, feat: torch.Tensor, *, gelu: bool = False) -> torch.Tensor:
    """Apply a linear layer; arguments as of :func:`concerto_ros.ptv3.kernels.fused.linear`."""
    if not _serves(layer, feat):
        return fused.linear(layer, feat, gelu=gelu)
    weight, bias = layer.weight, layer.bias
    result = weight.new_empty(len(feat), len(weight))
    half = weight.dtype == torch.bfloat16
    sizes = (*feat.shape, len(weight))
    types = (half, feat.dtype == torch.bfloat16)
    call("concerto_linear", _TYPES, *types, feat, weight, bias, result, *sizes, gelu)
    return result


def mlp(first: Linear, second: Linear, feat: torch.Tensor) -> torch.Tensor:
    """Apply two linear layers with a GELU between, (N, C) to (N, C)."""
    return linear(second, linear(first, feat, gelu=True))


def _serves(layer: Linear, feat: torch.Tensor) -> bool:
    if type(layer) is not Linear or is_observed(layer):
        return False
    weight, bias = layer.weight, layer.bias
    return (
        feat.ndim == 2
        and feat.shape[1] == weight.shape[1]
        and (bias is None or bias.dtype == weight.dtype)
        and takes(feat, weight.dtype, weight, bias)
        and multiplies(weight.dtype)
    )
