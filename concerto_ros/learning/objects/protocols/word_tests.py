# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Zero-shot on OpenShape's test sets, by clouds, by pictures, and by both together."""

from __future__ import annotations

import numpy as np
import torch
from tqdm import tqdm

from concerto_ros.learning.objects.data.openshape_tests import ColoredShape, WordTest
from concerto_ros.learning.objects.names import EVIDENCE
from concerto_ros.learning.objects.training.scores import RankedAccuracy
from concerto_ros.objects.encoders.mixcon3d.encoder import MixCon3D
from concerto_ros.objects.encoders.shared.preprocess import swap_up, unit_sphere
from concerto_ros.words.vocabulary import cosine_scores

#: Objects of a batch, and pictures of an object, as published.
BATCH_SIZE, VIEWS = 32, 4


@torch.inference_mode()
def score_by_words(
    encoder: MixCon3D,
    test: WordTest,
    *,
    evidence: str = "points",
    seed: int = 0,
    device: torch.device | str = "cpu",
    progress: bool = False,
) -> RankedAccuracy:
    """Classify the objects of a test set by the vectors of its classes' names.

    Points, where an object has another number than the encoder takes, and pictures are drawn at
    random, by the seed and the object.

    Args:
        encoder: In evaluation mode, on the device.
        test: The test set.
        evidence: One of :data:`EVIDENCE`; all but the first need a set with pictures.
        seed: Of the random choices.
        device: Where the encoder is.
        progress: Whether to show a progress bar.

    Raises:
        ValueError: If the set is empty or has no pictures, or a file is missing or wrong.
    """
    if evidence not in EVIDENCE:
        raise ValueError(f"evidence is {evidence!r}, expected one of {', '.join(EVIDENCE)}")
    if evidence != "points" and not test.has_images:
        raise ValueError(f"{test.name} has no pictures, which evidence {evidence!r} needs")
    check_words(encoder, test)
    words = encoder.project_words(test.words.vectors.to(device))
    scores = []
    for start in tqdm(range(0, len(test), BATCH_SIZE), disable=not progress, unit="batch"):
        rows = range(start, min(start + BATCH_SIZE, len(test)))
        clouds, images = [], []
        for row in rows:
            shape, rng = test.read(row), np.random.default_rng((seed, row))
            clouds.append(_cloud(shape, encoder.points, rng))
            if evidence != "points" and shape.images is not None:
                drawn = shape.images[rng.integers(len(shape.images), size=VIEWS)]
                images.append(torch.from_numpy(drawn))
        vectors = encoder.embed(torch.stack(clouds).to(device))
        pictures = torch.stack(images).to(device) if images else None
        scores.append(_scores(encoder, vectors, pictures, words, evidence).cpu().numpy())
    return RankedAccuracy.of(np.concatenate(scores), test.labels)


def check_words(encoder: MixCon3D, test: WordTest) -> None:
    """Check that the words of a test set are of the text encoder that the model knows.

    Raises:
        ValueError: If their vectors have another width.
    """
    if test.words.width != encoder.feature_channels:
        raise ValueError(
            f"{test.name}: the vectors of the names have {test.words.width} channels, expected"
            f" {encoder.feature_channels}: they come from another text encoder"
        )


def _scores(
    encoder: MixCon3D,
    clouds: torch.Tensor,
    images: torch.Tensor | None,
    words: torch.Tensor,
    evidence: str,
) -> torch.Tensor:
    """Return (B, K) scores of clouds (B, D) and pictures (B, V, D) with projected words (K, D)."""
    if images is None:
        return cosine_scores(clouds, words)
    views = encoder.project_views(images)
    if evidence == "images":
        return cosine_scores(views, words)
    if evidence == "merged":
        return cosine_scores(clouds, words) + cosine_scores(views, words)
    return cosine_scores(encoder.fuse(clouds, views), words)


def _cloud(shape: ColoredShape, count: int, rng: np.random.Generator) -> torch.Tensor:
    """Return (count, 6): all points in their order, or random ones where there are others."""
    total = len(shape.points)
    rows = np.arange(total)
    if total != count:
        rows = rng.choice(total, count, replace=total < count)
    points = unit_sphere(swap_up(torch.from_numpy(shape.points[rows])))
    return torch.cat([points, torch.from_numpy(shape.colors[rows])], 1)
