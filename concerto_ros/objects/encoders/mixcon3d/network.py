# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The point encoder of OpenShape (Liu et al., NeurIPS 2023), which MixCon3D reuses.

One set abstraction (PointNet++) turns balls of points into tokens, a transformer with a class
token follows. Parameter names are those of the official files.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from concerto_ros.objects.encoders.shared.layers import attend, split_heads
from concerto_ros.objects.encoders.shared.sampling import (
    ball_query,
    farthest_point_sampling,
    gather_rows,
)
from concerto_ros.objects.encoders.shared.weights import State, count_blocks

#: Channels of a point: x, y, z, red, green, blue.
POINT_CHANNELS = 6

#: Widths of the first layers that a ball goes through.
BALL_WIDTHS = (64, 64)


@dataclass(frozen=True)
class Sizes:
    """Sizes of the point encoder.

    Attributes:
        width: Channels of the tokens.
        blocks: Number of transformer blocks.
        hidden: Hidden width of each block.
        ball_width: Channels of a ball.
    """

    width: int
    blocks: int
    hidden: int
    ball_width: int

    @classmethod
    def of_state(cls, state: State) -> Sizes:
        """Read the sizes from names and shapes of a state dict."""
        return cls(
            state["ppat.cls_token"].shape[0],
            count_blocks(state, "ppat.transformer.layers."),
            state["ppat.transformer.layers.0.1.fn.net.0.weight"].shape[0],
            state["ppat.sa.mlp_convs.2.weight"].shape[0],
        )


@dataclass(frozen=True)
class Balls:
    """How tokens are made; state dicts do not store it.

    Attributes:
        count: Number of tokens.
        radius: Of the balls, in the unit of the cloud.
        points: Members of each ball.
    """

    count: int
    radius: float
    points: int


@dataclass(frozen=True, eq=False)
class Trace:
    """Intermediate results from the cloud to the class token.

    Attributes:
        rows: (B, G) int64, rows of the centres in the cloud.
        members: (B, G, K) int64, rows of the members of each ball.
        balls: (B, G, ball_width), pooled features of the balls.
        lifted: (B, G, C), tokens before the transformer.
        encoded: (B, 1 + G, C), tokens after the transformer, the class token first.
    """

    rows: torch.Tensor
    members: torch.Tensor
    balls: torch.Tensor
    lifted: torch.Tensor
    encoded: torch.Tensor


class PointPatchTransformer(nn.Module):
    """Coloured clouds to one vector each."""

    def __init__(self, sizes: Sizes, balls: Balls, heads: int, head_width: int):
        super().__init__()
        self.balls = balls
        self.cls_token = nn.Parameter(torch.randn(sizes.width))
        widths = (3 + POINT_CHANNELS, *BALL_WIDTHS, sizes.ball_width)
        self.sa = nn.ModuleDict(
            {
                "mlp_convs": nn.ModuleList(
                    nn.Conv2d(before, after, 1)
                    for before, after in zip(widths[:-1], widths[1:], strict=True)
                ),
                "mlp_bns": nn.ModuleList(nn.BatchNorm2d(width) for width in widths[1:]),
            }
        )
        self.lift = nn.ModuleDict(
            {
                "0": nn.Conv1d(3 + sizes.ball_width, sizes.width, 1),
                "2": nn.LayerNorm(sizes.width),
            }
        )
        layers = nn.ModuleList(
            nn.ModuleList(
                [
                    Residual(sizes.width, Attention(sizes.width, heads, head_width)),
                    Residual(sizes.width, FeedForward(sizes.width, sizes.hidden)),
                ]
            )
            for _ in range(sizes.blocks)
        )
        self.transformer = nn.ModuleDict({"layers": layers})

    def forward(self, cloud: torch.Tensor) -> torch.Tensor:
        """Encode clouds (B, N, 6) to class tokens (B, C), not normalised."""
        return self.trace(cloud).encoded[:, 0]

    def trace(self, cloud: torch.Tensor) -> Trace:
        """Compute all intermediate results up to the class token of clouds (B, N, 6)."""
        points = cloud[..., :3]
        rows = farthest_point_sampling(points, self.balls.count, skip_near_origin=False)
        centres = gather_rows(points, rows)
        members = ball_query(centres, points, self.balls.radius, self.balls.points)
        relative = gather_rows(points, members) - centres.unsqueeze(2)
        feat = torch.cat([relative, gather_rows(cloud, members)], -1).permute(0, 3, 1, 2)
        convs, norms = self.sa["mlp_convs"].children(), self.sa["mlp_bns"].children()
        for layer, norm in zip(convs, norms, strict=True):
            feat = nn.functional.relu(norm(layer(feat)))
        balls = feat.amax(3).transpose(1, 2)
        joined = torch.cat([centres, balls], -1).transpose(1, 2)
        lifted = self.lift["2"](self.lift["0"](joined).transpose(1, 2))
        tokens = torch.cat([self.cls_token.expand(len(cloud), 1, -1), lifted], 1)
        for layer in self.transformer["layers"].children():
            attention, feed_forward = layer.children()
            tokens = feed_forward(attention(tokens))
        return Trace(rows, members, balls, lifted, tokens)


class Residual(nn.Module):
    """Pre-norm residual: x + layer(norm(x))."""

    def __init__(self, width: int, layer: nn.Module):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.fn = layer

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Apply to tokens (B, T, C)."""
        return tokens + self.fn(self.norm(tokens))


class Attention(nn.Module):
    """Multi-head self-attention; a single head as wide as the tokens has no output layer."""

    def __init__(self, width: int, heads: int, head_width: int):
        super().__init__()
        self.heads = heads
        inner = heads * head_width
        self.to_qkv = nn.Linear(width, 3 * inner, bias=False)
        plain = heads == 1 and head_width == width
        self.to_out = nn.Identity() if plain else nn.Sequential(nn.Linear(inner, width))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Attend among tokens (B, T, C) -> (B, T, C)."""
        query, key, value = (split_heads(x, self.heads) for x in self.to_qkv(tokens).chunk(3, -1))
        return self.to_out(attend(query, key, value))


class FeedForward(nn.Module):
    """Linear, GELU, Linear; index 2 stands for the published dropout, to keep parameter names."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(width, hidden), nn.GELU(), nn.Identity(), nn.Linear(hidden, width)
        )

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Apply to tokens (B, T, C)."""
        return self.net(tokens)
