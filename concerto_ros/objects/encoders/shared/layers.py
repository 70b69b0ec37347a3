# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Layers that several object encoders share. Parameter names are those of the official files.

GELU is the exact one; LayerNorm has eps 1e-5 where no other is passed. Stochastic depth of the
transformers belongs to training and is added there.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import nn


class PatchEncoder(nn.Module):
    """Mini-PointNet: one vector for each group of points (PointNet, Qi et al., CVPR 2017).

    Pointwise layers in_channels->a->b, the maximum over the group joined to each point's own
    features, pointwise layers 2b->c->d, and the maximum over the group.
    """

    def __init__(self, in_channels: int, a: int, b: int, c: int, d: int):
        super().__init__()
        self.first_conv = _pointwise(in_channels, a, b)
        self.second_conv = _pointwise(2 * b, c, d)

    def forward(self, groups: torch.Tensor) -> torch.Tensor:
        """Encode groups (..., M, in_channels) as (..., d)."""
        lead = groups.shape[:-2]
        feat = self.first_conv(groups.flatten(0, -3).transpose(1, 2))
        whole = feat.amax(2, keepdim=True).expand_as(feat)
        return self.second_conv(torch.cat([whole, feat], 1)).amax(2).view(*lead, -1)


class PositionCode(nn.Sequential):
    """Position vectors (..., dim) of coordinates (..., 3), by a small learned network."""

    def __init__(self, hidden: int, dim: int):
        super().__init__(nn.Linear(3, hidden), nn.GELU(), nn.Linear(hidden, dim))


class ResidualBlock(nn.Module):
    """A transformer block whose branches stochastic depth may skip in training."""

    def branches(self) -> list[nn.Module]:
        """Return the modules whose outputs are added to the tokens."""
        raise NotImplementedError


class Attention(nn.Module):
    """Multi-head self-attention; ``qkv`` is query, key and value, one after the other.

    Args:
        dim: Channels of the tokens.
        heads: Number of heads.
        qkv_bias: Whether ``qkv`` has a bias.
        dropout: Share of the weights of attention that is dropped in training.
    """

    def __init__(self, dim: int, heads: int, qkv_bias: bool = False, dropout: float = 0.0):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.qkv = nn.Linear(dim, 3 * dim, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Attend among tokens.

        Args:
            tokens: (B, T, C).
            mask: Broadcasts to (B, heads, T, T); True where a query (row) may attend to a key.

        Returns:
            (B, T, C).
        """
        query, key, value = (split_heads(x, self.heads) for x in self.qkv(tokens).chunk(3, -1))
        dropout = self.dropout if self.training else 0.0
        return self.proj(attend(query, key, value, mask, dropout=dropout))


class Mlp(nn.Module):
    """Linear, GELU, Linear."""

    def __init__(self, dim: int, hidden: int):
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Apply to tokens (..., dim)."""
        return self.fc2(nn.functional.gelu(self.fc1(tokens)))


class Block(ResidualBlock):
    """Pre-norm transformer block (ViT, Dosovitskiy et al., ICLR 2021)."""

    def __init__(
        self,
        dim: int,
        heads: int,
        *,
        hidden: int | None = None,
        qkv_bias: bool = False,
        eps: float = 1e-5,
    ):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=eps)
        self.attn = Attention(dim, heads, qkv_bias)
        self.norm2 = nn.LayerNorm(dim, eps=eps)
        self.mlp = Mlp(dim, 4 * dim if hidden is None else hidden)

    def branches(self) -> list[nn.Module]:
        """Return attention and MLP."""
        return [self.attn, self.mlp]

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Update tokens (B, T, C); ``mask`` as in :meth:`Attention.forward`."""
        tokens = tokens + self.attn(self.norm1(tokens), mask)
        return tokens + self.mlp(self.norm2(tokens))


def mlp_head(in_channels: int, classes: int, hidden: int = 256) -> nn.Sequential:
    """Build the classification head of three linear layers; parameters under 0, 1, 4, 5 and 8."""
    return nn.Sequential(
        nn.Linear(in_channels, hidden),
        nn.BatchNorm1d(hidden),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(hidden, hidden),
        nn.BatchNorm1d(hidden),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(hidden, classes),
    )


def head_classes(head: nn.Sequential | None) -> int | None:
    """Return how many classes a head that ends in a linear layer has; None without a head."""
    return None if head is None else cast(nn.Linear, head[-1]).out_features


def split_heads(tokens: torch.Tensor, heads: int) -> torch.Tensor:
    """Split tokens (B, T, C) into heads: (B, heads, T, C / heads)."""
    return tokens.unflatten(-1, (heads, -1)).transpose(1, 2)


def attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None = None,
    scale: float | None = None,
    dropout: float = 0.0,
) -> torch.Tensor:
    """Attend from (B, heads, T, D) queries to (B, heads, S, D) keys; heads joined: (B, T, C).

    ``scale`` of the dot products is D^-0.5 by default; ``dropout`` of its weights is dropped.
    """
    mixed = nn.functional.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, scale=scale, dropout_p=dropout
    )
    return mixed.transpose(1, 2).flatten(2)


def _pointwise(in_channels: int, hidden: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(in_channels, hidden, 1),
        nn.BatchNorm1d(hidden),
        nn.ReLU(),
        nn.Conv1d(hidden, out_channels, 1),
    )
