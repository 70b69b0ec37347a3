# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The transformer blocks of Any2Point: frozen layers, an adapter, and guided aggregation.

A block of the source model, left as it is, is followed by a small adapter and by an exchange
between tokens that are neighbours in 3D or in one of six virtual views.
"""

from __future__ import annotations

import torch
from torch import nn

from concerto_ros.objects.encoders.any2point.projection import VIEWS, Cells, Projected
from concerto_ros.objects.encoders.any2point.variants import Variant
from concerto_ros.objects.encoders.shared.layers import Attention, Mlp, attend, split_heads

#: Width and heads of the attention within the cells of a view.
VIEW_WIDTH, VIEW_HEADS = 12, 6

#: Dropout of the adapters in training.
ADAPTER_DROPOUT = 0.1


class GuidedBlock(nn.Module):
    """One block of the source's transformer with adapter and guided aggregation.

    norm1, attn, norm2, mlp (and the scales ls1, ls2) are the source's and stay frozen.

    Args:
        variant: Constants of the model.
        width: Channels of the tokens.
        heads: Attention heads.
        adapter_width: Hidden width of the adapter.
        depth: 0 in the first block to 1 in the last: the share of the variant's stochastic depth.
    """

    def __init__(self, variant: Variant, width: int, heads: int, adapter_width: int, depth: float):
        super().__init__()
        source = variant.source
        self.variant = variant
        self.skip = variant.stochastic_depth * depth
        self.norm1 = nn.LayerNorm(width, eps=variant.block_eps)
        self.attn = Attention(width, heads, True, variant.attention_dropout)
        self.norm2 = nn.LayerNorm(width, eps=variant.block_eps)
        self.mlp = QuickMlp(width, 4 * width) if source.quick_gelu else Mlp(width, 4 * width)
        self.ls1 = LayerScale(width) if source.layer_scale else nn.Identity()
        self.ls2 = LayerScale(width) if source.layer_scale else nn.Identity()
        self.adapter = Adapter(width, adapter_width)
        self.out_transform_3d = nn.ModuleList([CellNorm(width)])
        self.out_transform_views = nn.ModuleList(
            nn.ModuleList([CellNorm(width)]) for _ in range(VIEWS)
        )

    def forward(
        self,
        tokens: torch.Tensor,
        projected: Projected,
        attentions: nn.ModuleList,
        norms: nn.ModuleList,
        per_object: bool,
    ) -> torch.Tensor:
        """Update the class token and tokens.

        Args:
            tokens: (B, 1 + T, C), the class token first.
            projected: Positions and cells of the T tokens.
            attentions: One :class:`CellAttention` for each view, shared by all blocks.
            norms: One layer normalisation for each view, shared by all blocks.
            per_object: Whether to compute as the published code does with a batch of one.

        Returns:
            (B, 1 + T, C).
        """
        tokens = tokens + self.ls1(self._kept(self._attend(self.norm1(tokens), per_object)))
        change = self.ls2(self._kept(self.mlp(self.norm2(tokens))))
        tokens = tokens + change + self.variant.adapter_scale * self.adapter(change)
        head, rest = tokens[:, :1], tokens[:, 1:]
        return torch.cat([head, self._aggregate(rest, projected, attentions, norms)], 1)

    def _attend(self, tokens: torch.Tensor, per_object: bool) -> torch.Tensor:
        if not self.variant.source.batch_attention:
            return self.attn(tokens)
        if per_object:
            # As the published code does with a batch of one: every token attends to itself alone.
            return self.attn(tokens.flatten(0, 1).unsqueeze(1)).view_as(tokens)
        # The published code passes batch-first data to attention that takes the sequence first.
        return self.attn(tokens.transpose(0, 1)).transpose(0, 1)

    def _kept(self, branch: torch.Tensor) -> torch.Tensor:
        """Skip rows of a branch (rows, ...) at random in training (stochastic depth)."""
        if not self.training or not self.skip:
            return branch
        kept = torch.rand(len(branch), device=branch.device) >= self.skip
        return branch * (kept / (1 - self.skip)).view(-1, *[1] * (branch.ndim - 1))

    def _aggregate(
        self,
        tokens: torch.Tensor,
        projected: Projected,
        attentions: nn.ModuleList,
        norms: nn.ModuleList,
    ) -> torch.Tensor:
        """Add the features of their cells in the views to tokens, weighed by a 3D guide."""
        voxels = projected.voxels
        guide = self.out_transform_3d[0](voxels.mean(tokens) + voxels.maximum(tokens), voxels)
        transforms = (next(norm.children()) for norm in self.out_transform_views)
        views, weights = [], []
        for view, (cells, transform) in enumerate(
            zip(projected.source_cells, transforms, strict=True)
        ):
            seen = attentions[view](norms[view](tokens), cells)
            # As published, this branch is skipped token by token, not cloud by cloud.
            mixed = tokens + self._kept(seen.flatten(0, 1)).view_as(seen)
            pooled = cells.mean(mixed)
            if self.variant.cell_maximum:
                pooled = pooled + cells.maximum(mixed)
            views.append(transform(pooled, cells))
            weights.append((nn.functional.cosine_similarity(views[-1], guide, dim=-1) + 1) / 2)
        weight = torch.stack(weights)
        weight = weight / weight.sum(0)
        guided = (weight.unsqueeze(-1) * torch.stack(views)).sum(0)
        return tokens + self.variant.guidance * guided


class CellAttention(nn.Module):
    """Narrow attention among the tokens of one cell.

    Dot products are scaled by the joint width of the heads, as published, not by that of each.
    """

    def __init__(self, width: int):
        super().__init__()
        self.qkv = nn.Linear(width, 3 * VIEW_WIDTH)
        self.proj = nn.Linear(VIEW_WIDTH, width)

    def forward(self, tokens: torch.Tensor, cells: Cells) -> torch.Tensor:
        """Attend among tokens (B, T, C) of the same cell: (B, T, C)."""
        query, key, value = (split_heads(x, VIEW_HEADS) for x in self.qkv(tokens).chunk(3, -1))
        mixed = attend(query, key, value, cells.same.unsqueeze(1), scale=VIEW_WIDTH**-0.5)
        return self.proj(mixed)


class Adapter(nn.Module):
    """A bottleneck without residual: Linear, QuickGELU, Linear."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.ln1 = nn.Linear(width, hidden)
        self.ln2 = nn.Linear(hidden, width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Apply to tokens (..., C)."""
        hidden = quick_gelu(self.ln1(tokens))
        return self.ln2(nn.functional.dropout(hidden, ADAPTER_DROPOUT, self.training))


class CellNorm(nn.BatchNorm1d):
    """Batch normalisation of cell features, then GELU.

    Every token carries the value of its cell. In training each cell counts once, however many
    tokens it has, and the empty cells of the source count as zeros.
    """

    # The statistics depend on the cells, which batch normalisation does not know.
    def forward(self, values: torch.Tensor, cells: Cells) -> torch.Tensor:  # type: ignore[override]
        """Normalise the values (B, T, C) of each token's cell: (B, T, C)."""
        if not self.training:
            return nn.functional.gelu(super().forward(values.transpose(1, 2)).transpose(1, 2))
        first = cells.is_first()
        rows = values[first]
        if cells.count is not None:
            empty = len(values) * cells.count - len(rows)
            rows = nn.functional.pad(rows, (0, 0, 0, empty))
        rows = nn.functional.gelu(super().forward(rows))
        number = first.flatten().cumsum(0).view_as(first) - 1
        return rows[number.gather(1, cells.first)]


class QuickMlp(Mlp):
    """Linear, QuickGELU, Linear."""

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Apply to tokens (..., C)."""
        return self.fc2(quick_gelu(self.fc1(tokens)))


class LayerScale(nn.Module):
    """A learned factor for each channel (Touvron et al., ICCV 2021)."""

    def __init__(self, width: int):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Scale the channels of tokens (..., C)."""
        return tokens * self.gamma


def quick_gelu(values: torch.Tensor) -> torch.Tensor:
    """Approximate GELU as CLIP does: x sigmoid(1.702 x)."""
    return values * torch.sigmoid(1.702 * values)
