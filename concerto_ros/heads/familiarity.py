# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether features look like those that a head was trained on.

Softmax probabilities do not say so: a model of rooms is sure of its labels in a street as well.
The Mahalanobis distance to a Gaussian of the features of training does (Lee et al., "A Simple
Unified Framework for Detecting Out-of-Distribution Samples", NeurIPS 2018). Here it is one
Gaussian of one level of the encoder: as many as there are classes separated no better.
"""

from __future__ import annotations

import torch
from torch import nn

from concerto_ros.ptv3.encoder import Pyramid

#: Share of the mean variance that is added to each, so that directions in which the features of
#: training hardly differ do not decide alone.
_SHRINKAGE = 1e-3


class Familiarity(nn.Module):
    """Distance of features from those of training, and where it becomes unfamiliar.

    Which level it is of is told by the number of channels: the coarsest one that has as many.

    Attributes:
        mean: (C,) float32, of the features of a level.
        whitening: (C, C) float32; features minus ``mean`` times its transpose have unit variance.
        threshold: () float32, the largest distance that is familiar.
    """

    mean: torch.Tensor
    whitening: torch.Tensor
    threshold: torch.Tensor

    def __init__(self, channels: int):
        """Make one for features of this width that finds everything familiar."""
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("whitening", torch.zeros(channels, channels))
        self.register_buffer("threshold", torch.zeros(()))

    @classmethod
    def of(cls, features: torch.Tensor) -> Familiarity:
        """Fit the Gaussian to features of training; the threshold is still to be set.

        Args:
            features: (M, C) of a level.

        Raises:
            ValueError: there are fewer than two rows, all are the same, or some are not finite.
        """
        if len(features) < 2 or not features.isfinite().all():
            raise ValueError(
                f"features: got {len(features)} rows, expected at least two, all finite"
            )
        features = features.double()
        mean = features.mean(dim=0)
        covariance = (features - mean).T @ (features - mean) / len(features)
        variance = covariance.diagonal().mean()
        if not variance > 0:
            raise ValueError("features: all rows are the same, expected some that differ")
        covariance.diagonal().add_(_SHRINKAGE * variance)
        fitted = cls(features.shape[1])
        fitted.mean.copy_(mean)
        fitted.whitening.copy_(torch.linalg.inv(torch.linalg.cholesky(covariance)))
        return fitted

    def distance(self, features: torch.Tensor) -> torch.Tensor:
        """Return the Mahalanobis distance of each row, in root mean squares of a channel.

        About 1 for features as in training, whatever their width. (M,) float32 of (M, C) features;
        NaN where they are not finite.
        """
        centred = features.float() - self.mean
        return (centred @ self.whitening.T).square().mean(dim=1).sqrt()

    def distance_of_rows(self, pyramid: Pyramid) -> torch.Tensor:
        """Return the distance of the voxel of the level that each input row is in, (V,)."""
        channels = [feat.shape[1] for feat in pyramid.feats]
        level = len(channels) - 1 - channels[::-1].index(len(self.mean))
        distance = self.distance(pyramid.feats[level])
        for cluster in reversed(pyramid.clusters[:level]):
            distance = distance.index_select(0, cluster)
        return distance

    def unfamiliar(self, pyramid: Pyramid) -> torch.Tensor:
        """Return which input rows have features farther away than the threshold, (V,) bool."""
        return self.distance_of_rows(pyramid) > self.threshold
