# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Low-rank adaptation (Hu et al., ICLR 2022) of the attention's query, key and value."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

from concerto_ros.ptv3 import Encoder
from concerto_ros.ptv3.attention import PatchAttention

#: As published for Concerto.
RANK, ALPHA, DROPOUT = 8, 16.0, 0.1


class LoraLinear(nn.Module):
    """A frozen linear layer plus ``alpha / rank * up @ down``, of which only these two learn.

    ``up`` starts at zero, so nothing changes before the first step. Dropout acts on what enters
    the added branch, in training only.
    """

    def __init__(self, base: nn.Linear, rank: int, alpha: float, dropout: float):
        super().__init__()
        if rank < 1:
            raise ValueError(f"rank is {rank}, expected at least 1")
        self.base = base.requires_grad_(False)
        self.scale = alpha / rank
        self.dropout = dropout
        self.down = nn.Parameter(base.weight.new_empty(rank, base.in_features))
        self.up = nn.Parameter(base.weight.new_zeros(base.out_features, rank))

    @property
    def weight(self) -> torch.Tensor:
        """The frozen weight, whose type says in which precision the layer computes."""
        return self.base.weight

    def forward(self, feat: torch.Tensor) -> torch.Tensor:
        added = functional.dropout(feat, self.dropout, self.training)
        added = functional.linear(functional.linear(added, self.down), self.up)
        return self.base(feat) + self.scale * added

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """One linear layer that computes the same."""
        added = self.scale * (self.up.double() @ self.down.double())
        self.base.weight.copy_(self.base.weight.double() + added)
        return self.base


def add_lora(
    encoder: Encoder,
    *,
    rank: int = RANK,
    alpha: float = ALPHA,
    dropout: float = DROPOUT,
    seed: int = 0,
) -> None:
    """Freeze ``encoder`` and give every ``qkv`` an adapter, in place; ``seed`` is of ``down``."""
    encoder.requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    for attention in _attentions(encoder):
        layer = LoraLinear(attention.qkv, rank, alpha, dropout)
        bound = 1 / math.sqrt(layer.down.shape[1])
        drawn = torch.rand(layer.down.shape, generator=generator) * (2 * bound) - bound
        with torch.no_grad():
            layer.down.copy_(drawn)
        attention.qkv = layer


def merge_lora(encoder: Encoder) -> None:
    """Take the adapters into the weights, in place: an encoder like any other again."""
    for attention in _attentions(encoder):
        if isinstance(attention.qkv, LoraLinear):
            attention.qkv = attention.qkv.merged()


def _attentions(encoder: Encoder) -> list[PatchAttention]:
    return [module for module in encoder.modules() if isinstance(module, PatchAttention)]
