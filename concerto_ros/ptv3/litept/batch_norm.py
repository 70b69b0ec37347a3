# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Batch normalisation (Ioffe and Szegedy, ICML 2015) by the statistics of a finished training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import torch
from torch import nn

#: Added to the variance in LitePT.
EPSILON = 1e-3


class BatchNorm(nn.Module):
    """``(x - mean) / sqrt(variance + 0.001) * weight + bias`` in float32.

    Mean and variance are those that are stored, in training as well: batches of a fine-tuning are
    few and small, and a checkpoint of its best weights would not have the statistics of its own
    batches. They stay float32 whatever the precision of the weights is.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.running_mean: torch.Tensor
        self.running_var: torch.Tensor
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        # In published files beside them, and not used.
        self.register_buffer("num_batches_tracked", torch.zeros((), dtype=torch.int64))

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Self:
        """Move with the module to another device, but keep the statistics' precision."""
        mean, variance = self.running_mean, self.running_var
        super()._apply(fn, recurse)
        self.running_mean = mean.to(self.running_mean.device)
        self.running_var = variance.to(self.running_var.device)
        return self

    def forward(self, feat: torch.Tensor) -> torch.Tensor:
        """Normalise (N, C) features; the result is float32."""
        scale = self.weight.float() * torch.rsqrt(self.running_var + EPSILON)
        return torch.addcmul(self.bias.float(), feat.float() - self.running_mean, scale)
