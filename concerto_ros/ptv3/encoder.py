# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Point Transformer V3 (Wu et al., CVPR 2024) as Sonata, Concerto and Utonia use it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from concerto_ros.ptv3.attention import PatchAttention
from concerto_ros.ptv3.config import PTv3Config
from concerto_ros.ptv3.hierarchy import Hierarchy, Level, build_hierarchy
from concerto_ros.ptv3.sparse_conv import SubmanifoldConv


@dataclass(frozen=True, eq=False)
class PyramidLevel:
    """Features of one level: feat (N, C) and the geometry they belong to, row by row.

    grid_coord (N, 3) int64, coord (N, 3) float32 mean positions, batch (N,) int64 and offset (B,)
    int64 are those of :class:`~concerto_ros.ptv3.hierarchy.Level`.
    """

    feat: torch.Tensor
    geometry: Level

    @property
    def grid_coord(self) -> torch.Tensor:
        return self.geometry.grid_coord

    @property
    def coord(self) -> torch.Tensor:
        return self.geometry.coord

    @property
    def batch(self) -> torch.Tensor:
        return self.geometry.batch

    @property
    def offset(self) -> torch.Tensor:
        return self.geometry.offset


@dataclass(frozen=True, eq=False)
class Pyramid:
    """What an encoder returns: features of every level, finest first.

    With a decoder there is one level, the finest.
    """

    levels: tuple[PyramidLevel, ...]

    @property
    def top(self) -> PyramidLevel:
        """The coarsest level."""
        return self.levels[-1]

    def upcast(self, concat_levels: int | None = 2) -> torch.Tensor:
        """Features for every input row, (N, C).

        From the top down, the first ``concat_levels`` finer levels are joined to what comes from
        above, the remaining ones only hand it on. None joins all of them, 0 none. A pyramid of one
        level returns that level whatever is asked.

        Raises ValueError for a count that is negative or above the number of finer levels.
        """
        finer = len(self.levels) - 1
        if not finer:
            return self.top.feat
        joined = finer if concat_levels is None else concat_levels
        if not isinstance(joined, int) or not 0 <= joined <= finer:
            raise ValueError(f"concat_levels is {concat_levels!r}, wanted 0 to {finer} or None")
        feat = self.top.feat
        for index in range(finer, finer - joined, -1):
            cluster = self.levels[index].geometry.pooling.cluster
            feat = torch.cat([self.levels[index - 1].feat, feat.index_select(0, cluster)], 1)
        if joined == finer:
            return feat
        row = self.levels[finer - joined].geometry.pooling.cluster
        for index in range(finer - joined - 1, 0, -1):
            row = row.index_select(0, self.levels[index].geometry.pooling.cluster)
        return feat.index_select(0, row)


class Encoder(nn.Module):
    """A PTv3 backbone. Module and parameter names are those of the official state dicts.

    Attributes
    ----------
    config: its shape.
    name: what a person asked for, e.g. ``concerto_base``.
    trained: False for a stand-in with random weights.
    """

    def __init__(self, config: PTv3Config, *, name: str = "", trained: bool = True):
        super().__init__()
        self.config = config
        self.name = name
        self.trained = trained
        width = config.enc_channels[0]
        self.embedding = nn.ModuleDict(
            {
                "stem": nn.ModuleDict(
                    {"linear": nn.Linear(config.in_channels, width), "norm": Norm(width)}
                )
            }
        )
        self.enc = nn.ModuleDict(
            {
                f"enc{stage}": _encoder_stage(config, stage)
                for stage in range(len(config.enc_depths))
            }
        )
        if not config.enc_mode:
            self.dec = nn.ModuleDict(
                {
                    f"dec{stage}": _decoder_stage(config, stage)
                    for stage in reversed(range(len(config.dec_depths)))
                }
            )

    @property
    def rotary(self) -> bool:
        """Whether positions enter through rotary embedding (Utonia)."""
        return self.config.rotary

    @property
    def channels(self) -> tuple[int, ...]:
        """Feature width of each level of the pyramid, finest first."""
        return self.config.channels

    def forward(
        self,
        feat: torch.Tensor,
        grid_coord: torch.Tensor,
        coord: torch.Tensor,
        offset: torch.Tensor,
    ) -> Pyramid:
        """Encode a batch of clouds.

        feat: (N, in_channels) float: xyz, colour 0..1, unit normal. grid_coord: (N, 3) integer, at
        least 0, each voxel once in a cloud. coord: (N, 3) float, metres times the scale of the
        input convention. offset: (B,) cumulative sizes. Raises ValueError for anything else.
        """
        return self.forward_features(feat, self.hierarchy(grid_coord, coord, offset))

    def hierarchy(
        self, grid_coord: torch.Tensor, coord: torch.Tensor, offset: torch.Tensor
    ) -> Hierarchy:
        """The integer half of a forward pass."""
        return build_hierarchy(grid_coord, coord, offset, self.config)

    def forward_features(self, feat: torch.Tensor, hierarchy: Hierarchy) -> Pyramid:
        """The floating-point half: a plain function of features and geometry.

        Products run in the precision of the weights; what is carried from block to block, and so
        the features returned, is float32 (in half precision the sums would overflow or blur).
        """
        wanted = (len(hierarchy.levels[0]), self.config.in_channels)
        if tuple(feat.shape) != wanted:
            raise ValueError(f"feat has shape {tuple(feat.shape)}, wanted {wanted}")
        if not feat.is_floating_point():
            raise ValueError(f"feat is {feat.dtype}, wanted a floating-point type")
        stem = self.embedding["stem"]
        feat = nn.functional.gelu(
            stem["norm"](stem["linear"](feat.to(stem["linear"].weight.dtype)))
        )
        levels = []
        for stage, level in zip(self.enc.values(), hierarchy.levels, strict=True):
            if "down" in stage:
                feat = stage["down"](feat, level)
            feat = _run_blocks(stage, feat, level)
            levels.append(PyramidLevel(feat, level))
        if self.config.enc_mode:
            return Pyramid(tuple(levels))
        for stage, skip in zip(self.dec.values(), reversed(levels[:-1]), strict=True):
            feat = stage["up"](feat, skip.feat, level.pooling.cluster)
            level = skip.geometry
            feat = _run_blocks(stage, feat, level)
        return Pyramid((PyramidLevel(feat, level),))


