# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Point Transformer V3 (Wu et al., CVPR 2024) as Sonata, Concerto and Utonia use it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast

import torch
from torch import nn

from concerto_ros.ptv3.blocks import AttentionBlock, Block, GridPooling, GridUnpooling, Norm
from concerto_ros.ptv3.config import PTv3Config
from concerto_ros.ptv3.cpu.onednn import GELU, Linear
from concerto_ros.ptv3.hierarchy import Hierarchy, Level, build_hierarchy
from concerto_ros.ptv3.kernels.backends import choose_backend
from concerto_ros.ptv3.kernels.sparse_conv import SubmanifoldConv


@dataclass(frozen=True, eq=False)
class PyramidLevel:
    """Features of one level and the geometry they belong to, row by row.

    Attributes:
        feat: (N, C) float32.
        geometry: the level that the features belong to.
    """

    feat: torch.Tensor
    geometry: Level

    @property
    def grid_coord(self) -> torch.Tensor:
        """Voxel indices, (N, 3) int64."""
        return self.geometry.grid_coord

    @property
    def coord(self) -> torch.Tensor:
        """Mean positions, (N, 3) float32."""
        return self.geometry.coord

    @property
    def batch(self) -> torch.Tensor:
        """Cloud of each row, (N,) int64."""
        return self.geometry.batch

    @property
    def offset(self) -> torch.Tensor:
        """Cumulative sizes of the clouds, (B,) int64."""
        return self.geometry.offset


