# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""I2P-MAE's pre-training (Zhang et al., CVPR 2023): masked points and visible 2D features.

Some groups of the highest level are hidden with all that is only in them. At the target level, one
above the points as published, the model reconstructs the points of masked groups, and for visible
ones what a frozen image model says of their points in three depth images.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import torch
from torch import nn

from concerto_ros.learning.objects.pretraining.i2p_mae.decoder import DecodedLevel, Decoder
from concerto_ros.learning.objects.pretraining.i2p_mae.projection import VIEWS, read_maps
from concerto_ros.learning.objects.training.losses import chamfer_squared
from concerto_ros.objects.encoders.i2p_mae.network import (
    Geometry,
    Grouping,
    HierarchicalEncoder,
    Tokens,
    Widths,
    hide,
    visible_rows,
)
from concerto_ros.objects.encoders.shared.sampling import gather_rows
from concerto_ros.objects.encoders.shared.weights import State, count_blocks, load_weights

#: The teacher, which official pre-training files contain.
TEACHER = "clip_model."


@dataclass(frozen=True)
class DecoderShape:
    """Sizes of the decoder, level by level, the highest first.

    Attributes:
        channels: Width of the tokens of each decoded level; the last is the target level.
        blocks: Transformer blocks of each decoded level.
        extraction: Residual blocks after each propagation to the level below.
    """

    channels: tuple[int, ...]
    blocks: tuple[int, ...]
    extraction: tuple[int, ...]

    @classmethod
    def of_state(cls, state: State) -> DecoderShape:
        """Read the sizes from names and shapes of a state dict."""
        levels = range(count_blocks(state, "h_decoder."))
        return cls(
            tuple(state[f"decoder_pos_embeds.{n}.2.weight"].shape[0] for n in levels),
            tuple(count_blocks(state, f"h_decoder.{n}.blocks.") for n in levels),
            tuple(
                count_blocks(state, f"token_prop.{n}.extraction.operation.") for n in levels[:-1]
            ),
        )


@dataclass(frozen=True, eq=False)
class Guidance:
    """What a frozen image model says of the depth images of B clouds, V views of each.

    Attributes:
        pixels: (V, B, N, 2) int64 row and column of every point in the images.
        features: (V, B, C, h, w) of the patches of each image.
        saliency: (V, B, h, w) how much each patch matters.
    """

    pixels: torch.Tensor
    features: torch.Tensor
    saliency: torch.Tensor


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """The result of one pass; K masked and T visible groups of M points at the target level.

    Attributes:
        levels: The encoder's levels, finest first, normalised and zero where masked.
        decoded: The decoded levels, the highest first.
        tokens: (B, G, C) the decoder's normalised tokens at the target level.
        rebuilt: (K, M, 3) the masked groups as reconstructed, relative to their centres.
        true: (K, M, 3) the masked groups as they are.
        seen: (T, M, V C) the 2D features of visible groups as predicted; None without guidance.
        taught: (T, M, V C) the same as the image model has them.
    """

    levels: list[Tokens]
    decoded: list[DecodedLevel]
    tokens: torch.Tensor
    rebuilt: torch.Tensor
    true: torch.Tensor
    seen: torch.Tensor | None
    taught: torch.Tensor | None

    def losses(self) -> dict[str, torch.Tensor]:
        """Compute the losses by name, to be added."""
        losses = {"points": chamfer_squared(self.rebuilt, self.true)}
        if self.seen is not None and self.taught is not None:
            losses["features"] = nn.functional.mse_loss(self.seen, self.taught)
        return losses


