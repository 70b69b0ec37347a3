# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What training minimises: cross-entropy plus Lovász-softmax, as the PTv3 line of papers does."""

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
    """Cross-entropy plus ``lovasz`` times Lovász-softmax over the rows that have a label.

    ``logits`` (N, K), ``labels`` (N,) integer with 255 where there is none, ``class_weights``
    (K,) for the cross-entropy alone. Zero, with zero gradients, where no row has a label.
    """
    known = (labels != UNLABELLED).nonzero()[:, 0]
    if not len(known):
        return logits.sum() * 0.0
    if len(known) < len(labels):
        logits, labels = logits.index_select(0, known), labels.index_select(0, known)
    log_probability = logits.float().log_softmax(dim=1)
    loss = functional.nll_loss(log_probability, labels, weight=class_weights)
    if lovasz:
        loss = loss + lovasz * lovasz_softmax(log_probability.exp(), labels)
    return loss


def lovasz_softmax(probability: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The Lovász extension of the mean Jaccard loss over the classes that occur in ``labels``.

    ``probability`` (N, K), ``labels`` (N,) below K. Berman et al., CVPR 2018, Algorithm 1. Its
    gradient with respect to the sorted errors is constant between two orders of the errors, so it
    is worked out without autograd and handed back to the unsorted rows.
    """
    present = torch.bincount(labels, minlength=probability.shape[1]).nonzero()[:, 0]
    # One row per class: contiguous runs sort faster.
    truth = labels[None, :] == present[:, None]
    errors = (truth.to(probability.dtype) - probability.t().index_select(0, present)).abs()
    with torch.no_grad():
        order = _descending(errors.detach())
        hit = truth.gather(1, order)
        found = hit.cumsum(1, dtype=torch.int32)
        total = found[:, -1:]
        rank = torch.arange(1, errors.shape[1] + 1, dtype=torch.int32, device=errors.device)
        # With the first ``rank`` errors wrong: what is left of the class, and the class joined
        # with the wrong ones. How much the next wrong row adds to 1 - left / union follows
        # without a difference of two nearly equal numbers.
        left = (total - found).to(errors.dtype)
        union = (total + rank - found).to(errors.dtype)
        steps = torch.where(hit, 1.0, left / (union - 1)) / union
        weights = torch.empty_like(errors).scatter_(1, order, steps)
    return (errors * weights).sum(1).mean()


def _descending(errors: torch.Tensor) -> torch.Tensor:
    """(K, N) int64: the columns of each row by falling value; of equal ones in any order."""
    if errors.device.type == "cpu":  # NumPy sorts with vector instructions, six times as fast
        return torch.from_numpy(np.argsort(-errors.numpy(), axis=1))
    return errors.argsort(dim=1, descending=True)


def balanced_weights(counts: np.ndarray, power: float = 0.5) -> torch.Tensor:
    """(K,) float32 class weights ``frequency ** -power``, one on average over the classes seen.

    ``counts`` (K,): labelled voxels of each class. A class that never occurs gets 0.
    """
    counts = np.asarray(counts, dtype=np.float64)
    seen = counts > 0
    if not seen.any():
        raise ValueError("no class has a labelled point, expected at least one")
    weights = np.zeros(len(counts))
    weights[seen] = (counts[seen] / counts.sum()) ** -power
    return torch.from_numpy(weights / weights[seen].mean()).float()
