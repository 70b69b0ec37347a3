# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Farthest point sampling."""

from __future__ import annotations

import torch

from concerto_ros.ptv3.kernels.native.calls import COUNT, POINTER, call, has_kernels

_TYPES = (POINTER, POINTER, COUNT, COUNT, COUNT, COUNT, POINTER)


def samples(points: torch.Tensor) -> bool:
    """Return whether :func:`sample_farthest` takes these points: finite, on the CPU."""
    return (
        type(points) is torch.Tensor
        and points.device.type == "cpu"
        and has_kernels(torch.float32)
        and bool(points.isfinite().all())
    )


def sample_farthest(
    points: torch.Tensor, distance: torch.Tensor, count: int, start: int
) -> torch.Tensor:
    """Choose rows one after the other, each the farthest from those before it.

    Args:
        points: (B, N, 3) float32, N of at least 1, which :func:`samples` is true for.
        distance: (B, N) float32, the squared distance that the minimum of each row starts with, at
            least -1.
        count: rows to choose.
        start: the row that is chosen first.

    Returns:
        (B, count) int64; of rows equally far the first.
    """
    points, distance = points.contiguous(), distance.contiguous()
    chosen = torch.empty(len(points), count, dtype=torch.int64)
    sizes = (*points.shape[:2], count, start)
    call("concerto_sample", _TYPES, points, distance, *sizes, chosen)
    return chosen
