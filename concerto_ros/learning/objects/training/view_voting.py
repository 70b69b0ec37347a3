# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Voting: the mean prediction over several views of the same objects."""

from __future__ import annotations

from collections.abc import Callable

import torch

from concerto_ros.objects.encoders.shared.base import ObjectEncoder
from concerto_ros.objects.encoders.shared.sampling import farthest_point_sampling, gather_rows

#: Farthest points from which a vote draws the model's points, by their number, as published.
CANDIDATES = {1024: 1200, 2048: 2400, 4096: 4800, 8192: 8192}

#: Passes of one vote, as published.
PASSES = 10

Augmentation = Callable[[torch.Tensor, torch.Generator], torch.Tensor]


def vote(
    encoder: ObjectEncoder,
    clouds: torch.Tensor,
    generator: torch.Generator,
    *,
    augmentation: Augmentation | None = None,
    passes: int = PASSES,
) -> torch.Tensor:
    """Return (B, classes) logits, the mean over passes: one round of the published vote.

    Each pass draws other points from the P or, if that is fewer, the :data:`CANDIDATES` farthest
    ones, the same rows for the whole batch. ReCon's protocol scales ModelNet40 (``random_scale``)
    and turns ScanObjectNN's hardest split (``random_rotation``); I2P-MAE scales and shifts:
    :mod:`concerto_ros.learning.objects.training.augment`. Published numbers are those of the best
    of many rounds on the test set itself.

    Args:
        encoder: With a head.
        clouds: (B, P, 3), P at least the number of points that the encoder takes.
        generator: Source of all randomness.
        augmentation: Applied to the points of each pass; None for none.
        passes: Number of passes.

    Raises:
        ValueError: If P is too small.
    """
    candidates = draw_candidates(clouds, encoder.points)
    total = torch.zeros(())
    for _ in range(passes):
        rows = torch.randperm(candidates.shape[1], generator=generator)[: encoder.points]
        drawn = candidates[:, rows.to(clouds.device)]
        if augmentation is not None:
            drawn = augmentation(drawn, generator)
        total = total + encoder.classify(drawn)
    return total / passes


def draw_candidates(clouds: torch.Tensor, points: int) -> torch.Tensor:
    """Return (B, C, 3) farthest points of (B, P, 3) from which ``points`` are drawn.

    Raises:
        ValueError: If P is less than ``points``.
    """
    total = clouds.shape[1]
    if total < points:
        raise ValueError(f"clouds have {total} points, expected at least {points}")
    count = min(CANDIDATES.get(points, points * 6 // 5), total)
    rows = farthest_point_sampling(clouds, count, skip_near_origin=True)
    return gather_rows(clouds, rows)