@dataclass(frozen=True, eq=False)
class Pyramid:
    """The result of an encoder: features of every level, finest first.

    With a decoder there is one level, the finest.
    """

    levels: tuple[PyramidLevel, ...]

    @property
    def top(self) -> PyramidLevel:
        """The coarsest level."""
        return self.levels[-1]

    @property
    def feats(self) -> tuple[torch.Tensor, ...]:
        """Features of each level, (V_i, C_i), finest first."""
        return tuple(level.feat for level in self.levels)

    @property
    def clusters(self) -> tuple[torch.Tensor, ...]:
        """Between each two levels, (V_i,) the row of the coarser one that holds each finer row."""
        return tuple(level.geometry.pooled_from.cluster for level in self.levels[1:])

    def upcast(self, concat_levels: int | None = 2) -> torch.Tensor:
        """Return features for every input row, (N, C).

        Args:
            concat_levels: how many finer levels are concatenated, from the top down; the remaining
                ones only pass the features on. None: all of them. A pyramid of one level returns
                that level for any value.

        Raises:
            ValueError: the number is negative or above that of the finer levels.
        """
        feat, row = self.shared(concat_levels)
        return feat if row is None else feat.index_select(0, row)

    def shared(self, concat_levels: int | None = 2) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return :meth:`upcast` without repetition.

        Args:
            concat_levels: as for :meth:`upcast`.

        Returns:
            (M, C) features, one row for all input rows that share it, and (N,) int64, the row of
                each input row; None where each input row has its own.

        Raises:
            ValueError: as :meth:`upcast`.
        """
        finer = len(self.levels) - 1
        if not finer:
            return self.top.feat, None
        joined = finer if concat_levels is None else concat_levels
        if not isinstance(joined, int) or not 0 <= joined <= finer:
            raise ValueError(f"concat_levels is {concat_levels!r}, expected 0 to {finer} or None")
        feat = join_levels(self.feats, self.clusters, joined)
        if joined == finer:
            return feat, None
        row = self.levels[finer - joined].geometry.pooled_from.cluster
        for index in range(finer - joined - 1, 0, -1):
            row = row.index_select(0, self.levels[index].geometry.pooled_from.cluster)
        return feat, row


#: Features and their hierarchy to the features of each level of the pyramid, finest first.
FeatureProgram: TypeAlias = Callable[[torch.Tensor, Hierarchy], Sequence[torch.Tensor]]


class Encoder(nn.Module):
    """A PTv3 backbone with the module and parameter names of the official state dicts.

    Attributes:
        config: its shape.
        name: the name or path that it was loaded by, e.g. ``concerto_base``.
        trained: False for random weights.
        grid_size: metres, edge of the voxels it was trained on; None where the file does not store
            it.
        preset: the preset whose input convention it was trained with; None where the file does not
            store it.
        conventions: scale and centre of the input by preset, where they differ from those of the
            published models; see :class:`~concerto_ros.segmentation.convention.Convention`.
        backend: the kernels to use, one of :data:`~concerto_ros.ptv3.kernels.backends.BACKENDS`.
        licence: of the weights; empty where none is known.
        digest: that of the weights as their file has them, by which the file of a head names the
            encoder it was trained on; empty for an encoder of no file.
        program: computes the features of each level of the pyramid, (V_i, C_i) float32, from
            (N, in_channels) features and their hierarchy, instead of the modules; None: these do.
    """

    def __init__(
        self,
        config: PTv3Config,
        *,
        name: str = "",
        trained: bool = True,
        grid_size: float | None = None,
        preset: str | None = None,
        conventions: Mapping[str, tuple[float, str]] | None = None,
    ):
        super().__init__()
        self.config = config
        self.name = name
        self.trained = trained
        self.grid_size = grid_size
        self.preset = preset
        self.conventions = dict(conventions or {})
        self.backend = "auto"
        self.licence = ""
        self.digest = ""
        self.program: FeatureProgram | None = None
        self._add_modules()

    def _add_modules(self) -> None:
        """Add stem, encoder and decoder."""
        config, width = self.config, self.config.enc_channels[0]
        self.embedding = nn.ModuleDict(
            {
                "stem": nn.ModuleDict(
                    {
                        "linear": Linear(config.in_channels, width),
                        "norm": Norm(width),
                        "act": GELU(),
                    }
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

    @property
    def identity(self) -> str:
        """Its name and digest: features of encoders with another one cannot be compared."""
        return f"{self.name} {self.digest}".rstrip()

    def forward(
        self,
        feat: torch.Tensor,
        grid_coord: torch.Tensor,
        coord: torch.Tensor,
        offset: torch.Tensor,
    ) -> Pyramid:
        """Encode a batch of clouds.

        Args:
            feat: (N, in_channels) float: xyz, colour 0..1, unit normal.
            grid_coord: (N, 3) integer, at least 0, each voxel once in a cloud.
            coord: (N, 3) float, metres times the scale of the input convention.
            offset: (B,) cumulative sizes of the clouds.

        Raises:
            ValueError: an input has another shape, type or range; the text names it.
        """
        return self.forward_features(feat, self.hierarchy(grid_coord, coord, offset))

    def warm_up(self) -> None:
        """Compile the kernels now, for clouds of any size, so that no cloud has to wait for it."""
        weights = next(self.parameters())
        convolutions = (part for part in self.modules() if isinstance(part, SubmanifoldConv))
        widths = sorted({len(convolution.bias) for convolution in convolutions})
        backend = choose_backend(self.backend, weights.device)
        backend.warm_up(widths, weights.dtype, weights.device)

    def hierarchy(
        self, grid_coord: torch.Tensor, coord: torch.Tensor, offset: torch.Tensor
    ) -> Hierarchy:
        """Compute the integer half of a forward pass; arguments and errors as :meth:`forward`."""
        backend = choose_backend(self.backend, grid_coord.device)
        return build_hierarchy(grid_coord, coord, offset, self.config, backend)

    def forward_features(self, feat: torch.Tensor, hierarchy: Hierarchy) -> Pyramid:
        """Compute the floating-point half: a plain function of features and geometry.

        Matrix products run in the precision of the weights. The residual stream, and with it the
        returned features, is float32: in half precision the sums would overflow or lose digits.

        Args:
            feat: (N, in_channels) float, as for :meth:`forward`.
            hierarchy: as :meth:`hierarchy` returns it.

        Raises:
            ValueError: ``feat`` has another shape or type.
        """
        expected = (len(hierarchy.levels[0]), self.config.in_channels)
        if tuple(feat.shape) != expected:
            raise ValueError(f"feat has shape {tuple(feat.shape)}, expected {expected}")
        if not feat.is_floating_point():
            raise ValueError(f"feat is {feat.dtype}, expected a floating-point type")
        if self.program is not None:
            feats = self.program(feat, hierarchy)
            return Pyramid(tuple(map(PyramidLevel, feats, hierarchy.levels)))
        return self.forward_embedded(self.embed(feat, hierarchy), hierarchy)

    def embed(self, feat: torch.Tensor, hierarchy: Hierarchy) -> torch.Tensor:
        """Return the stem's (N, C_0) features; the input is not checked.

        Here they are those of each voxel alone.

        Args:
            feat: (N, in_channels) float, as for :meth:`forward`.
            hierarchy: as :meth:`hierarchy` returns it.
        """
        stem = cast(nn.ModuleDict, self.embedding["stem"])
        wide = hierarchy.levels[0].fused.linear(cast(Linear, stem["linear"]), feat)
        return stem["act"](stem["norm"](wide))

    def forward_embedded(self, feat: torch.Tensor, hierarchy: Hierarchy) -> Pyramid:
        """Compute all that follows the stem; pre-training hides voxels in between.

        Args:
            feat: (N, C_0), as of :meth:`embed`.
            hierarchy: as :meth:`hierarchy` returns it.
        """
        levels = []
        for stage, level in zip(_stages(self.enc), hierarchy.levels, strict=True):
            if "down" in stage:
                feat = stage["down"](feat, level)
            feat = _run_blocks(stage, feat, level)
            levels.append(PyramidLevel(feat, level))
        if self.config.enc_mode:
            return Pyramid(tuple(levels))
        for stage, skip in zip(_stages(self.dec), reversed(levels[:-1]), strict=True):
            feat = stage["up"](feat, skip.feat, level.pooled_from.cluster)
            level = skip.geometry
            feat = _run_blocks(stage, feat, level)
        return Pyramid((PyramidLevel(feat, level),))


def join_levels(
    feats: Sequence[torch.Tensor], clusters: Sequence[torch.Tensor], joined: int
) -> torch.Tensor:
    """Join the coarsest level with finer ones.

    Args:
        feats: per level (V_l, C_l), finest first.
        clusters: between each two levels (V_l,) int64, the row of the coarser one that holds each
            finer row.
        joined: how many finer levels are joined, from the top down.

    Returns:
        (V, C) rows of the finest level that is joined, its own channels first.
    """
    feat = feats[-1]
    for index in range(len(feats) - 2, len(feats) - 2 - joined, -1):
        feat = torch.cat([feats[index], feat.index_select(0, clusters[index])], 1)
    return feat


def _stages(part: nn.ModuleDict) -> Iterator[nn.ModuleDict]:
    """Yield the stages of the encoder or decoder, in the order in which they run."""
    return (cast(nn.ModuleDict, stage) for stage in part.values())


def _encoder_stage(config: PTv3Config, stage: int) -> nn.ModuleDict:
    modules: dict[str, nn.Module] = {}
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
    modules: dict[str, nn.Module] = {
        "up": GridUnpooling(coarser, config.enc_channels[stage], channels)
    }
    for block in range(config.dec_depths[stage]):
        patching = (config.curve_of_block(block), config.dec_patch_size[stage])
        modules[f"block{block}"] = Block(config, channels, config.dec_num_head[stage], patching)
    return nn.ModuleDict(modules)


def _run_blocks(stage: nn.ModuleDict, feat: torch.Tensor, level: Level) -> torch.Tensor:
    for module in stage.values():
        if isinstance(module, AttentionBlock):
            feat = module(feat, level)
    return feat
