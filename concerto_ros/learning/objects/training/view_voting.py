# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Voting: the mean prediction over several views of the same objects."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from tqdm import tqdm

from concerto_ros.learning.objects.data.object_set import ObjectSet
from concerto_ros.learning.objects.names import VOTE_PASSES
from concerto_ros.learning.objects.training.augment import (
    random_rotation,
    random_scale,
    random_scale_and_shift,
)
from concerto_ros.learning.objects.training.embedding import BATCH_SIZE, as_taken, centred
from concerto_ros.objects.encoders.shared.base import ObjectEncoder
from concerto_ros.objects.encoders.shared.sampling import farthest_point_sampling, gather_rows

#: Farthest points from which a vote draws the model's points, by their number, as published.
CANDIDATES = {1024: 1200, 2048: 2400, 4096: 4800, 8192: 8192}

Augmentation = Callable[[torch.Tensor, torch.Generator], torch.Tensor]

#: Augmentations of published votes by the names that encoders state.
VOTE_CHANGES: dict[str, Augmentation] = {
    "scale": random_scale,
    "turn": random_rotation,
    "scale_shift": random_scale_and_shift,
}


@torch.inference_mode()
def vote_on_objects(
    encoder: ObjectEncoder,
    objects: ObjectSet,
    change: str | None,
    *,
    passes: int = VOTE_PASSES,
    seed: int = 0,
    device: torch.device | str = "cpu",
    progress: bool = False,
) -> np.ndarray:
    """Classify a data set by one round of the published vote: (S, classes) float32 logits.

    Args:
        encoder: With a head.
        objects: The data set.
        change: A key of :data:`VOTE_CHANGES`; None: only other points in each pass.
        passes: Number of passes.
        seed: Of all random choices.
        device: Where the encoder runs.
        progress: Whether to show a progress bar.

    Raises:
        ValueError: If objects have fewer points than the encoder takes, or there are no passes.
    """
    if passes < 1:
        raise ValueError(f"passes is {passes}, expected at least 1")
    encoder = encoder.to(device).eval()
    generator = torch.Generator().manual_seed(seed)
    augmentation = None if change is None else VOTE_CHANGES[change]
    results = []
    for start in tqdm(range(0, len(objects), BATCH_SIZE), disable=not progress, unit="batch"):
        clouds = torch.from_numpy(objects.points[start : start + BATCH_SIZE]).to(device)
        clouds = centred(clouds, encoder.form)
        logits = vote(encoder, clouds, generator, augmentation=augmentation, passes=passes)
        results.append(logits.float().cpu().numpy())
    return np.concatenate(results)


def vote(
    encoder: ObjectEncoder,
    clouds: torch.Tensor,
    generator: torch.Generator,
    *,
    augmentation: Augmentation | None = None,
    passes: int = VOTE_PASSES,
) -> torch.Tensor:
    """Return (B, classes) logits, the mean over passes: one round of the published vote.

    Each pass draws other points from the P or, if that is fewer, the :data:`CANDIDATES` farthest
    ones, the same rows for the whole batch. ReCon's protocol scales ModelNet40 and turns
    ScanObjectNN's hardest split; I2P-MAE scales and shifts (:data:`VOTE_CHANGES`). Published
    numbers are those of the best of many rounds on the test set itself.

    Args:
        encoder: With a head.
        clouds: (B, P, 3), P at least the number of points that the encoder takes.
        generator: Source of all randomness.
        augmentation: Applied to the points of each pass; None for none.
        passes: Number of passes.

    Raises:
        ValueError: If P is too small.
    """
    candidates = draw_candidates(clouds, encoder)
    total = torch.zeros((), device=clouds.device)
    for _ in range(passes):
        rows = torch.randperm(candidates.shape[1], generator=generator)[: encoder.points]
        drawn = candidates[:, rows.to(clouds.device)]
        if augmentation is not None:
            drawn = augmentation(drawn, generator)
        total = total + encoder.classify(as_taken(drawn, encoder))
    return total / passes


def draw_candidates(clouds: torch.Tensor, encoder: ObjectEncoder) -> torch.Tensor:
    """Return (B, C, 3) farthest points of (B, P, 3) from which an encoder's are drawn.

    Raises:
        ValueError: If P is less than ``points``.
    """
    total, points = clouds.shape[1], encoder.points
    if total < points:
        raise ValueError(f"clouds have {total} points, expected at least {points}")
    count = min(CANDIDATES.get(points, points * 6 // 5), total)
    rows = farthest_point_sampling(clouds, count, skip_near_origin=encoder.form.skip_near_origin)
    return gather_rows(clouds, rows)
