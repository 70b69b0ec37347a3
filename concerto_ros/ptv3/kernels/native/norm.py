# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Layer normalisation with what comes before it."""

from __future__ import annotations

import torch
from torch import nn

from concerto_ros.ptv3.kernels import fused
from concerto_ros.ptv3.kernels.native.calls import COUNT, INTEGER, POINTER, REAL, call, takes
from concerto_ros.ptv3.kernels.pooling import LevelPooling, Pooling

_NORM = (POINTER, POINTER, REAL)
_ADD_NORM = (INTEGER, POINTER, POINTER, COUNT, COUNT, *_NORM, *_NORM, POINTER, POINTER)
_POOL = (INTEGER, POINTER, POINTER, POINTER, COUNT, COUNT, *_NORM, POINTER)


def add_norm(
    feat: torch.Tensor,
    branch: torch.Tensor,
    norm: nn.LayerNorm,
    branch_norm: nn.LayerNorm | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute :func:`concerto_ros.ptv3.kernels.fused.add_norm`, in one pass over memory.

    The normalised sum has the type of the branch.
    """
    if feat.dtype != torch.float32 or not (
        takes(feat, branch.dtype) and takes(branch, branch.dtype)
    ):
        return fused.add_norm(feat, branch, norm, branch_norm)
    feat, branch = feat.contiguous(), branch.contiguous()
    total, normed = torch.empty_like(feat), torch.empty_like(branch)
    half = branch.dtype == torch.bfloat16
    norms = (*_weights(branch_norm), *_weights(norm))
    call("concerto_add_norm", _ADD_NORM, half, feat, branch, *feat.shape, *norms, total, normed)
    return total, normed


def pool(
    values: torch.Tensor, pooling: LevelPooling, norm: nn.Module, act: nn.Module
) -> torch.Tensor:
    """Compute :func:`concerto_ros.ptv3.kernels.fused.pool`, without a copy of the ordered rows."""
    if not isinstance(pooling, Pooling) or not isinstance(norm, nn.LayerNorm):
        return fused.pool(values, pooling, norm, act)
    if not takes(values, values.dtype):
        return fused.pool(values, pooling, norm, act)
    values = values.contiguous()
    starts = pooling.starts
    result = torch.empty(len(starts) - 1, values.shape[1])
    half = values.dtype == torch.bfloat16
    members = (pooling.order, starts, *result.shape)
    call("concerto_pool", _POOL, half, values, *members, *_weights(norm), result)
    return result


def _weights(norm: nn.LayerNorm | None) -> tuple[torch.Tensor | None, torch.Tensor | None, float]:
    """Return the weights of a normalisation in float32; nothing for none."""
    if norm is None:
        return None, None, 0.0
    return norm.weight.float(), norm.bias.float(), norm.eps
