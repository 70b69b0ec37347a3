# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The parts a Point Transformer V3 stage is made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import nn

from concerto_ros.ptv3.attention import PatchAttention
from concerto_ros.ptv3.config import PTv3Config
from concerto_ros.ptv3.cpu.onednn import GELU, Linear
from concerto_ros.ptv3.hierarchy import Level
from concerto_ros.ptv3.kernels.sparse_conv import SubmanifoldConv


class Norm(nn.LayerNorm):
    """Layer normalisation in float32, whatever the precision of the weights."""

    def forward(self, feat: torch.Tensor) -> torch.Tensor:
        """Normalise (N, C) features; the result is float32."""
        weight, bias = self.weight.float(), self.bias.float()
        return nn.functional.layer_norm(
            feat.float(), self.normalized_shape, weight, bias, self.eps
        )


class AttentionBlock(nn.Module):
    """Patch attention and an MLP, each as a residual: what the blocks of all encoders share.

    Attributes:
        attends: whether it has them.
    """

    attends: bool = True

    def _add_attention(
        self,
        config: PTv3Config,
        channels: int,
        num_heads: int,
        patching: tuple[str, int],
        *,
        index_base: float | None = None,
    ) -> None:
        """Add the modules; arguments as of :class:`PatchAttention`."""
        self.pre_norm = config.pre_norm
        self.patching = patching
        self.norm1 = nn.Sequential(Norm(channels))
        self.ls1 = _layer_scale(config, channels)
        self.attn = PatchAttention(
            channels,
            num_heads,
            qkv_bias=config.qkv_bias,
            qk_scale=config.qk_scale,
            rope_base=config.rope_base if config.rotary else None,
            index_base=index_base,
        )
        self.norm2 = nn.Sequential(Norm(channels))
        self.ls2 = _layer_scale(config, channels)
        self.mlp = OnLevel([Mlp(channels, int(channels * config.mlp_ratio))])

    def _add_position(
        self, feat: torch.Tensor, position: torch.Tensor, norm: nn.Module, level: Level
    ) -> torch.Tensor:
        """Add a normalised branch to (N, C) features of ``level``, then attention and MLP."""
        if not self.pre_norm:
            return self._attend(feat + norm(position), level)
        norms = (cast(nn.LayerNorm, part) for part in (self.norm1[0], norm))
        feat, normed = level.fused.add_norm(feat, position, *norms)
        return self._attend(feat, level, normed)

    def _attend(
        self, feat: torch.Tensor, level: Level, normed: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Add attention and MLP to (N, C) features of ``level``.

        Args:
            feat: the residual stream.
            level: the geometry.
            normed: ``feat`` normalised for the attention, where it was already.
        """
        if self.pre_norm:
            normed = self.norm1(feat) if normed is None else normed
            branch = self.ls1(self.attn(normed, level, self.patching))
            norm = cast(nn.LayerNorm, self.norm2[0])
            feat, normed = level.fused.add_norm(feat, branch, norm, None)
            return feat + self.ls2(self.mlp(normed, level))
        feat = self.norm1(feat + self.ls1(self.attn(feat, level, self.patching)))
        return self.norm2(feat + self.ls2(self.mlp(feat, level)))


class Block(AttentionBlock):
    """Conditional position encoding, patch attention and an MLP, each as a residual."""

    def __init__(
        self, config: PTv3Config, channels: int, num_heads: int, patching: tuple[str, int]
    ):
        super().__init__()
        self.cpe = nn.ModuleList(
            [SubmanifoldConv(channels), Linear(channels, channels), Norm(channels)]
        )
        self._add_attention(config, channels, num_heads, patching)

    def forward(self, feat: torch.Tensor, level: Level) -> torch.Tensor:
        """Transform (N, C) features of ``level``."""
        convolve, mix, norm = self.cpe
        position = level.fused.linear(cast(Linear, mix), convolve(feat, level.neighbours))
        return self._add_position(feat, position, norm, level)


class OnLevel(nn.ModuleList):
    """One module that also takes the level, under the name that it has in official state dicts."""

    def forward(self, feat: torch.Tensor, level: Level) -> torch.Tensor:
        """Transform (N, C) features of ``level``."""
        return self[0](feat, level)


class LayerScale(nn.Module):
    """A learned factor for each channel (Touvron et al., ICCV 2021)."""

    def __init__(self, channels: int, value: float):
        super().__init__()
        self.gamma = nn.Parameter(torch.full((channels,), float(value)))

    def forward(self, feat: torch.Tensor) -> torch.Tensor:
        """Scale (N, C) features."""
        return feat * self.gamma


class GridPooling(nn.Module):
    """Projection, maximum of each channel within a coarser voxel, normalisation and GELU."""

    def __init__(
        self, in_channels: int, out_channels: int, *, norm: Callable[[int], nn.Module] = Norm
    ):
        super().__init__()
        self.proj = Linear(in_channels, out_channels)
        self.norm = nn.Sequential(norm(out_channels))
        self.act = GELU()

    def forward(self, feat: torch.Tensor, level: Level) -> torch.Tensor:
        """Pool (N_fine, in_channels) features to (N, out_channels) of the pooled ``level``."""
        wide = level.fused.linear(self.proj, feat)
        return level.fused.pool(wide, level.pooled_from, self.norm[0], self.act)


class GridUnpooling(nn.Module):
    """Passes the features of a coarse level down and adds those of the finer level."""

    def __init__(
        self,
        in_channels: int,
        skip_channels: int,
        out_channels: int,
        *,
        norm: Callable[[int], nn.Module] = Norm,
    ):
        super().__init__()
        self.proj = nn.Sequential(Linear(in_channels, out_channels), norm(out_channels), GELU())
        self.proj_skip = nn.Sequential(
            Linear(skip_channels, out_channels), norm(out_channels), GELU()
        )

    def forward(
        self, feat: torch.Tensor, skip: torch.Tensor, cluster: torch.Tensor
    ) -> torch.Tensor:
        """Unpool the features of a coarse level.

        Args:
            feat: (N, in_channels) of the coarse level.
            skip: (N_fine, skip_channels) of the finer level.
            cluster: (N_fine,) int64, the coarse row of each finer row.

        Returns:
            (N_fine, out_channels).
        """
        return self.proj_skip(skip) + self.proj(feat).index_select(0, cluster)


class Mlp(nn.Module):
    """Two linear layers with a GELU between."""

    def __init__(self, channels: int, hidden: int):
        super().__init__()
        self.fc1 = Linear(channels, hidden)
        self.fc2 = Linear(hidden, channels)

    def forward(self, feat: torch.Tensor, level: Level) -> torch.Tensor:
        """Transform (N, C) features of ``level``."""
        return level.fused.mlp(self.fc1, self.fc2, feat)


def _layer_scale(config: PTv3Config, channels: int) -> nn.Sequential:
    scale = config.layer_scale
    return nn.Sequential(nn.Identity() if scale is None else LayerScale(channels, scale))
