# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Temperature scaling: confidences that are as high as the share of labels that are right.

A network that was trained to the end is surer than it is right, and the more so the less a scan
resembles those of its training. Dividing its scores by one number before the softmax corrects the
mean without a change of labels (Guo et al., "On Calibration of Modern Neural Networks", ICML
2017).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import torch
from scipy.optimize import minimize_scalar
from torch.nn import functional

from concerto_ros.labels.label_set import UNLABELLED

#: Bounds of a temperature. Where every validation voxel is right, the best one would be 0.
LOWEST, HIGHEST = 0.1, 10.0

#: About as many voxels are enough for one number.
MAX_VOXELS = 200_000


class Scored(NamedTuple):
    """Scores of labelled voxels.

    Attributes:
        scores: (N, K) float32 logits, on the CPU.
        labels: (N,) int64, the true label of each, below K.
    """

    scores: torch.Tensor
    labels: torch.Tensor

    @property
    def accuracy(self) -> float:
        """Share of the voxels whose highest score is that of the true label."""
        return float((self.scores.argmax(dim=1) == self.labels).float().mean())

    def confidence(self, temperature: float) -> float:
        """Return the mean probability of the class with the highest score."""
        return float((self.scores / temperature).softmax(dim=1).amax(dim=1).mean())


def scored(batches: Iterable[tuple[torch.Tensor, torch.Tensor]], most: int = MAX_VOXELS) -> Scored:
    """Collect the labelled voxels of some batches, of each batch at most ``most``.

    Args:
        batches: scores (V, K) and labels (V,) of the voxels; 255: not labelled.
        most: of more voxels, evenly spaced ones are taken.
    """
    scores, labels = [], []
    for batch_scores, batch_labels in batches:
        rows = (batch_labels != UNLABELLED).nonzero()[:, 0]
        rows = rows[:: max(1, -(-len(rows) // max(most, 1)))]
        scores.append(batch_scores.detach().index_select(0, rows).float().cpu())
        labels.append(batch_labels.index_select(0, rows).long().cpu())
    return Scored(torch.cat(scores), torch.cat(labels))


def fit_temperature(scores: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the temperature with the smallest mean negative log-likelihood.

    Args:
        scores: (N, K) logits of voxels that the model was not trained on. Confidences are then
            right on average over these voxels, so they should be as varied as the scans to come.
        labels: (N,) int64, the true label of each, below K.

    Returns:
        A number from :data:`LOWEST` to :data:`HIGHEST`.

    Raises:
        ValueError: there is no voxel, or a score is not finite.
    """
    if not len(labels):
        raise ValueError("labels: got none, expected those of at least one voxel")
    if not scores.isfinite().all():
        raise ValueError("scores: got NaN or infinity, expected finite logits")
    scores = scores.double()

    def loss(log_temperature: float) -> float:
        return float(functional.cross_entropy(scores / math.exp(log_temperature), labels))

    # The loss is convex in 1 / temperature, so it has one minimum.
    bounds = (math.log(LOWEST), math.log(HIGHEST))
    return math.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x)
