# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The head that compares features with prototypes."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional


class ClusterHead(nn.Module):
    """A small network to unit vectors, and their cosines with unit prototypes.

    Args:
        in_channels: Width of the features.
        hidden: Width of the hidden layer.
        width: Width of vectors and prototypes.
        prototypes: Number of prototypes, K.

    Attributes:
        prototypes: (K, width), of any length: their directions count.
    """

    def __init__(self, in_channels: int, hidden: int, width: int, prototypes: int):
        super().__init__()
        layers = nn.Linear(in_channels, hidden), nn.Linear(hidden, width)
        self.mlp = nn.Sequential(layers[0], nn.GELU(), layers[1])
        self.prototypes = nn.Parameter(torch.empty(prototypes, width))
        for layer in layers:
            nn.init.trunc_normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)
        nn.init.kaiming_uniform_(self.prototypes, a=math.sqrt(5))  # that of a linear layer

    def forward(self, feat: torch.Tensor) -> torch.Tensor:
        """Return (N, K) cosines of (N, in_channels) features with all prototypes."""
        vectors = functional.normalize(self.mlp(feat).to(self.prototypes), dim=-1, eps=1e-12)
        directions = self.prototypes / self.prototypes.norm(dim=1, keepdim=True)
        # In bfloat16 cosines near 1 are 0.004 apart: a tenth, once they are divided by 0.04.
        with torch.autocast(vectors.device.type, enabled=False):
            return functional.linear(vectors, directions)
