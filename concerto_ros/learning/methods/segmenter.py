# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Encoder and linear head as one module for training and evaluation."""

from __future__ import annotations

import torch
from torch import nn

from concerto_ros.heads.linear import LinearHead
from concerto_ros.learning.data.batch import Batch
from concerto_ros.ptv3 import Encoder
from concerto_ros.ptv3.encoder import Pyramid


def pyramid_of(encoder: Encoder, batch: Batch) -> Pyramid:
    """The features of the voxels of a batch."""
    return encoder(batch.feat, batch.grid_coord, batch.coord, batch.offset)


class Segmenter(nn.Module):
    """Encoder and linear head.

    Raises:
        ValueError: The head does not fit the encoder; names both numbers of channels.
    """

    def __init__(self, encoder: Encoder, head: LinearHead):
        super().__init__()
        self.concat_levels = head.concat_levels(encoder)
        self.encoder = encoder
        self.head = head

    def forward(self, batch: Batch) -> torch.Tensor:
        """Logits of the voxels of a batch, (V, num_classes)."""
        pyramid = pyramid_of(self.encoder, batch)
        return self.head.scores(pyramid, self.concat_levels)
