# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""LitePT (Yue et al., 2025) on the kernels of this package."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import nn

from concerto_ros.ptv3.blocks import AttentionBlock, GridPooling, GridUnpooling, Norm
from concerto_ros.ptv3.cpu.onednn import GELU, Linear
from concerto_ros.ptv3.encoder import Encoder
from concerto_ros.ptv3.hierarchy import Hierarchy, Level
from concerto_ros.ptv3.kernels.neighbour_table import NeighbourTable
from concerto_ros.ptv3.kernels.sparse_conv import SubmanifoldConv
from concerto_ros.ptv3.litept.batch_norm import BatchNorm
from concerto_ros.ptv3.litept.config import LitePTConfig


class LitePT(Encoder):
    """A LitePT with the module and parameter names of the published state dicts.

    It differs from Point Transformer V3 in this: the stem is a convolution of 5 x 5 x 5 voxels;
    blocks of the early stages are a convolution alone, those of the late ones attention alone,
    with a rotary embedding of voxel indices; outside of blocks, batches are normalised, not rows.
    """

    config: LitePTConfig

    def _add_modules(self) -> None:
        config, width = self.config, self.config.enc_channels[0]
        stem = {
            "conv": StemConv(config.in_channels, width, config.stem_size),
            "norm": BatchNorm(width),
            "act": GELU(),
        }
        self.embedding = nn.ModuleDict({"stem": nn.ModuleDict(stem)})
        stages = range(len(config.enc_depths))
        self.enc = nn.ModuleDict(
            {f"enc{stage}": _encoder_stage(config, stage) for stage in stages}
        )
        if not config.enc_mode:
            self.dec = nn.ModuleDict(
                {f"dec{stage}": _decoder_stage(config, stage) for stage in reversed(stages[:-1])}
            )

    def embed(self, feat: torch.Tensor, hierarchy: Hierarchy) -> torch.Tensor:
        """Return the stem's (N, C_0) features; arguments as of :meth:`Encoder.embed`.

        Raises:
            ValueError: the hierarchy was computed for an encoder of another stem.
        """
        window = hierarchy.levels[0].window
        if window is None:
            raise ValueError(
                "the hierarchy has no window of the stem; expected that of LitePT.hierarchy"
            )
        stem = cast(nn.ModuleDict, self.embedding["stem"])
        return stem["act"](stem["norm"](stem["conv"](feat, window)))


class StemConv(nn.Module):
    """Convolution over the occupied voxels of a window, without a bias.

    ``out[p] = sum over d of weight[:, d] @ x[p + d]``, empty voxels left out. The weight has the
    published shape (C_out, K, K, K, C_in), axes x, y, z.

    Args:
        in_channels: C_in.
        out_channels: C_out.
        size: K, odd.
    """

    def __init__(self, in_channels: int, out_channels: int, size: int):
        super().__init__()
        shape = (out_channels, size, size, size, in_channels)
        self.weight = nn.Parameter(nn.init.trunc_normal_(torch.empty(shape), std=0.02))

    def forward(self, feat: torch.Tensor, window: NeighbourTable) -> torch.Tensor:
        """Convolve (N, C_in) features to (N, C_out); ``window`` has K ** 3 neighbours of each."""
        matrices = self.weight.permute(1, 2, 3, 4, 0).flatten(0, 2)
        no_bias = self.weight.new_zeros(len(self.weight))
        return window.convolve(feat.to(self.weight.dtype), matrices, no_bias)


class Block(AttentionBlock):
    """A convolution as a residual, attention and an MLP, whichever its stage has.

    Args:
        config: shape of the encoder.
        part: ``enc`` or ``dec``.
        stage: number of the stage.
        block: number of the block in it.
    """

    def __init__(self, config: LitePTConfig, part: str, stage: int, block: int):
        super().__init__()

        def of_stage(field: str) -> Any:
            return getattr(config, f"{part}_{field}")[stage]

        channels = of_stage("channels")
        self.convolves, self.attends = of_stage("conv"), of_stage("attn")
        if self.convolves:
            parts = [SubmanifoldConv(channels), Linear(channels, channels), Norm(channels)]
            self.conv = nn.ModuleList(parts)
        else:
            self.norm0 = nn.Sequential(Norm(channels))
        if self.attends:
            patching = (config.curve_of_block(block), of_stage("patch_size"))
            self._add_attention(
                config, channels, of_stage("num_head"), patching, index_base=of_stage("rope_freq")
            )

    def forward(self, feat: torch.Tensor, level: Level) -> torch.Tensor:
        """Transform (N, C) features of ``level``."""
        if self.convolves:
            convolve, mix, norm = self.conv
            position = level.fused.linear(cast(Linear, mix), convolve(feat, level.neighbours))
            if self.attends:
                return self._add_position(feat, position, norm, level)
            return feat + norm(position)
        feat = self.norm0(feat)  # no residual: as published
        return self._attend(feat, level) if self.attends else feat


def _encoder_stage(config: LitePTConfig, stage: int) -> nn.ModuleDict:
    modules: dict[str, nn.Module] = {}
    if stage:
        narrow, wide = config.enc_channels[stage - 1 : stage + 1]
        modules["down"] = GridPooling(narrow, wide, norm=BatchNorm)
    return _with_blocks(modules, config, "enc", stage)


def _decoder_stage(config: LitePTConfig, stage: int) -> nn.ModuleDict:
    coarser = (*config.dec_channels, config.enc_channels[-1])[stage + 1]
    skip, channels = config.enc_channels[stage], config.dec_channels[stage]
    up = GridUnpooling(coarser, skip, channels, norm=BatchNorm)
    return _with_blocks({"up": up}, config, "dec", stage)


def _with_blocks(
    modules: dict[str, nn.Module], config: LitePTConfig, part: str, stage: int
) -> nn.ModuleDict:
    for block in range(getattr(config, f"{part}_depths")[stage]):
        modules[f"block{block}"] = Block(config, part, stage, block)
    return nn.ModuleDict(modules)
