# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Attention within patches, of rows where they lie."""

from __future__ import annotations

import torch

from concerto_ros.ptv3.kernels.fused import Attend
from concerto_ros.ptv3.kernels.native.calls import COUNT, INTEGER, POINTER, REAL, call, takes

_TYPES = (INTEGER, POINTER, POINTER, *[COUNT] * 5, POINTER, POINTER, POINTER, REAL)


def attention(feat: torch.Tensor, dtype: torch.dtype) -> Attend | None:
    """Return :func:`attend` where it takes features in ``dtype``, else None."""
    return attend if takes(feat, dtype) else None


def attend(
    heads: torch.Tensor,
    queries: torch.Tensor,
    keys: torch.Tensor,
    mask: torch.Tensor | None,
    scale: float,
    mixed: torch.Tensor,
) -> None:
    """Compute softmax attention; sums are float32 whatever the type of the rows.

    Arguments as of :data:`concerto_ros.ptv3.kernels.fused.Attend`, in a type that
    :func:`~concerto_ros.ptv3.kernels.native.calls.takes` names; ``mixed`` is contiguous.
    """
    half = heads.dtype == torch.bfloat16
    sizes = (*heads.shape[2:], *queries.shape, keys.shape[1])
    call("concerto_attend", _TYPES, half, heads, mixed, *sizes, queries, keys, mask, scale)
