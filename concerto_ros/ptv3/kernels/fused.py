# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Steps of an encoder that a GPU computes in one kernel each, and what they are in PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import nn

from concerto_ros.ptv3.kernels.level_padding import (
    FinerLevel,
    PaddedLevel,
    PaddedPatches,
    pad_level,
    pad_patches,
)
from concerto_ros.ptv3.kernels.pooling import CoarserVoxels, LevelPooling, coarsen

#: As :func:`add_norm`.
AddNorm: TypeAlias = Callable[
    [torch.Tensor, torch.Tensor, nn.LayerNorm, "nn.LayerNorm | None"],
    tuple[torch.Tensor, torch.Tensor],
]


def add_norm(
    feat: torch.Tensor,
    branch: torch.Tensor,
    norm: nn.LayerNorm,
    branch_norm: nn.LayerNorm | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Add a branch to the residual stream and normalise the sum, in float32.

    Args:
        feat: (N, C) float32, the residual stream.
        branch: (N, C) of any floating-point type.
        norm: of the sum.
        branch_norm: of the branch before it is added; None: it is added as it is.

    Returns:
        (N, C) float32, the sum, and (N, C), the normalised sum; its type, float32 or that of the
            weights of ``norm``, is for the next layer to convert.
    """
    total = feat + (branch if branch_norm is None else branch_norm(branch))
    return total, norm(total)


def pool(
    values: torch.Tensor, pooling: LevelPooling, norm: nn.Module, act: nn.Module
) -> torch.Tensor:
    """Take the maximum of each channel within each coarser voxel, normalise, and activate.

    Args:
        values: (N_fine, C) of any floating-point type.
        pooling: of the N_fine voxels to N.
        norm: maps (N, C) to (N, C) float32.
        act: a GELU.

    Returns:
        (N, C) float32.
    """
    return act(norm(pooling.reduce(values, "max")))


def rotate(
    heads: torch.Tensor, position: torch.Tensor, order: torch.Tensor, inv_freq: torch.Tensor
) -> torch.Tensor:
    """Rotate queries and keys by the angles of their positions (Su et al., 2021), in float32.

    The channels of a head are divided into three thirds for x, y and z; each third into two halves
    that are rotated together by ``position * inv_freq``.

    Args:
        heads: (N, 3, H, D), queries, keys and values; not to be used afterwards.
        position: (M, 3) coordinates or indices of voxels.
        order: (N,) int64, row of ``position`` of each row of ``heads``.
        inv_freq: (D / 6,) float32.

    Returns:
        (N, 3, H, D) in the type of ``heads``, the values as they were.
    """
    angle = position.index_select(0, order)[:, :, None] * inv_freq
    angle = angle[:, None, None, :, None]
    first, second = heads[:, :2].unflatten(-1, (3, 2, -1)).float().split(1, dim=-2)
    cos, sin = angle.cos(), angle.sin()
    rotated = torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-2)
    return torch.cat([rotated.flatten(-3).to(heads.dtype), heads[:, 2:]], dim=1)


@dataclass(frozen=True)
class Fused:
    """The steps, by default as PyTorch computes them.

    Attributes:
        add_norm: as :func:`add_norm`.
        pool: as :func:`pool`.
        rotate: as :func:`rotate`.
        coarsen: as :func:`~concerto_ros.ptv3.kernels.pooling.coarsen`.
        pad_level: as :func:`~concerto_ros.ptv3.kernels.level_padding.pad_level`.
        pad_patches: as :func:`~concerto_ros.ptv3.kernels.level_padding.pad_patches`.
    """

    add_norm: AddNorm = add_norm
    pool: Callable[[torch.Tensor, LevelPooling, nn.Module, nn.Module], torch.Tensor] = pool
    rotate: Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor] = (
        rotate
    )
    coarsen: Callable[
        [torch.Tensor, torch.Tensor, torch.Tensor, int, list[int], int], CoarserVoxels
    ] = coarsen
    pad_level: Callable[
        [
            torch.Tensor,
            torch.Tensor,
            torch.Tensor,
            torch.Tensor,
            FinerLevel | None,
            int,
        ],
        PaddedLevel,
    ] = pad_level
    pad_patches: Callable[[torch.Tensor, int, int], PaddedPatches] = pad_patches


#: Everything by PyTorch's operators.
PLAIN = Fused()
