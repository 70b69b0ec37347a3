# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""LoRA, low-rank adaptation (Hu et al., ICLR 2022), of the attention's query, key and value."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

from concerto_ros.learning.methods.config import ALPHA, DROPOUT, RANK
from concerto_ros.ptv3 import Encoder
from concerto_ros.ptv3.attention import PatchAttention
from concerto_ros.ptv3.cpu.onednn import Linear


class LoraLinear(nn.Module):
    """A frozen linear layer plus a trainable branch ``alpha / rank * up @ down``.

    ``up`` starts at zero, so the output does not change before the first step.

    Args:
        base: The layer; its parameters are frozen.
        rank: Rank of the branch.
        alpha: Scale of the branch, times ``rank``.
        dropout: Probability of dropout of the branch's input, in training only.

    Raises:
        ValueError: ``rank`` is less than 1.
    """

    def __init__(self, base: Linear, rank: int, alpha: float, dropout: float):
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
        """The frozen weight; its dtype is the precision in which the layer computes."""
        return self.base.weight

    def forward(self, feat: torch.Tensor) -> torch.Tensor:
        """(N, out_features) output of the layer plus that of the branch, of (N, in_features)."""
        added = functional.dropout(feat, self.dropout, self.training)
        added = functional.linear(functional.linear(added, self.down), self.up)
        return self.base(feat) + self.scale * added

    @torch.no_grad()
    def merged(self) -> Linear:
        """The base layer with the branch added to its weight, in place."""
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
    """Freeze ``encoder`` and add an adapter to the ``qkv`` of every attention, in place.

    Args:
        encoder: The encoder.
        rank: Rank of the adapters.
        alpha: Scale of the adapters, times ``rank``.
        dropout: Probability of dropout of the adapters' input.
        seed: Random seed of the initial ``down`` matrices.
    """
    encoder.requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    for attention in _attentions(encoder):
        layer = LoraLinear(attention.qkv, rank, alpha, dropout)
        bound = 1 / math.sqrt(layer.down.shape[1])
        drawn = torch.rand(layer.down.shape, generator=generator) * (2 * bound) - bound
        with torch.no_grad():
            layer.down.copy_(drawn)
        attention.add_module("qkv", layer)


def merge_lora(encoder: Encoder) -> None:
    """Merge the adapters into the weights, in place; the encoder then has its usual layers."""
    for attention in _attentions(encoder):
        if isinstance(attention.qkv, LoraLinear):
            attention.add_module("qkv", attention.qkv.merged())


def _attentions(encoder: Encoder) -> list[PatchAttention]:
    return [module for module in encoder.modules() if isinstance(module, PatchAttention)]
