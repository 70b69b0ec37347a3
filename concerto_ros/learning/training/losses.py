# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Segmentation losses: cross-entropy plus Lovász-softmax, as in the PTv3 papers."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from concerto_ros.labels.label_set import UNLABELLED


def segmentation_loss(
    logits: torch.Tensor,
    labels: torch.Tensor,
    *,
    class_weights: torch.Tensor | None = None,
    lovasz: float = 1.0,
) -> torch.Tensor:
    """Cross-entropy plus ``lovasz`` times Lovász-softmax over the labelled rows.

    Args:
        logits: (N, K).
        labels: (N,) integers, 255: no label.
        class_weights: (K,) for the cross-entropy only; None: equal weights.
        lovasz: Weight of the Lovász-softmax loss.

    Returns:
        The loss, a scalar; zero with zero gradients if no row has a label.
    """
    labelled = (labels != UNLABELLED).nonzero()[:, 0]
    if not len(labelled):
        return logits.sum() * 0.0
    if len(labelled) < len(labels):
        logits, labels = logits.index_select(0, labelled), labels.index_select(0, labelled)
    log_probability = logits.float().log_softmax(dim=1)
    loss = functional.nll_loss(log_probability, labels, weight=class_weights)
    if lovasz:
        loss = loss + lovasz * lovasz_softmax(log_probability.exp(), labels)
    return loss


def lovasz_softmax(probability: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The Lovász extension of the mean Jaccard loss over the classes that occur in ``labels``.

    Berman et al., CVPR 2018, Algorithm 1. The gradient with respect to the sorted errors is
    constant as long as their order is, so it is computed without autograd and scattered back to
    the unsorted rows.

    Args:
        probability: (N, K).
        labels: (N,) integers less than K.
    """
    present = torch.bincount(labels, minlength=probability.shape[1]).nonzero()[:, 0]
    # One row per class: contiguous runs sort faster.
    truth = labels[None, :] == present[:, None]
    errors = (truth.to(probability.dtype) - probability.t().index_select(0, present)).abs()
    with torch.no_grad():
        order = _descending(errors.detach())
        hit = truth.gather(1, order)
        hits = hit.cumsum(1, dtype=torch.int32)
        total = hits[:, -1:]
        rank = torch.arange(1, errors.shape[1] + 1, dtype=torch.int32, device=errors.device)
        # Intersection and union of the class if the first ``rank`` rows are wrong. The increment
        # of 1 - intersection / union by the next wrong row is computed in a form that does not
        # subtract two nearly equal numbers.
        intersection = (total - hits).to(errors.dtype)
        union = (total + rank - hits).to(errors.dtype)
        steps = torch.where(hit, 1.0, intersection / (union - 1)) / union
        weights = torch.empty_like(errors).scatter_(1, order, steps)
    return (errors * weights).sum(1).mean()


def _descending(errors: torch.Tensor) -> torch.Tensor:
    """(K, N) int64: indices that sort each row in descending order; ties in any order."""
    if errors.device.type == "cpu":  # NumPy's vectorised sort is six times as fast
        return torch.from_numpy(np.argsort(-errors.numpy(), axis=1))
    return errors.argsort(dim=1, descending=True)


def balanced_weights(counts: np.ndarray, power: float = 0.5) -> torch.Tensor:
    """Class weights ``frequency ** -power``, with a mean of one over the classes that occur.

    Args:
        counts: (K,) labelled voxels of each class.
        power: Exponent; 0: equal weights.

    Returns:
        (K,) float32; 0 for a class that does not occur.

    Raises:
        ValueError: All counts are zero.
    """
    counts = np.asarray(counts, dtype=np.float64)
    seen = counts > 0
    if not seen.any():
        raise ValueError("no class has a labelled point, expected at least one")
    weights = np.zeros(len(counts))
    weights[seen] = (counts[seen] / counts.sum()) ** -power
    return torch.from_numpy(weights / weights[seen].mean()).float()
