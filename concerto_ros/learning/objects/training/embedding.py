# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Embedding and classification of whole data sets by an object encoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from concerto_ros.learning.objects.data.object_set import ObjectSet
from concerto_ros.objects.encoders.shared.base import ObjectEncoder
from concerto_ros.objects.encoders.shared.preprocess import (
    NO_COLOR,
    InputForm,
    swap_up,
    unit_sphere,
)
from concerto_ros.objects.encoders.shared.sampling import farthest_point_sampling, gather_rows

#: Objects of a batch at evaluation, as published; encoders that are not ``per_object`` depend on
#: it.
BATCH_SIZE = 64


def embed_objects(
    encoder: ObjectEncoder,
    objects: ObjectSet,
    *,
    first: bool = False,
    device: torch.device | str = "cpu",
    progress: bool = False,
) -> np.ndarray:
    """Embed a data set with ``encoder.embed``: (S, feature_channels) float32.

    Args:
        encoder: The encoder.
        objects: The data set.
        first: Take the first points, see :func:`draw`.
        device: Where the encoder runs.
        progress: Whether to show a progress bar.
    """
    return _run(encoder, encoder.embed, objects, first, device, progress)


def classify_objects(
    encoder: ObjectEncoder,
    objects: ObjectSet,
    *,
    device: torch.device | str = "cpu",
    progress: bool = False,
) -> np.ndarray:
    """Classify a data set: (S, classes) float32 logits.

    Raises:
        ValueError: If the encoder has no head or the set is empty.
    """
    return _run(encoder, encoder.classify, objects, False, device, progress)


def embed_words(
    encoder: ObjectEncoder,
    objects: ObjectSet,
    *,
    options: Mapping[str, Any] | None = None,
    device: torch.device | str = "cpu",
    progress: bool = False,
) -> np.ndarray:
    """Embed a data set with ``encoder.embed_words``: (S, D) float32.

    Args:
        encoder: The encoder.
        objects: The data set.
        options: Keywords of that method, see ``encoder.word_options``.
        device: Where the encoder runs.
        progress: Whether to show a progress bar.

    Raises:
        ValueError: If the encoder was not trained with words.
    """
    function = partial(encoder.embed_words, **(options or {}))
    return _run(encoder, function, objects, False, device, progress)


def draw(
    points: torch.Tensor, form: InputForm, count: int, *, first: bool = False
) -> torch.Tensor:
    """Draw (B, count, 3) points of clouds (B, P, 3) with y up.

    These are the farthest or the ``first`` ones. Fewer points are repeated cyclically. If there
    are exactly ``count``, the farthest are sampled all the same, as published: those near the
    origin are replaced by copies of others.

    Args:
        points: (B, P, 3).
        form: The input that the encoder takes.
        count: Points to draw.
        first: Take the first points instead of the farthest.
    """
    total = points.shape[1]
    if total < count:
        return points[:, torch.arange(count, device=points.device) % total]
    if first or not form.farthest:
        return points[:, :count]
    rows = farthest_point_sampling(points, count, skip_near_origin=form.skip_near_origin)
    return gather_rows(points, rows)


def centred(points: torch.Tensor, form: InputForm) -> torch.Tensor:
    """Move clouds (B, n, 3) to mean zero if the encoder takes them so.

    As published, evaluation centres the points that were drawn, training all points before it
    draws.
    """
    return points - points.mean(1, keepdim=True) if form.centred else points


def as_taken(points: torch.Tensor, encoder: ObjectEncoder) -> torch.Tensor:
    """Convert :func:`centred` clouds (B, n, 3) with y up to an encoder's input (B, n, 3 or 6)."""
    form = encoder.form
    if form.swapped:
        points = swap_up(unit_sphere(points))
    if form.color:
        points = torch.cat([points, torch.full_like(points, NO_COLOR)], -1)
    return points


@torch.inference_mode()
def _run(
    encoder: ObjectEncoder,
    function: Callable[[torch.Tensor], torch.Tensor],
    objects: ObjectSet,
    first: bool,
    device: torch.device | str,
    progress: bool,
) -> np.ndarray:
    if not len(objects):
        raise ValueError(f"{objects.name} has no objects, expected at least one")
    encoder = encoder.to(device).eval()
    results = []
    for start in tqdm(range(0, len(objects), BATCH_SIZE), disable=not progress, unit="batch"):
        points = torch.from_numpy(objects.points[start : start + BATCH_SIZE]).to(device)
        batch = draw(points, encoder.form, encoder.points, first=first or objects.prepared)
        prepared = as_taken(centred(batch, encoder.form), encoder)
        results.append(function(prepared).float().cpu().numpy())
    return np.concatenate(results)
