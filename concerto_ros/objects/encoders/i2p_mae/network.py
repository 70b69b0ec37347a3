# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The hierarchical encoder of I2P-MAE (Zhang et al., CVPR 2023), descended from Point-M2AE.

Three levels of tokens: groups of points, groups of those, groups of those again. Transformer
blocks run at each level over all of its tokens. Parameter names are those of the official files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn

from concerto_ros.objects.encoders.shared.layers import Block, PatchEncoder, PositionCode
from concerto_ros.objects.encoders.shared.sampling import (
    farthest_point_sampling,
    gather_rows,
    nearest_neighbours,
)
from concerto_ros.objects.encoders.shared.weights import State, count_blocks

#: Hidden widths of the patch encoder that reads points.
POINT_WIDTHS = (128, 256, 512)


@dataclass(frozen=True)
class Widths:
    """Sizes of the transformers, level by level.

    Attributes:
        channels: Width of the tokens of each level.
        blocks: Number of blocks of each level.
        heads: Attention heads of every block.
    """

    channels: tuple[int, ...]
    blocks: tuple[int, ...]
    heads: int

    @classmethod
    def of_state(cls, state: State, heads: int) -> Widths:
        """Read the sizes from names and shapes of a state dict."""
        levels = count_blocks(state, "h_encoder.token_embed.")
        return cls(
            tuple(
                state[f"h_encoder.token_embed.{level}.second_conv.3.weight"].shape[0]
                for level in range(levels)
            ),
            tuple(
                count_blocks(state, f"h_encoder.encoder_blocks.{level}.blocks.")
                for level in range(levels)
            ),
            heads,
        )


@dataclass(frozen=True)
class Grouping:
    """How tokens are made, level by level; state dicts do not store it.

    Attributes:
        groups: Number of tokens of each level.
        neighbours: Members of each token's group.
        radii: Reach of the attention in the unit of the cloud; 0 for everywhere.
    """

    groups: tuple[int, ...]
    neighbours: tuple[int, ...]
    radii: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Geometry:
    """Where the tokens of one level are.

    Attributes:
        rows: (B, G) int64, rows of the centres in the cloud.
        centres: (B, G, 3) positions of the centres.
        members: (B, G, K) int64, the members of each group as rows of the level below.
        visible: (B, G) bool, or None where all tokens are visible.
    """

    rows: torch.Tensor
    centres: torch.Tensor
    members: torch.Tensor
    visible: torch.Tensor | None


@dataclass(frozen=True, eq=False)
class Tokens:
    """The tokens of one level.

    Attributes:
        geometry: Where they are.
        embedded: (B, G, C) before the blocks.
        encoded: (B, G, C) after the blocks.
    """

    geometry: Geometry
    embedded: torch.Tensor
    encoded: torch.Tensor


