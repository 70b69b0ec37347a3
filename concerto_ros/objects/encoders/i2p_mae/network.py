# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The hierarchical encoder of I2P-MAE (Zhang et al., CVPR 2023), descended from Point-M2AE.

Three levels of tokens: groups of points, groups of those, groups of those again. Transformer
blocks run at each level over all of its tokens. Parameter names are those of the official files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
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

    def levels(
        self, points: torch.Tensor, masked: Sequence[Geometry] | None = None
    ) -> Iterator[Tokens]:
        """Yield each level of clouds (B, N, 3), finest first.

        Args:
            points: (B, N, 3).
            masked: The levels of a cloud of which only a part is visible, as in pre-training (see
                :func:`hide`); None for whole clouds. A masked token stays as it was embedded.

        Raises:
            ValueError: If there are fewer points than members of a group.
        """
        tokens = None
        parts = (self.token_embed, self.encoder_pos_embeds, self.encoder_blocks)
        levels = self.geometry(points) if masked is None else masked
        run_blocks = attend_with_mask if masked is None else attend_among_visible
        for embed, position, blocks, geometry, radius in zip(
            *parts, levels, self.grouping.radii, strict=True
        ):
            if tokens is None:
                around = gather_rows(points, geometry.members) - geometry.centres.unsqueeze(2)
            else:
                around = gather_rows(tokens, geometry.members)
            embedded = embed(around)
            own = cast(nn.ModuleDict, blocks)["blocks"].children()
            tokens = run_blocks(own, embedded, position(geometry.centres), geometry, radius)
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


def attend_with_mask(
    blocks: Iterable[nn.Module],
    tokens: torch.Tensor,
    code: torch.Tensor,
    geometry: Geometry,
    radius: float,
) -> torch.Tensor:
    """Run the blocks of a level on its tokens (B, G, C), with an attention mask.

    Args:
        blocks: The blocks.
        tokens: (B, G, C).
        code: (B, G, C) position vectors.
        geometry: Where the tokens are.
        radius: Reach of the attention; 0 for everywhere.
    """
    mask = attention_mask(geometry, radius)
    for block in blocks:
        # Added again before every block, and it accumulates.
        tokens = block(tokens + code, mask)
    return tokens


def attend_among_visible(
    blocks: Iterable[nn.Module],
    tokens: torch.Tensor,
    code: torch.Tensor,
    geometry: Geometry,
    radius: float,
) -> torch.Tensor:
    """Run the blocks of a level on the visible ones of its tokens alone; the others stay.

    The same as :func:`attend_with_mask` for the visible tokens. It costs as much as those, not as
    all: in pre-training four fifths are masked. Every cloud needs a visible token.
    """
    visible = geometry.visible
    if visible is None:
        return attend_with_mask(blocks, tokens, code, geometry, radius)
    rows, real = visible_rows(visible)
    seen = Geometry(geometry.rows, gather_rows(geometry.centres, rows), geometry.members, real)
    states = attend_with_mask(
        blocks, gather_rows(tokens, rows), gather_rows(code, rows), seen, radius
    )
    # Under autocast the blocks may return another type than they took.
    return tokens.masked_scatter(visible.unsqueeze(-1), states[real].to(tokens.dtype))


def visible_rows(visible: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """List the visible tokens of each cloud.

    Args:
        visible: (B, G) bool, True at least once in each row.

    Returns:
        (B, V) int64 rows in ascending order, where a cloud with fewer than V visible tokens
        repeats its first one; and (B, V) bool, False for these repetitions.
    """
    count = visible.sum(1)
    rows = (~visible).to(torch.uint8).argsort(dim=1, stable=True)[:, : int(count.max())]
    real = torch.arange(rows.shape[1], device=rows.device) < count.unsqueeze(1)
    return torch.where(real, rows, rows[:, :1]), real


def hide(levels: Sequence[Geometry], visible: torch.Tensor) -> list[Geometry]:
    """Hide tokens of the highest level, and below it those that are in no visible group.

    Args:
        levels: Geometry of all levels, finest first.
        visible: (B, G) bool, of the highest level.

    Returns:
        The levels with ``visible`` replaced. As published, the first token of the first cloud
        is also visible below any level of which the batch has a masked token.
    """
    hidden = [replace(levels[-1], visible=visible)]
    for above, level in zip(levels[:0:-1], levels[-2::-1], strict=True):
        below = members_of_visible(above.members, visible, level.rows.shape[1])
        below[0, 0] |= ~visible.all()
        visible = below
        hidden.append(replace(level, visible=visible))
    return hidden[::-1]


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