class I2PMAEPretraining(Decoder):
    """Encoder, decoder and both heads; names as in the official files.

    Args:
        widths: Sizes of the encoder.
        grouping: How its tokens are made.
        decoder: Sizes of the decoder.
        features: Channels of the image model's features; 0 for no head that predicts them.
    """

    def __init__(self, widths: Widths, grouping: Grouping, decoder: DecoderShape, features: int):
        encoder = widths.channels[::-1][: len(decoder.channels)]
        super().__init__(
            decoder.channels, decoder.blocks, encoder, decoder.extraction, widths.heads
        )
        self.widths = widths
        self.h_encoder = HierarchicalEncoder(widths, grouping, level_norms=True)
        for part in self.h_encoder.modules():
            if isinstance(part, nn.Linear | nn.Conv1d):
                nn.init.normal_(part.weight, std=0.02)
                if part.bias is not None:
                    nn.init.zeros_(part.bias)
        width, self.target = decoder.channels[-1], len(widths.channels) - len(decoder.channels)
        self.members = grouping.neighbours[self.target]
        self.rec_head_3d = nn.Conv1d(width, 3 * self.members, 1)
        self.rec_head_2d: nn.Conv1d | None = None
        if features:
            self.rec_head_2d = nn.Conv1d(width, self.members * len(VIEWS) * features, 1)

    def forward(
        self,
        points: torch.Tensor,
        levels: Sequence[Geometry],
        visible: torch.Tensor,
        guidance: Guidance | None = None,
    ) -> Reconstruction:
        """Encode what is visible and reconstruct the rest.

        Args:
            points: (B, N, 3).
            levels: What ``h_encoder.geometry(points)`` returns.
            visible: (B, G) bool, of the highest level; True at least once in each row.
            guidance: Of the image model, for the features of visible groups; None without.
        """
        encoded = self.encode(points, hide(levels, visible))
        decoded = self.decode(encoded)
        tokens = self.decoder_norm(decoded[-1].tokens)
        geometry = encoded[self.target].geometry
        seen = cast(torch.Tensor, geometry.visible)
        below = points if not self.target else encoded[self.target - 1].geometry.centres
        relative = gather_rows(below, geometry.members) - geometry.centres.unsqueeze(2)
        said = taught = None
        if guidance is not None and self.rec_head_2d is not None:
            said = _head(self.rec_head_2d, tokens[seen], self.members)
            taught = self.features_of_members(guidance, levels, seen)
        return Reconstruction(
            encoded,
            decoded,
            tokens,
            _head(self.rec_head_3d, tokens[~seen], self.members),
            relative[~seen],
            said,
            taught,
        )

    def encode(self, points: torch.Tensor, hidden: Sequence[Geometry]) -> list[Tokens]:
        """Encode clouds (B, N, 3) with hidden tokens: normalised levels, zero where hidden."""
        levels = []
        norms = cast(nn.ModuleList, self.h_encoder.encoder_norms)
        for level, norm in zip(self.h_encoder.levels(points, hidden), norms, strict=True):
            visible = cast(torch.Tensor, level.geometry.visible).unsqueeze(-1)
            levels.append(replace(level, encoded=torch.where(visible, norm(level.encoded), 0.0)))
        return levels

    def member_rows(self, levels: Sequence[Geometry]) -> torch.Tensor:
        """Return (B, G, M) the rows in the cloud of the members of the target level's groups."""
        members = levels[self.target].members
        if not self.target:
            return members
        rows = levels[self.target - 1].rows
        return rows.gather(1, members.flatten(1)).view_as(members)

    def features_of_members(
        self, guidance: Guidance, levels: Sequence[Geometry], seen: torch.Tensor
    ) -> torch.Tensor:
        """Read the image features at the members of groups of the target level.

        Args:
            guidance: Of the image model.
            levels: As for :meth:`forward`.
            seen: (B, G) bool, which groups.

        Returns:
            (T, M, V C) for the T groups that are True in ``seen``, row after row.
        """
        packed, real = visible_rows(seen)
        rows = gather_rows(self.member_rows(levels), packed)
        found = _read_at_rows(guidance.features, guidance.pixels, rows.flatten(1))
        found = found.unflatten(2, rows.shape[1:])[:, real]
        return found.permute(1, 2, 0, 3).flatten(2)


def centre_saliency(guidance: Guidance, top: Geometry) -> torch.Tensor:
    """Return (B, G) the saliency at the centres of a level, the mean over the views."""
    maps = guidance.saliency.unsqueeze(2)
    return _read_at_rows(maps, guidance.pixels, top.rows).squeeze(-1).mean(0)


def _read_at_rows(maps: torch.Tensor, pixels: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Read (V, B, P, C) of (V, B, C, h, w) maps at the pixels of rows (B, P) of the clouds."""
    index = rows[None, :, :, None].expand(len(pixels), -1, -1, 2)
    return read_maps(maps, pixels.gather(2, index))


def _head(head: nn.Conv1d, tokens: torch.Tensor, members: int) -> torch.Tensor:
    """Apply a pointwise head to tokens (K, C): (K, members, channels of each)."""
    return head(tokens.unsqueeze(-1)).squeeze(-1).unflatten(1, (members, -1))


def from_state(
    state: State, path: str | os.PathLike, *, grouping: Grouping, heads: int
) -> I2PMAEPretraining:
    """Build the model of a pre-training file, without the teacher.

    Raises:
        CheckpointError: If names or shapes do not match.
    """
    decoder = DecoderShape.of_state(state)
    features = 0
    if "rec_head_2d.weight" in state:
        each = state["rec_head_2d.weight"].shape[0] // len(VIEWS)
        features = each // grouping.neighbours[len(grouping.groups) - len(decoder.channels)]
    model = I2PMAEPretraining(Widths.of_state(state, heads), grouping, decoder, features)
    load_weights(model, state, Path(path), ignore=(TEACHER,))
    return model
