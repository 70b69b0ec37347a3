# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which groups of the highest level stay visible: salient ones in the depth images more often."""

from __future__ import annotations

import torch


def draw_order(saliency: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
    """Draw all groups of each cloud one after the other, salient ones likely early.

    Args:
        saliency: (B, G); its softmax is the probability of each group. A teacher's attention is a
            few thousandths everywhere, so the published masking is nearly uniform.
        generator: Random generator on the CPU; None: PyTorch's global one.

    Returns:
        (B, G) int64, the groups in the order in which they were drawn, on the CPU.
    """
    # Saliency may differ so much that a weight is zero, but every group has to be drawn.
    weights = sampling_weights(saliency).double().cpu().clamp_min(1e-30)
    return torch.multinomial(weights, weights.shape[1], generator=generator)


def sampling_weights(saliency: torch.Tensor) -> torch.Tensor:
    """Return (B, G) the probability of each group to be drawn first."""
    return saliency.float().softmax(1)


def visible_groups(order: torch.Tensor, ratio: float) -> torch.Tensor:
    """Let all but int(ratio G) groups be visible, those that were drawn first.

    Args:
        order: (B, G) as :func:`draw_order` returns it.
        ratio: Share of the groups that is masked.

    Returns:
        (B, G) bool.

    Raises:
        ValueError: If no group would be masked or none visible.
    """
    groups = order.shape[1]
    masked = int(ratio * groups)
    if not 1 <= masked < groups:
        raise ValueError(
            f"mask_ratio is {ratio:g} of {groups} groups, expected a share that masks at least one"
            " and leaves at least one visible"
        )
    visible = torch.zeros_like(order, dtype=torch.bool)
    return visible.scatter(1, order[:, : groups - masked], True)
