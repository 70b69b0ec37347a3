# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The baseline: PointNet (Qi et al., CVPR 2017) without its learned transforms, half as wide."""

from __future__ import annotations

import torch
from torch import nn

from concerto_ros.objects.encoders.shared.base import ObjectEncoder
from concerto_ros.objects.encoders.shared.preprocess import InputForm

#: Widths of the pointwise layers, then of the head's.
POINTWISE = (64, 64, 64, 128, 512)
HEAD = (256, 128)


class PointNet(ObjectEncoder):
    """Pointwise layers, the maximum of each channel over the cloud, and a head."""

    name = "pointnet"

    def __init__(self, points: int, classes: int):
        super().__init__()
        self.form = InputForm(points)
        self.classes = classes
        self.feature_channels = POINTWISE[-1]
        sizes = zip((3, *POINTWISE[:-1]), POINTWISE, strict=True)
        self.pointwise = nn.Sequential(
            *(nn.Sequential(nn.Conv1d(a, b, 1), nn.BatchNorm1d(b), nn.ReLU()) for a, b in sizes)
        )
        first, second = HEAD
        self.head = nn.Sequential(
            nn.Linear(self.feature_channels, first),
            nn.BatchNorm1d(first),
            nn.ReLU(),
            nn.Linear(first, second),
            nn.Dropout(0.3),
            nn.BatchNorm1d(second),
            nn.ReLU(),
            nn.Linear(second, classes),
        )

    def embed(self, batch: torch.Tensor) -> torch.Tensor:
        """Embed clouds (B, N, 3) as (B, 512)."""
        return self.pointwise(batch.transpose(1, 2)).amax(2)

    def classify(self, batch: torch.Tensor) -> torch.Tensor:
        """Classify clouds (B, N, 3): (B, classes) logits."""
        return self.head(self.embed(batch))
