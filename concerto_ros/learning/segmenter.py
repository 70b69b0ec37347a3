# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Encoder and linear head as one module to train or to test."""

from __future__ import annotations

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
        return head_by_level(self.head, pyramid, self.concat_levels)


def head_by_level(head: LinearHead, pyramid: Pyramid, concat_levels: int) -> torch.Tensor:
    """``head(pyramid.upcast(concat_levels))`` with the sum over channels taken level by level.

    Scores are handed down instead of features: a few numbers per voxel instead of hundreds,
    forwards and backwards.
    """
    levels = pyramid.levels
    widths = [level.feat.shape[1] for level in levels[len(levels) - 1 - concat_levels :]]
    parts = head.seg_head.weight.split(widths, dim=1)
    scores = None
    for index in range(len(levels) - 1, -1, -1):
        if scores is not None:
            scores = levels[index + 1].geometry.pooling.spread(scores)
        joined = index - (len(levels) - 1 - concat_levels)
        if joined >= 0:
            own = functional.linear(levels[index].feat.to(parts[joined].dtype), parts[joined])
            scores = own if scores is None else scores + own
    return scores + head.seg_head.bias
