# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Whole data sets through an object encoder."""

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

#: Objects of a batch at evaluation, as published; what is not ``per_object`` depends on it.
BATCH_SIZE = 64


def embed_objects(
    encoder: ObjectEncoder,
    objects: ObjectSet,
    *,
    first: bool = False,
    device: torch.device | str = "cpu",
    progress: bool = False,
) -> np.ndarray:
    """(S, feature_channels) float32 of ``encoder.embed``.

    Args:
        first: See :func:`draw`.
    """
    return _run(encoder, encoder.embed, objects, first, device, progress)


def classify_objects(
    encoder: ObjectEncoder,
    objects: ObjectSet,
    *,
    device: torch.device | str = "cpu",
    progress: bool = False,
) -> np.ndarray:
    """(S, classes) float32 logits.

    Raises:
        ValueError: Without a head.
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
    """(S, D) float32 of ``encoder.embed_words``.

    Args:
        options: Keywords of that method, see ``encoder.word_options``.

    Raises:
        ValueError: If it knows no words.
    """
    function = partial(encoder.embed_words, **(options or {}))
    return _run(encoder, function, objects, False, device, progress)


def draw(
    points: torch.Tensor, form: InputForm, count: int, *, first: bool = False
) -> torch.Tensor:
    """(B, count, 3) of clouds (B, P, 3) with y up: the farthest points or the ``first`` ones.

    Where there are fewer they come again in turn. Where there are just as many the farthest are
    sampled all the same, as published: those near the origin give way to copies of others.
    """
    total = points.shape[1]
    if total < count:
        return points[:, torch.arange(count, device=points.device) % total]
    if first or not form.farthest:
        return points[:, :count]
    rows = farthest_point_sampling(points, count, skip_near_origin=form.skip_near_origin)
    return gather_rows(points, rows)


def centred(points: torch.Tensor, form: InputForm) -> torch.Tensor:
    """Clouds (B, n, 3) where an encoder takes them: with mean zero, or as they are.

    As published, evaluation moves the points that were drawn, training all that there are before
    it draws.
    """
    return points - points.mean(1, keepdim=True) if form.centred else points


def as_taken(points: torch.Tensor, encoder: ObjectEncoder) -> torch.Tensor:
    """:func:`centred` clouds (B, n, 3) with y up as an encoder takes them: (B, n, 3 or 6)."""
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
        raise ValueError(f"{objects.name} has no objects")
    encoder = encoder.to(device).eval()
    found = []
    for start in tqdm(range(0, len(objects), BATCH_SIZE), disable=not progress, unit="batch"):
        points = torch.from_numpy(objects.points[start : start + BATCH_SIZE]).to(device)
        batch = draw(points, encoder.form, encoder.points, first=first or objects.prepared)
        taken = as_taken(centred(batch, encoder.form), encoder)
        found.append(function(taken).float().cpu().numpy())
    return np.concatenate(found)
