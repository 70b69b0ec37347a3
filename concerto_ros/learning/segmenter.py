# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Encoder and linear head as one module to train or to test."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from concerto_ros.heads.linear import LinearHead
from concerto_ros.learning.batch import Batch
from concerto_ros.ptv3 import Encoder, Pyramid


class Segmenter(nn.Module):
    """Class scores of every voxel of a batch.

    Raises ValueError, naming both widths, where the head does not fit the encoder.
    """

    def __init__(self, encoder: Encoder, head: LinearHead):
        super().__init__()
        self.concat_levels = head.concat_levels(encoder)
        self.encoder = encoder
        self.head = head

    def forward(self, batch: Batch) -> torch.Tensor:
        """(V, num_classes) logits."""
        pyramid = self.encoder(batch.feat, batch.grid_coord, batch.coord, batch.offset)
        return self.head_of(*parts_of(pyramid))

    def head_of(
        self, feats: Sequence[torch.Tensor], clusters: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        """Scores from the parts of a pyramid; see :func:`head_by_level`."""
        return head_by_level(self.head, feats, clusters, self.concat_levels)


def parts_of(pyramid: Pyramid) -> tuple[tuple[torch.Tensor, ...], tuple[torch.Tensor, ...]]:
    """What a head needs of a pyramid: the features of each level and, between two levels, the
    row of the coarser that holds each row of the finer."""
    feats = tuple(level.feat for level in pyramid.levels)
    return feats, tuple(level.geometry.pooling.cluster for level in pyramid.levels[1:])


def head_by_level(
    head: LinearHead,
    feats: Sequence[torch.Tensor],
    clusters: Sequence[torch.Tensor],
    concat_levels: int,
) -> torch.Tensor:
    """``head(pyramid.upcast(concat_levels))`` with the sum over channels taken level by level.

    Scores are handed down instead of features: a few numbers per voxel instead of hundreds,
    forwards and backwards. ``feats`` and ``clusters``: see :func:`parts_of`.
    """
    finest = len(feats) - 1 - concat_levels
    widths = [feat.shape[1] for feat in feats[finest:]]
    parts = head.seg_head.weight.split(widths, dim=1)
    scores = None
    for level in range(len(feats) - 1, -1, -1):
        if scores is not None:
            scores = scores.index_select(0, clusters[level])
        if level >= finest:
            part = parts[level - finest]
            own = functional.linear(feats[level].to(part.dtype), part)
            scores = own if scores is None else scores + own
    return scores + head.seg_head.bias
