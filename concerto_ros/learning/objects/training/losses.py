# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Losses of the published trainings of object encoders."""

from __future__ import annotations

import torch


def chamfer_squared(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Sum both ways' mean squared distance to the nearest point of the other cloud.

    Args:
        first: (B, N, 3).
        second: (B, M, 3).

    Returns:
        A scalar, the mean over the batch.
    """
    table = _squared(first, second)
    return table.amin(2).mean() + table.amin(1).mean()


def chamfer_distance(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Average both ways' mean distance to the nearest point of the other cloud.

    Args:
        first: (B, N, 3).
        second: (B, M, 3).

    Returns:
        A scalar, the mean over the batch.
    """
    table = _squared(first, second)
    return (table.amin(2).sqrt().mean() + table.amin(1).sqrt().mean()) / 2


def smoothed_cross_entropy(
    logits: torch.Tensor, labels: torch.Tensor, smoothing: float
) -> torch.Tensor:
    """Compute the cross entropy of (B, K) logits with label smoothing.

    Unlike PyTorch's, ``smoothing`` is spread over the K - 1 other classes, not over all K.
    """
    log_probability = logits.log_softmax(1)
    right = log_probability.gather(1, labels.unsqueeze(1)).squeeze(1)
    others = (log_probability.sum(1) - right) / (logits.shape[1] - 1)
    return -((1 - smoothing) * right + smoothing * others).mean()


def _squared(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    return (first.unsqueeze(2) - second.unsqueeze(1)).square().sum(-1)
