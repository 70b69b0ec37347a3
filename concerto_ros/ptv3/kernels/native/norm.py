# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Layer normalisation with what comes before it."""

from __future__ import annotations

import torch
from torch import nn

from concerto_ros.ptv3.cpu.onednn import GELU
from concerto_ros.ptv3.kernels import fused
from concerto_ros.ptv3.kernels.native.calls import (
    COUNT,
    INTEGER,
    POINTER,
    REAL,
    call,
    is_observed,
    takes,
)
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
    norms = [norm] if branch_norm is None else [norm, branch_norm]
    if not (
        feat.dtype == torch.float32
        and feat.shape == branch.shape
        and all(_is_plain(one, feat.shape[1:]) for one in norms)
        and takes(feat, branch.dtype, branch, *(one.weight for one in norms))
    ):
        return fused.add_norm(feat, branch, norm, branch_norm)
    total, normed = feat.new_empty(feat.shape), branch.new_empty(branch.shape)
    half = branch.dtype == torch.bfloat16
    weights = (*_weights(branch_norm), *_weights(norm))
    call("concerto_add_norm", _ADD_NORM, half, feat, branch, *feat.shape, *weights, total, normed)
    return total, normed


def pool(
    values: torch.Tensor, pooling: LevelPooling, norm: nn.Module, act: nn.Module
) -> torch.Tensor:
    """Compute :func:`concerto_ros.ptv3.kernels.fused.pool`, without a copy of the ordered rows."""
    if not (
        isinstance(pooling, Pooling)
        and len(values) == len(pooling.order)
        and isinstance(norm, nn.LayerNorm)
        and _is_plain(norm, values.shape[1:])
        and isinstance(act, GELU)
        and not is_observed(act)
        and takes(values, values.dtype, norm.weight)
    ):
        return fused.pool(values, pooling, norm, act)
    starts = pooling.starts
    result = values.new_empty(len(starts) - 1, values.shape[1], dtype=torch.float32)
    half = values.dtype == torch.bfloat16
    members = (pooling.order, starts, *result.shape)
    call("concerto_pool", _POOL, half, values, *members, *_weights(norm), result)
    return result


def _is_plain(norm: nn.LayerNorm, shape: torch.Size) -> bool:
    """Return whether a norm is of rows of this shape (C,), has weights, and nothing else."""
    has_weights = norm.weight is not None and norm.bias is not None
    return norm.normalized_shape == tuple(shape) and has_weights and not is_observed(norm)


def _weights(norm: nn.LayerNorm | None) -> tuple[torch.Tensor | None, torch.Tensor | None, float]:
    """Return the weights of a normalisation in float32; nothing for none."""
    if norm is None:
        return None, None, 0.0
    return norm.weight.float(), norm.bias.float(), norm.eps
