# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The transformer of ReCon (Qi et al., Contrast with Reconstruct, ICML 2023).

Patches of a cloud attend to each other; three global tokens (class, image, text) attend to the
patches, and nothing attends to them. Parameter names are those of the official files.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from concerto_ros.objects.encoders.shared.layers import (
    Attention,
    Mlp,
    PatchEncoder,
    PositionCode,
    ResidualBlock,
    attend,
    split_heads,
)
from concerto_ros.objects.encoders.shared.sampling import (
    farthest_point_sampling,
    gather_rows,
    nearest_neighbours,
)
from concerto_ros.objects.encoders.shared.weights import State, count_blocks

#: Width of a head of the official models, base, small and tiny alike.
HEAD_WIDTH = 64


#: Hidden widths of the patch encoder of the official models.
PATCH_WIDTHS = (128, 256, 512)


@dataclass(frozen=True)
class ReConShape:
    """Sizes of the transformer, of the grouping, and of the patch encoder's hidden layers."""

    width: int
    blocks: int
    heads: int
    groups: int
    group_size: int
    patch_widths: tuple[int, int, int] = PATCH_WIDTHS

    @classmethod
    def of_state(
        cls, state: State, *, groups: int, group_size: int, heads: int | None = None
    ) -> ReConShape:
        """Read the sizes from names and shapes of a state dict.

        Args:
            state: Tensors in the names of fine-tuned files.
            groups: Number of patches, which a state dict does not determine.
            group_size: Points of a patch, neither.
            heads: Attention heads; None for heads of the official width.
        """
        width = state["cls_token"].shape[-1]
        blocks = count_blocks(state, "blocks.blocks.")
        first, second, third = (
            len(state[f"encoder.{layer}.weight"])
            for layer in ("first_conv.0", "first_conv.3", "second_conv.0")
        )
        heads = heads or official_heads(width)
        return cls(width, blocks, heads, groups, group_size, (first, second, third))


def official_heads(width: int) -> int:
    """Return the number of attention heads that the official models have for a width."""
    return max(1, width // HEAD_WIDTH)


@dataclass(frozen=True, eq=False)
class Patches:
    """Groups of nearby points.

    Attributes:
        rows: (B, G) int64, rows of the centres in the cloud.
        centres: (B, G, 3) their positions.
        relative: (B, G, M, 3) points of each group relative to its centre.
    """

    rows: torch.Tensor
    centres: torch.Tensor
    relative: torch.Tensor


class ReConTrunk(nn.Module):
    """Patch encoder, position codes and transformer blocks."""

    cls_token: nn.Parameter
    img_token: nn.Parameter
    text_token: nn.Parameter
    cls_pos: nn.Parameter
    img_pos: nn.Parameter
    text_pos: nn.Parameter

    def __init__(self, shape: ReConShape):
        super().__init__()
        self.shape = shape
        width = shape.width
        for name in ("cls", "img", "text"):
            for part in ("token", "pos"):
                self.register_parameter(f"{name}_{part}", _token(width))
        self.encoder = PatchEncoder(3, *shape.patch_widths, width)
        self.pos_embed = PositionCode(128, width)
        blocks = [ReConBlock(width, shape.heads) for _ in range(shape.blocks)]
        self.blocks = nn.ModuleDict({"blocks": nn.ModuleList(blocks)})
        self.norm = nn.LayerNorm(width)

    def group(self, points: torch.Tensor) -> Patches:
        """Divide clouds (B, N, 3) into overlapping groups around farthest point samples.

        Raises:
            ValueError: If there are fewer points than a group has.
        """
        rows = farthest_point_sampling(points, self.shape.groups, skip_near_origin=True)
        centres = gather_rows(points, rows)
        members = nearest_neighbours(centres, points, self.shape.group_size)
        return Patches(rows, centres, gather_rows(points, members) - centres.unsqueeze(2))

    def states(
        self, tokens: torch.Tensor, centres: torch.Tensor, *, stop_gradient: bool = False
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield the global tokens (B, 3, C) and the patch tokens (B, G, C) after each block.

        The position code is added again before every block and accumulates.

        Args:
            tokens: (B, G, C) from the patch encoder.
            centres: (B, G, 3) positions of the patches.
            stop_gradient: Whether losses of the global tokens leave the patches as they are, as in
                pre-training.
        """
        batch = len(tokens)
        world = torch.cat([self.cls_token, self.img_token, self.text_token], 1)
        world_code = torch.cat([self.cls_pos, self.img_pos, self.text_pos], 1)
        world = world.expand(batch, -1, -1)
        code = self.pos_embed(centres)
        for block in self.blocks["blocks"].children():
            world, tokens = block(world + world_code, tokens + code, stop_gradient)
            yield world, tokens

    def forward(self, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Encode clouds (B, N, 3) to normalised global (B, 3, C) and patch tokens (B, G, C).

        Raises:
            ValueError: If there are fewer points than a group has.
        """
        patches = self.group(points)
        return self.encode(self.encoder(patches.relative), patches.centres)

    def encode(
        self, tokens: torch.Tensor, centres: torch.Tensor, *, stop_gradient: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the tokens after the last block, normalised; arguments as :meth:`states`."""
        *_, (world, patches) = self.states(tokens, centres, stop_gradient=stop_gradient)
        return self.norm(world), self.norm(patches)


class ReConBlock(ResidualBlock):
    """One block of two streams.

    Unlike in a ViT, the normalised tokens replace the state: a branch is added to the normalised
    tokens, not to what they were before.
    """

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.norm1_contrast = nn.LayerNorm(width)
        self.norm2_contrast = nn.LayerNorm(width)
        self.attn = Attention(width, heads)
        self.attn_contrast = CrossAttention(width, heads)
        self.mlp = Mlp(width, 4 * width)
        self.mlp_contrast = Mlp(width, 4 * width)

    def branches(self) -> list[nn.Module]:
        """Return attention and MLP of both streams."""
        return [self.attn, self.attn_contrast, self.mlp, self.mlp_contrast]

    def forward(
        self, world: torch.Tensor, patches: torch.Tensor, stop_gradient: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Update the global tokens (B, 3, C) and the patch tokens (B, G, C)."""
        world, patches = self.norm1_contrast(world), self.norm1(patches)
        others = patches.detach() if stop_gradient else patches
        world = world + self.attn_contrast(world, others)
        patches = patches + self.attn(patches)
        world, patches = self.norm2_contrast(world), self.norm2(patches)
        return world + self.mlp_contrast(world), patches + self.mlp(patches)


class CrossAttention(nn.Module):
    """Multi-head attention of some tokens over others."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(width, width, bias=False)
        self.kv = nn.Linear(width, 2 * width, bias=False)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        """Let tokens (B, T, C) attend to ``others`` (B, S, C): (B, T, C)."""
        query = split_heads(self.q(tokens), self.heads)
        key, value = (split_heads(x, self.heads) for x in self.kv(others).chunk(2, -1))
        return self.proj(attend(query, key, value))


def _token(width: int) -> nn.Parameter:
    return nn.Parameter(0.02 * torch.randn(1, 1, width))
