# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The decoder of I2P-MAE: from the tokens of the highest level down to those of the target level.

Parameter names are those of the official files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn

from concerto_ros.objects.encoders.i2p_mae.network import Tokens
from concerto_ros.objects.encoders.shared.layers import Block, PositionCode
from concerto_ros.objects.encoders.shared.sampling import interpolate_three


@dataclass(frozen=True, eq=False)
class DecodedLevel:
    """The tokens of one decoded level.

    Attributes:
        given: (B, G, C) before the blocks.
        tokens: (B, G, C) after the blocks.
    """

    given: torch.Tensor
    tokens: torch.Tensor


class Decoder(nn.Module):
    """Blocks at each decoded level, and what brings tokens from one level to the one below.

    The base of the whole model, because the official names have no prefix for the decoder.

    Args:
        channels: Width of the decoder's tokens at each decoded level, the highest first.
        blocks: Transformer blocks of each decoded level.
        encoder: Width of the encoder's tokens at each decoded level.
        extraction: Residual blocks after each propagation, one number for each level below the
            highest.
        heads: Attention heads of every block.
    """

    def __init__(
        self,
        channels: Sequence[int],
        blocks: Sequence[int],
        encoder: Sequence[int],
        extraction: Sequence[int],
        heads: int,
    ):
        super().__init__()
        self.mask_token = nn.Parameter(0.02 * torch.randn(1, channels[0]))
        self.h_decoder = nn.ModuleList()
        self.decoder_pos_embeds = nn.ModuleList()
        for width, depth in zip(channels, blocks, strict=True):
            own = nn.ModuleList(Block(width, heads) for _ in range(depth))
            self.h_decoder.append(nn.ModuleDict({"blocks": own}))
            self.decoder_pos_embeds.append(PositionCode(width, width))
        self.token_prop = nn.ModuleList(
            Propagation(finer + above, width, depth)
            for finer, above, width, depth in zip(
                encoder[1:], channels[:-1], channels[1:], extraction, strict=True
            )
        )
        self.decoder_norm = nn.LayerNorm(channels[-1])
        self._start()

    def _start(self) -> None:
        """Draw the published start of the blocks: Xavier, and biases of zero."""
        for part in self.h_decoder.modules():
            if isinstance(part, nn.Linear):
                nn.init.xavier_uniform_(part.weight)
                if part.bias is not None:
                    nn.init.zeros_(part.bias)

    def decode(self, levels: Sequence[Tokens]) -> list[DecodedLevel]:
        """Decode the encoder's normalised levels, finest first, from the highest to the target.

        Of masked tokens only the places are read.

        Returns:
            One entry for each decoded level, the highest first.
        """
        decoded: list[DecodedLevel] = []
        for number, level in enumerate(levels[: -len(self.h_decoder) - 1 : -1]):
            centres = level.geometry.centres
            if number:
                above = levels[-number].geometry.centres
                spread = interpolate_three(centres, above, decoded[-1].tokens)
                joined = torch.cat([level.encoded, spread], -1)
                given = self.token_prop[number - 1](joined)
            else:
                visible = cast(torch.Tensor, level.geometry.visible).unsqueeze(-1)
                given = torch.where(visible, level.encoded, self.mask_token)
            code, tokens = self.decoder_pos_embeds[number](centres), given
            for block in cast(nn.ModuleDict, self.h_decoder[number])["blocks"].children():
                tokens = block(tokens + code)
            decoded.append(DecodedLevel(given, tokens))
        return decoded


class Propagation(nn.Module):
    """Brings tokens to the level below, joined to the encoder's own tokens there (PointNet++).

    Args:
        in_channels: Channels of the encoder's and of the interpolated tokens together.
        out_channels: Channels that come out.
        blocks: Residual blocks that follow.
    """

    def __init__(self, in_channels: int, out_channels: int, blocks: int):
        super().__init__()
        self.fuse = nn.ModuleDict({"net": _pointwise(in_channels, out_channels, nn.GELU())})
        residual = nn.Sequential(*(ResidualPointwise(out_channels) for _ in range(blocks)))
        self.extraction = nn.ModuleDict({"operation": residual})

    def forward(self, joined: torch.Tensor) -> torch.Tensor:
        """Convert joined tokens (B, G, in_channels) to (B, G, out_channels)."""
        feat = self.fuse["net"](joined.transpose(1, 2))
        return self.extraction["operation"](feat).transpose(1, 2)


class ResidualPointwise(nn.Module):
    """Two pointwise layers around which the input is added."""

    def __init__(self, channels: int):
        super().__init__()
        self.net1 = _pointwise(channels, channels, nn.GELU())
        self.net2 = _pointwise(channels, channels)

    def forward(self, feat: torch.Tensor) -> torch.Tensor:
        """Update (B, C, G) features."""
        return nn.functional.gelu(feat + self.net2(self.net1(feat)))


def _pointwise(in_channels: int, out_channels: int, *more: nn.Module) -> nn.Sequential:
    convolution = nn.Conv1d(in_channels, out_channels, 1)
    return nn.Sequential(convolution, nn.BatchNorm1d(out_channels), *more)
