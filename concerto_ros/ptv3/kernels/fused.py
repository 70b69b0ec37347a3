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
    PaddedLevel,
    PaddedPatches,
    PoolingArrays,
    pad_level,
    pad_patches,
)

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


@dataclass(frozen=True)
class Fused:
    """The steps, by default as PyTorch computes them.

    Attributes:
        add_norm: as :func:`add_norm`.
        pad_level: as :func:`~concerto_ros.ptv3.kernels.level_padding.pad_level`.
        pad_patches: as :func:`~concerto_ros.ptv3.kernels.level_padding.pad_patches`.
    """

    add_norm: AddNorm = add_norm
    pad_level: Callable[
        [
            torch.Tensor,
            torch.Tensor,
            torch.Tensor,
            torch.Tensor,
            PoolingArrays | None,
            int,
        ],
        PaddedLevel,
    ] = pad_level
    pad_patches: Callable[[torch.Tensor, int, int], PaddedPatches] = pad_patches


#: Everything by PyTorch's operators.
PLAIN = Fused()
