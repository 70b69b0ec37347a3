# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Part segmentation scores on ShapeNetPart (Yi et al., SIGGRAPH Asia 2016)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Categories in alphabetical order and the labels of their parts.
PARTS = {
    "Airplane": range(0, 4),
    "Bag": range(4, 6),
    "Cap": range(6, 8),
    "Car": range(8, 12),
    "Chair": range(12, 16),
    "Earphone": range(16, 19),
    "Guitar": range(19, 22),
    "Knife": range(22, 24),
    "Lamp": range(24, 28),
    "Laptop": range(28, 30),
    "Motorbike": range(30, 36),
    "Mug": range(36, 38),
    "Pistol": range(38, 41),
    "Rocket": range(41, 44),
    "Skateboard": range(44, 47),
    "Table": range(47, 50),
}


@dataclass(frozen=True)
class PartScore:
    """Scores in 0..1.

    Attributes:
        accuracy: Share of points that are right.
        instance_iou: Mean over objects of the mean IoU over their parts.
        category_iou: Mean over the categories that occur of the mean over their objects.
    """

    accuracy: float
    instance_iou: float
    category_iou: float


def category_of(label: int) -> str:
    """Return the category that a part label 0..49 belongs to.

    Raises:
        ValueError: If the label is not in 0..49.
    """
    for name, labels in PARTS.items():
        if label in labels:
            return name
    raise ValueError(f"part label is {label}, expected 0 to 49")


def score_parts(scores: np.ndarray, targets: np.ndarray) -> PartScore:
    """Score by the published protocol.

    The category of an object is that of its first target, only its parts compete, and a part that
    is neither there nor guessed counts 1.

    Args:
        scores: (S, N, 50), of S objects of N points each.
        targets: (S, N) part labels.
    """
    right = 0
    by_category: dict[str, list[float]] = {}
    for score, target in zip(scores, targets, strict=True):
        category = category_of(int(target[0]))
        labels = np.array(PARTS[category])
        guess = labels[score[:, labels].argmax(1)]
        right += int(np.count_nonzero(guess == target))
        by_category.setdefault(category, []).append(_mean_iou(guess, target, labels))
    every = [iou for ious in by_category.values() for iou in ious]
    return PartScore(
        right / targets.size,
        float(np.mean(every)),
        float(np.mean([np.mean(ious) for ious in by_category.values()])),
    )


def _mean_iou(guess: np.ndarray, target: np.ndarray, labels: np.ndarray) -> float:
    guessed, true = guess[:, None] == labels, target[:, None] == labels
    either = np.count_nonzero(guessed | true, axis=0)
    both = np.count_nonzero(guessed & true, axis=0)
    return float(np.where(either == 0, 1.0, both / np.maximum(either, 1)).mean())
