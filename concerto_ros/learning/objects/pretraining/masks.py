# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which patches of a cloud are hidden from the encoder."""

from __future__ import annotations

import torch

from concerto_ros.learning.objects.names import MASKS


def draw_mask(
    centres: torch.Tensor, kind: str, ratio: float, generator: torch.Generator | None = None
) -> torch.Tensor:
    """Draw a mask (B, G) bool, True for int(ratio G) hidden patches of each cloud.

    Args:
        centres: (B, G, 3) positions of the patches.
        kind: One of :data:`~concerto_ros.learning.objects.names.MASKS`.
        ratio: Share of the patches that is hidden.
        generator: Random generator on the CPU; None: PyTorch's global one.

    Raises:
        ValueError: If the kind is unknown, or no patch would be hidden or none be visible.
    """
    batch, groups, _ = centres.shape
    check_ratio(ratio, groups)
    if kind == "random":
        return random_mask(batch, groups, ratio, generator).to(centres.device)
    if kind == "block":
        return block_mask(centres, ratio, generator)
    raise ValueError(f"mask is {kind!r}, expected one of {', '.join(MASKS)}")


def check_ratio(ratio: float, groups: int) -> None:
    """Check that some of ``groups`` patches are hidden and some are not.

    Raises:
        ValueError: If all or none are.
    """
    if not 0 < ratio < 1 or not 1 <= int(ratio * groups) < groups:
        raise ValueError(
            f"the mask ratio is {ratio:g} of {groups} patches, expected a share that hides at"
            " least one of them and leaves at least one"
        )


def random_mask(
    batch: int, groups: int, ratio: float, generator: torch.Generator | None = None
) -> torch.Tensor:
    """Draw a mask (batch, groups) bool, True for int(ratio groups) of each row, anywhere."""
    order = torch.rand(batch, groups, generator=generator).argsort(1)
    return order < int(ratio * groups)


def block_mask(
    centres: torch.Tensor, ratio: float, generator: torch.Generator | None = None
) -> torch.Tensor:
    """Draw a mask (B, G) bool of a random patch and its nearest, int(ratio G) in all (Point-MAE).

    Args:
        centres: (B, G, 3) positions of the patches.
        ratio: Share of the patches that is hidden.
        generator: Random generator on the CPU; None: PyTorch's global one.
    """
    batch, groups, _ = centres.shape
    first = torch.randint(groups, (batch,), generator=generator).to(centres.device)
    origin = centres[torch.arange(batch, device=centres.device), first].unsqueeze(1)
    nearest = (centres - origin).square().sum(-1).argsort(1)[:, : int(ratio * groups)]
    mask = torch.zeros(batch, groups, dtype=torch.bool, device=centres.device)
    return mask.scatter(1, nearest, True)