class HierarchicalEncoder(nn.Module):
    """Three levels of tokens from clouds.

    With ``level_norms``, as after pre-training, a token takes part only if a group of the level
    above contains it, and each level has a normalisation of its own (``encoder_norms``).
    """

    def __init__(self, widths: Widths, grouping: Grouping, *, level_norms: bool):
        super().__init__()
        self.grouping = grouping
        self.token_embed = nn.ModuleList()
        self.encoder_pos_embeds = nn.ModuleList()
        self.encoder_blocks = nn.ModuleList()
        finer = None
        for width, depth in zip(widths.channels, widths.blocks, strict=True):
            sizes = (3, *POINT_WIDTHS) if finer is None else (finer, finer, finer, width)
            self.token_embed.append(PatchEncoder(*sizes, width))
            self.encoder_pos_embeds.append(PositionCode(width, width))
            blocks = nn.ModuleList(Block(width, widths.heads) for _ in range(depth))
            self.encoder_blocks.append(nn.ModuleDict({"blocks": blocks}))
            finer = width
        self.encoder_norms: nn.ModuleList | None = None
        if level_norms:
            self.encoder_norms = nn.ModuleList(nn.LayerNorm(width) for width in widths.channels)

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        """Encode clouds (B, N, 3) to tokens (B, G, C) of the highest level, not normalised."""
        *_, top = self.levels(points)
        return top.encoded

    def levels(self, points: torch.Tensor) -> Iterator[Tokens]:
        """Yield each level of clouds (B, N, 3), finest first.

        Raises:
            ValueError: If there are fewer points than members of a group.
        """
        tokens = None
        parts = (self.token_embed, self.encoder_pos_embeds, self.encoder_blocks)
        for embed, position, blocks, geometry, radius in zip(
            *parts, self.geometry(points), self.grouping.radii, strict=True
        ):
            if tokens is None:
                around = gather_rows(points, geometry.members) - geometry.centres.unsqueeze(2)
            else:
                around = gather_rows(tokens, geometry.members)
            embedded = tokens = embed(around)
            code = position(geometry.centres)
            mask = attention_mask(geometry, radius)
            for block in cast(nn.ModuleDict, blocks)["blocks"].children():
                # Added again before every block, and it accumulates.
                tokens = block(tokens + code, mask)
            yield Tokens(geometry, embedded, tokens)

    def normalise_top(self, tokens: torch.Tensor) -> torch.Tensor:
        """Normalise tokens (B, G, C) of the highest level by its own normalisation.

        Raises:
            ValueError: If there are no normalisations of levels, as after fine-tuning.
        """
        if self.encoder_norms is None:
            raise ValueError(
                "this I2P-MAE encoder has no encoder_norms, expected a pre-trained one"
            )
        return self.encoder_norms[-1](tokens)

    def geometry(self, points: torch.Tensor) -> list[Geometry]:
        """Compute the groups of all levels of clouds (B, N, 3), finest first."""
        rows = farthest_point_sampling(points, self.grouping.groups[0], skip_near_origin=True)
        finer, levels = points, []
        for groups, neighbours in zip(self.grouping.groups, self.grouping.neighbours, strict=True):
            # A shorter farthest point sampling is the beginning of a longer one.
            level = rows[:, :groups]
            centres = gather_rows(points, level)
            levels.append((level, centres, nearest_neighbours(centres, finer, neighbours)))
            finer = centres
        visible = self._visible([members for _, _, members in levels])
        return [Geometry(*level, mask) for level, mask in zip(levels, visible, strict=True)]

    def _visible(self, members: list[torch.Tensor]) -> Sequence[torch.Tensor | None]:
        if self.encoder_norms is None:
            return [None] * len(members)
        visible = [torch.ones_like(members[-1][..., 0], dtype=torch.bool)]
        for above, count in zip(members[:0:-1], self.grouping.groups[-2::-1], strict=True):
            visible.append(members_of_visible(above, visible[-1], count))
        return visible[::-1]


def members_of_visible(members: torch.Tensor, visible: torch.Tensor, count: int) -> torch.Tensor:
    """Find the tokens of a level that belong to a visible group of the level above.

    Args:
        members: (B, G, K) int64, rows of that level.
        visible: (B, G) bool, of the level above.
        count: Tokens of that level.

    Returns:
        (B, count) bool.
    """
    # An extra last row collects the members of invisible groups and is dropped.
    rows = torch.where(visible.unsqueeze(-1), members, count).flatten(1)
    return visible.new_zeros((len(visible), count + 1)).scatter(1, rows, True)[:, :count]


def attention_mask(geometry: Geometry, radius: float) -> torch.Tensor | None:
    """Compute the attention mask: visible tokens nearer than ``radius``.

    Returns:
        (B, 1, 1 or G, G) bool, True where a query (row) may attend to a key; None where everything
        may.
    """
    mask = None
    if geometry.visible is not None:
        mask = geometry.visible[:, None, None, :]
    if radius > 0:
        apart = geometry.centres.unsqueeze(2) - geometry.centres.unsqueeze(1)
        near = (torch.linalg.vector_norm(apart, dim=-1) < radius).unsqueeze(1)
        mask = near if mask is None else mask & near
    return mask
