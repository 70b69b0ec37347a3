# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Augmentations of clouds with y up, as in the published trainings and votes."""

from __future__ import annotations

import math

import torch

#: Bounds of the scale of an axis and of its shift, in the unit of the clouds.
SCALE = (2 / 3, 3 / 2)
SHIFT = 0.2


def rotate_about_y(points: torch.Tensor, angle: torch.Tensor) -> torch.Tensor:
    """Turn clouds (B, N, 3) by ``angle`` (B,) radians: rows times [c,0,s],[0,1,0],[-s,0,c]."""
    x, y, z = points.unbind(-1)
    cosine = angle.cos().to(points.dtype).unsqueeze(1)
    sine = angle.sin().to(points.dtype).unsqueeze(1)
    return torch.stack([cosine * x - sine * z, y, sine * x + cosine * z], -1)


def scale_and_shift(
    points: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor
) -> torch.Tensor:
    """Scale clouds (B, N, 3) by ``scale`` (B, 3) and add ``shift`` (B, 3), axis by axis."""
    scale, shift = scale.to(points.dtype), shift.to(points.dtype)
    return points * scale.unsqueeze(1) + shift.unsqueeze(1)


def random_rotation(points: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Turn each cloud of (B, N, 3) about y by a random angle."""
    angle = 2 * math.pi * torch.rand(len(points), generator=generator)
    return rotate_about_y(points, angle.to(points.device))


def random_scale(points: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Scale each axis of each cloud of (B, N, 3) by 2/3 to 3/2."""
    return scale_and_shift(points, _uniform(points, SCALE, generator), points.new_zeros(1, 3))


def random_scale_and_shift(points: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Scale each axis of each cloud of (B, N, 3) by 2/3 to 3/2, then shift it by up to 0.2."""
    scale = _uniform(points, SCALE, generator)
    return scale_and_shift(points, scale, _uniform(points, (-SHIFT, SHIFT), generator))


def _uniform(
    points: torch.Tensor, bounds: tuple[float, float], generator: torch.Generator
) -> torch.Tensor:
    low, high = bounds
    numbers = torch.rand(len(points), 3, generator=generator)
    return (low + (high - low) * numbers).to(points.device)
