# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Self-attention within patches of a cloud ordered along a space-filling curve."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from concerto_ros.ptv3.cpu import attention as cpu_attention
from concerto_ros.ptv3.cpu.onednn import Linear
from concerto_ros.ptv3.hierarchy import Level
from concerto_ros.ptv3.kernels import gpu_attention
from concerto_ros.ptv3.patches import PatchGroup, Rows


class RotaryEmbedding(nn.Module):
    """Frequencies of a rotary embedding of three coordinates, as in Utonia and LitePT.

    :func:`~concerto_ros.ptv3.kernels.fused.rotate` is the embedding. Angles are float32 whatever
    the weights are.
    """

    def __init__(self, head_channels: int, base: float, *, stored: bool = True):
        super().__init__()
        third = head_channels // 3
        exponent = torch.arange(0, third, 2, dtype=torch.float32) / third
        self.inv_freq: torch.Tensor
        frequencies = torch.tensor(base, dtype=torch.float32).pow(-exponent)
        self.register_buffer("inv_freq", frequencies, persistent=stored)

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Self:
        """Move with the module to another device, but never to another precision."""
        exact = self.inv_freq
        super()._apply(fn, recurse)
        self.inv_freq = exact.to(self.inv_freq.device)
        return self


class PatchAttention(nn.Module):
    """Multi-head self-attention within each patch.

    Args:
        channels: width of the features.
        num_heads: heads.
        qkv_bias: whether queries, keys and values have a bias.
        qk_scale: factor of the scores; None: the inverse root of a head's width.
        rope_base: base of the frequencies of a rotary embedding of the coordinates, as in Utonia;
            None: there is none.
        index_base: that of a rotary embedding of the voxel indices, as in LitePT, whose files do
            not store the frequencies.
    """

    def __init__(
        self,
        channels: int,
        num_heads: int,
        *,
        qkv_bias: bool,
        qk_scale: float | None,
        rope_base: float | None,
        index_base: float | None = None,
    ):
        super().__init__()
        self.num_heads = num_heads
        self.scale = qk_scale or (channels // num_heads) ** -0.5
        self.qkv = Linear(channels, 3 * channels, bias=qkv_bias)
        self.proj = Linear(channels, channels)
        self.rope: RotaryEmbedding | None = None
        self.of_indices = index_base is not None
        if index_base is not None:
            self.rope = RotaryEmbedding(channels // num_heads, index_base, stored=False)
        elif rope_base is not None:
            self.rope = RotaryEmbedding(channels // num_heads, rope_base)

    def forward(self, feat: torch.Tensor, level: Level, patching: tuple[str, int]) -> torch.Tensor:
        """Let the rows of each patch attend to each other.

        Args:
            feat: (N, C) features of the level.
            level: the geometry of the level.
            patching: the (curve, patch size) to attend in, a key of ``level.patches``.

        Returns:
            (N, C) in the precision of the weights.
        """
        patches = level.patches[patching]
        attend = level.fused.attention(feat, self.qkv.weight.dtype)
        if attend is not None:
            heads = self._heads(feat, level, torch.arange(len(feat), device=feat.device))
            mixed = heads.new_empty(len(feat), self.proj.in_features)
            for group in patches.groups:
                queries, keys = group.in_level(patches.order)
                attend(heads, queries, keys, group.mask, self.scale, mixed)
            return level.fused.linear(self.proj, mixed)
        ordered = feat.to(self.qkv.weight.dtype).index_select(0, patches.order)
        heads = self._heads(ordered, level, patches.order)
        parts = [self._attend(heads, group) for group in patches.groups]
        mixed = parts[0] if len(parts) == 1 else torch.cat(parts)
        return level.fused.linear(self.proj, mixed.index_select(0, patches.restore))

    def _heads(self, feat: torch.Tensor, level: Level, order: torch.Tensor) -> torch.Tensor:
        """Compute (N, 3, H, D) queries, keys and values of the rows ``order`` of ``level``."""
        heads = level.fused.linear(self.qkv, feat).unflatten(1, (3, self.num_heads, -1))
        if self.rope is None:
            return heads
        position = level.grid_coord if self.of_indices else level.coord
        return level.fused.rotate(heads, position, order, self.rope.inv_freq)

    def _attend(self, heads: torch.Tensor, group: PatchGroup) -> torch.Tensor:
        """Attend within one group: (N, 3, H, D) ordered rows -> (count * Q, C)."""
        query, key, value = _rows(heads, group.queries).unbind(1)
        if group.keys is not group.queries:
            _, key, value = _rows(heads, group.keys).unbind(1)
        query, key, value = (_patches(rows, group.count) for rows in (query, key, value))
        mixed = None
        if group.mask is None and cpu_attention.pays(query, key):
            mixed = cpu_attention.attend(query, key, value, self.scale)
        if mixed is None:
            softmax = gpu_attention.attend if query.is_cuda else scaled_dot_product_attention
            mixed = softmax(query, key, value, attn_mask=group.mask, scale=self.scale)
        return mixed.transpose(1, 2).flatten(0, 1).flatten(1)


def _rows(heads: torch.Tensor, rows: Rows) -> torch.Tensor:
    """Select rows of queries, keys and values together: one gather, one gradient scatter."""
    return heads[rows] if isinstance(rows, slice) else heads.index_select(0, rows)


def _patches(rows: torch.Tensor, count: int) -> torch.Tensor:
    """Reshape (count * K, H, D) to (count, H, K, D)."""
    return rows.unflatten(0, (count, -1)).transpose(1, 2)
