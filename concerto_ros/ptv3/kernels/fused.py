# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Steps of an encoder that are one kernel each where there are kernels, and those of PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import torch
from torch import nn

from concerto_ros.ptv3.cpu.onednn import Linear, in_recurring_rows, usable
from concerto_ros.ptv3.kernels.level_padding import (
    FinerLevel,
    PaddedLevel,
    PaddedPatches,
    pad_level,
    pad_patches,
)
from concerto_ros.ptv3.kernels.pooling import CoarserVoxels, LevelPooling, coarsen

#: ``attend(heads, queries, keys, mask, scale, mixed)`` attends within patches, of rows where they
#: lie: ``heads`` (N, 3, H, D) are queries, keys and values of all rows; ``queries`` (P, Q) and
#: ``keys`` (P, K) int64 are the rows of the patches; ``mask`` (P, 1, 1, K) bool is False where a
#: key is padding, None where no key is; ``scale`` is a factor of the scores. It fills the rows
#: ``queries`` of ``mixed`` (N, H * D).
Attend: TypeAlias = Callable[
    [torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor | None, float, torch.Tensor], None
]

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


def linear(layer: Linear, feat: torch.Tensor, *, gelu: bool = False) -> torch.Tensor:
    """Apply a linear layer.

    Args:
        layer: maps (N, C_in) to (N, C_out).
        feat: (N, C_in) of any floating-point type.
        gelu: whether a GELU follows.

    Returns:
        (N, C_out) in the type of the weights.
    """
    return layer(feat, gelu=gelu) if gelu else layer(feat)


def mlp(first: Linear, second: Linear, feat: torch.Tensor) -> torch.Tensor:
    """Apply two linear layers with a GELU between, (N, C) to (N, C)."""
    rows = feat
    if usable(feat, first.weight.dtype):
        rows = in_recurring_rows(feat, first.weight.dtype)  # once for both
    return second(first(rows, gelu=True))[: feat.shape[0]]


def attention(feat: torch.Tensor, dtype: torch.dtype) -> Attend | None:
    """Return what attends to rows where they lie, for features in ``dtype``.

    None: PyTorch attends, to rows that are ordered along the curve first.
    """
    return None


class LinearStep(Protocol):
    """As :func:`linear`."""

    def __call__(self, layer: Linear, feat: torch.Tensor, *, gelu: bool = False) -> torch.Tensor:
        """Apply a linear layer."""


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
        linear: as :func:`linear`.
        mlp: as :func:`mlp`.
        attention: as :func:`attention`.
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
    linear: LinearStep = linear
    mlp: Callable[[Linear, Linear, torch.Tensor], torch.Tensor] = mlp
    attention: Callable[[torch.Tensor, torch.dtype], Attend | None] = attention


#: Everything by PyTorch's operators.
PLAIN = Fused()
