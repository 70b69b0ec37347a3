# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Losses of the clustering terms and of the term of images."""

from __future__ import annotations

import torch
from torch.nn import functional

#: Factor of the loss of images, as published.
IMAGE_SCALE = 10.0


def cluster_loss(
    logits: torch.Tensor, targets: torch.Tensor, view: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Cross-entropy of the student's logits with the teacher's assignments.

    The mean of each view counts alike. A view without rows counts as zero, those after the last
    view that has rows are not counted, as in the published code.

    Args:
        logits: (N, K) of the student.
        targets: (N, K), rows that sum to 1.
        view: (N,) int64, the student's view of each row.
        temperature: Of the student.

    Returns:
        A scalar; NaN without a row.
    """
    rows = -(targets * functional.log_softmax(logits.float() / temperature, dim=1)).sum(dim=1)
    if not len(rows):
        return rows.mean()
    sums = rows.new_zeros(int(view.max()) + 1).index_add(0, view, rows)
    return (sums / torch.bincount(view).clamp(min=1)).mean()


def cosine_loss(predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Ten times the mean of one minus the cosine, each vector less its mean over the channels.

    Args:
        predicted: (N, D).
        target: (N, D), without gradients.

    Returns:
        A scalar; NaN without a row.
    """
    predicted, target = (
        values - values.mean(dim=1, keepdim=True) for values in (predicted.float(), target.float())
    )
    cosine = functional.cosine_similarity(predicted, target, dim=1, eps=1e-6)
    return IMAGE_SCALE * (1 - cosine).mean()
