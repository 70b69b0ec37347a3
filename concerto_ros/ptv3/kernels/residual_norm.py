# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A residual and the layer normalisation of its sum, which a GPU computes in one kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import nn

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
