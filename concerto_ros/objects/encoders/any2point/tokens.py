# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Tokens of Any2Point: a parametric Point-NN (Zhang et al., CVPR 2023) of three stages."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn

from concerto_ros.objects.encoders.shared.sampling import (
    farthest_point_sampling,
    gather_rows,
    nearest_neighbours,
)

#: Centres that each stage keeps of the one before.
CENTRES = (512, 256, 128)

#: Residual layers of each stage.
LAYERS = (2, 1, 1)

#: The Fourier code of a relative position r holds angles GAIN r / BASE^(j / frequencies).
GAIN, BASE = 100.0, 1000.0


class TokenEmbedding(nn.Module):
    """Points (B, N >= 512, 3) to 128 centres with a vector of 8 ``point_width`` each.

    Args:
        point_width: Channels of a point.
        last_hidden: Hidden width of the last stage.
        neighbours: Points around each centre.
        own_scale: Whether relative positions are divided, axis by axis, by the greatest of their
            own neighbourhood; else all by the standard deviation of all of them over the whole
            batch.
    """

    def __init__(self, point_width: int, last_hidden: int, neighbours: int, own_scale: bool):
        super().__init__()
        self.neighbours = neighbours
        self.own_scale = own_scale
        self.raw_point_embed = nn.ModuleDict(
            {
                "net": nn.Sequential(
                    nn.Conv1d(3, point_width, 1, bias=False),
                    nn.BatchNorm1d(point_width),
                    nn.ReLU(),
                )
            }
        )
        self.LGA_list = nn.ModuleList()
        for stage, layers in enumerate(LAYERS):
            width = point_width * 2 ** (stage + 1)
            hidden = last_hidden if stage == len(LAYERS) - 1 else width // 2
            self.LGA_list.append(
                nn.ModuleDict(
                    {"linear2": nn.Sequential(*(Residual(width, hidden) for _ in range(layers)))}
                )
            )

    def forward(self, points: torch.Tensor, per_object: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute centres (B, 128, 3) and tokens (B, 128, C).

        Args:
            points: (B, N >= 512, 3).
            per_object: Whether the spread of relative positions is taken cloud by cloud.
        """
        feat = self.raw_point_embed["net"](points.transpose(1, 2)).transpose(1, 2)
        rows = farthest_point_sampling(points, CENTRES[0], skip_near_origin=True)
        for count, stage in zip(CENTRES, self.LGA_list, strict=True):
            # Points of a later stage are in the order of their sampling, and a shorter sampling
            # is the beginning of a longer one.
            rows = rows[:, :count]
            centres, own = gather_rows(points, rows), gather_rows(feat, rows)
            index = nearest_neighbours(centres, points, self.neighbours)
            relative = gather_rows(points, index) - centres.unsqueeze(2)
            around = gather_rows(feat, index)
            joined = torch.cat([around, own.unsqueeze(2).expand_as(around)], -1)
            scaled = by_extent(relative) if self.own_scale else by_spread(relative, per_object)
            joined = joined + fourier_code(scaled, joined.shape[-1])
            feat = (
                cast(nn.ModuleDict, stage)["linear2"](joined.permute(0, 3, 1, 2))
                .amax(3)
                .transpose(1, 2)
            )
            points = centres
            rows = torch.arange(count, device=points.device).expand(len(points), -1)
        return points, feat


class Residual(nn.Module):
    """A residual pointwise bottleneck."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.net1 = nn.Sequential(nn.Conv2d(width, hidden, 1), nn.BatchNorm2d(hidden), nn.ReLU())
        self.net2 = nn.Sequential(nn.Conv2d(hidden, width, 1), nn.BatchNorm2d(width))

    def forward(self, feat: torch.Tensor) -> torch.Tensor:
        """Apply to features (B, C, G, K)."""
        return nn.functional.relu(feat + self.net2(self.net1(feat)))


def by_extent(relative: torch.Tensor) -> torch.Tensor:
    """Scale relative positions (B, G, K, 3) to -1..1 on each axis of each neighbourhood.

    Where a neighbourhood is flat along an axis the published code divides zero by zero; here the
    relative positions along that axis are then zero.
    """
    extent = relative.abs().amax(2, keepdim=True)
    return relative / torch.where(extent > 0, extent, 1.0)


def by_spread(relative: torch.Tensor, per_object: bool) -> torch.Tensor:
    """Divide relative positions (B, G, K, 3) by the standard deviation of all their numbers.

    One for the whole batch as published, one for each cloud with ``per_object``.
    """
    spread = relative.flatten(1).std(1) if per_object else relative.std()
    return relative / (spread.reshape(-1, 1, 1, 1) + 1e-5)


def fourier_code(relative: torch.Tensor, width: int) -> torch.Tensor:
    """Encode (..., 3) as (..., width): for each axis, sines then cosines of width / 6 angles."""
    frequencies = width // 6
    exponent = torch.arange(frequencies, device=relative.device) / frequencies
    angle = GAIN * relative.unsqueeze(-1) / BASE**exponent
    return torch.cat([angle.sin(), angle.cos()], -1).flatten(-2)