class Norm(nn.LayerNorm):
    """Layer normalisation in float32, whatever the precision of the weights."""

    def forward(self, feat: torch.Tensor) -> torch.Tensor:
        weight, bias = self.weight.float(), self.bias.float()
        return nn.functional.layer_norm(
            feat.float(), self.normalized_shape, weight, bias, self.eps
        )


class Block(nn.Module):
    """Conditional position encoding, patch attention and an MLP, each added to what came in."""

    def __init__(
        self, config: PTv3Config, channels: int, num_heads: int, patching: tuple[str, int]
    ):
        super().__init__()
        self.pre_norm = config.pre_norm
        self.patching = patching
        self.cpe = nn.ModuleList(
            [SubmanifoldConv(channels), nn.Linear(channels, channels), Norm(channels)]
        )
        self.norm1 = nn.Sequential(Norm(channels))
        self.ls1 = _layer_scale(config, channels)
        self.attn = PatchAttention(
            channels,
            num_heads,
            qkv_bias=config.qkv_bias,
            qk_scale=config.qk_scale,
            rope_base=config.rope_base if config.rotary else None,
        )
        self.norm2 = nn.Sequential(Norm(channels))
        self.ls2 = _layer_scale(config, channels)
        self.mlp = nn.Sequential(_Mlp(channels, int(channels * config.mlp_ratio)))

    def forward(self, feat: torch.Tensor, level: Level) -> torch.Tensor:
        convolve, mix, norm = self.cpe
        feat = feat + norm(mix(convolve(feat, level.neighbours)))
        if self.pre_norm:
            feat = feat + self.ls1(self.attn(self.norm1(feat), level, self.patching))
            return feat + self.ls2(self.mlp(self.norm2(feat)))
        feat = self.norm1(feat + self.ls1(self.attn(feat, level, self.patching)))
        return self.norm2(feat + self.ls2(self.mlp(feat)))


class LayerScale(nn.Module):
    """A learned factor for each channel (Touvron et al., ICCV 2021)."""

    def __init__(self, channels: int, value: float):
        super().__init__()
        self.gamma = nn.Parameter(torch.full((channels,), float(value)))

    def forward(self, feat: torch.Tensor) -> torch.Tensor:
        return feat * self.gamma


class GridPooling(nn.Module):
    """Project, keep the largest value of each channel within a coarser voxel, normalise."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.proj = nn.Linear(in_channels, out_channels)
        self.norm = nn.Sequential(Norm(out_channels))

    def forward(self, feat: torch.Tensor, level: Level) -> torch.Tensor:
        projected = self.proj(feat.to(self.proj.weight.dtype))
        return nn.functional.gelu(self.norm(level.pooling.reduce(projected, "max")))


class GridUnpooling(nn.Module):
    """Hand a coarse level's features down and add the finer level's own."""

    def __init__(self, in_channels: int, skip_channels: int, out_channels: int):
        super().__init__()
        self.proj = _projection(in_channels, out_channels)
        self.proj_skip = _projection(skip_channels, out_channels)

    def forward(
        self, feat: torch.Tensor, skip: torch.Tensor, cluster: torch.Tensor
    ) -> torch.Tensor:
        low = self.proj[0].weight.dtype
        return self.proj_skip(skip.to(low)) + self.proj(feat.to(low)).index_select(0, cluster)


class _Mlp(nn.Module):
    def __init__(self, channels: int, hidden: int):
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, channels)

    def forward(self, feat: torch.Tensor) -> torch.Tensor:
        hidden = self.fc1(feat.to(self.fc1.weight.dtype))
        return self.fc2(nn.functional.gelu(hidden))


def _projection(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(in_channels, out_channels), Norm(out_channels), nn.GELU()
    )


def _layer_scale(config: PTv3Config, channels: int) -> nn.Sequential:
    scale = config.layer_scale
    return nn.Sequential(nn.Identity() if scale is None else LayerScale(channels, scale))


def _encoder_stage(config: PTv3Config, stage: int) -> nn.ModuleDict:
    modules = {}
    channels = config.enc_channels[stage]
    if stage:
        modules["down"] = GridPooling(config.enc_channels[stage - 1], channels)
    for block in range(config.enc_depths[stage]):
        patching = (config.curve_of_block(block), config.enc_patch_size[stage])
        modules[f"block{block}"] = Block(config, channels, config.enc_num_head[stage], patching)
    return nn.ModuleDict(modules)


def _decoder_stage(config: PTv3Config, stage: int) -> nn.ModuleDict:
    channels = config.dec_channels[stage]
    coarser = (*config.dec_channels, config.enc_channels[-1])[stage + 1]
    modules = {"up": GridUnpooling(coarser, config.enc_channels[stage], channels)}
    for block in range(config.dec_depths[stage]):
        patching = (config.curve_of_block(block), config.dec_patch_size[stage])
        modules[f"block{block}"] = Block(config, channels, config.dec_num_head[stage], patching)
    return nn.ModuleDict(modules)


def _run_blocks(stage: nn.ModuleDict, feat: torch.Tensor, level: Level) -> torch.Tensor:
    for module in stage.values():
        if isinstance(module, Block):
            feat = module(feat, level)
    return feat
