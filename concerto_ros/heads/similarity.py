# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Features of chosen points, and the similarity of all points to one feature."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from concerto_ros.heads.finite_rows import finite_rows
from concerto_ros.ptv3.encoder import Pyramid


@dataclass(frozen=True, eq=False)
class FeatureQuery:
    """A query about the features of a cloud.

    Attributes:
        like: (C,) float32, the reference feature that all points are compared with; None: no
            comparison.
        rows: (n,) int64, rows of the cloud whose features are returned, -1 for none, which gets
            NaN; None: no features.
        every: whether the features of all points are returned.
        axes: (C, K) float32, what those are projected on; None: they are returned as they are.
        match: compares all points with a text: ``similarity`` of each row, from 0 to 1, and
            ``match``, its probability where that is high enough, else 0. It precedes ``like``;
            None: no text.
    """

    like: torch.Tensor | None = None
    rows: np.ndarray | None = None
    every: bool = False
    axes: torch.Tensor | None = None
    match: Callable[[Pyramid], dict[str, torch.Tensor]] | None = None


class FeatureAnswers:
    """Answers a :class:`FeatureQuery` from the pyramids of a cloud or its parts.

    Attributes:
        features: (n, C) float32 on the CPU, of the rows of the query, NaN where they are not
            finite; None if it names no rows.
    """

    def __init__(self, question: FeatureQuery | None):
        """Prepare the answer to ``question``, with features of all levels."""
        self._question = question or FeatureQuery()
        self.features: torch.Tensor | None = None

    def of(self, pyramid: Pyramid, part: torch.Tensor | None) -> dict[str, torch.Tensor]:
        """Add the answer for a part of the cloud.

        Args:
            pyramid: the features of the part.
            part: ascending rows of the cloud; None: all of them.

        Returns:
            Values for each row of the part, by name.
        """
        like, rows, levels = self._question.like, self._question.rows, len(pyramid.feats) - 1
        if rows is not None:
            wanted = torch.from_numpy(rows)
            row_of_part, in_part = wanted, wanted >= 0
            if part is not None:
                row_of_part = torch.searchsorted(part, wanted).clamp_max(len(part) - 1)
                in_part = part[row_of_part] == wanted
            device = pyramid.feats[0].device
            features = features_at(pyramid, row_of_part[in_part].to(device), levels).cpu()
            features[~finite_rows(features)] = math.nan
            if self.features is None:
                self.features = features.new_full((len(rows), features.shape[1]), math.nan)
            self.features[in_part] = features
        values = {}
        if self._question.every:
            values["components"] = components(pyramid, self._question.axes)
        if self._question.match is not None:
            values |= self._question.match(pyramid)
        elif like is not None:
            values["similarity"] = cosine_similarity(pyramid, like, levels)
        return values

    @staticmethod
    def named(name: str, values: dict[str, torch.Tensor]) -> np.ndarray | None:
        """Return one of the joined values of all parts, float32.

        They are ``similarity`` and ``match``, (N,), and ``components``, (N, K). None if the query
        does not ask for it; NaN where a feature is not finite.
        """
        value = values.get(name)
        return None if value is None else value.cpu().numpy()


def features_at(pyramid: Pyramid, rows: torch.Tensor, concat_levels: int) -> torch.Tensor:
    """Compute ``pyramid.upcast(concat_levels)[rows]`` without the wide matrix, (n, C) float32.

    ``rows``: (n,) int64 on the device of the pyramid.
    """
    feats, clusters = pyramid.feats, pyramid.clusters
    finest = len(feats) - 1 - concat_levels
    parts = []
    for level, feat in enumerate(feats):
        if level:
            rows = clusters[level - 1].index_select(0, rows)
        if level >= finest:
            parts.append(feat.index_select(0, rows).float())
    return torch.cat(parts, dim=1)


def components(pyramid: Pyramid, axes: torch.Tensor | None) -> torch.Tensor:
    """Compute ``pyramid.upcast(None) @ axes`` without the wide matrix.

    Args:
        pyramid: the features of all levels.
        axes: (C, K) float32; None: the features themselves, which is the wide matrix.

    Returns:
        (N, K) float32, or (N, C).
    """
    feats, clusters = pyramid.feats, pyramid.clusters
    if axes is None:
        return pyramid.upcast(None).float()
    parts = axes.to(feats[0].device).split([feat.shape[1] for feat in feats])
    joined = feats[-1].float() @ parts[-1]
    for level in range(len(feats) - 2, -1, -1):
        joined = joined.index_select(0, clusters[level]) + feats[level].float() @ parts[level]
    return joined


def cosine_similarity(pyramid: Pyramid, like: torch.Tensor, concat_levels: int) -> torch.Tensor:
    """Return the cosine of each row's ``upcast(concat_levels)`` with a feature.

    Products and squares are summed level by level, so that the wide matrix is never made.

    Args:
        pyramid: the features of all levels.
        like: (C,) reference feature, as from :func:`features_at`.
        concat_levels: how many finer levels a feature joins to the coarsest.

    Returns:
        (N,) float32 in [-1, 1]; 0 for features of length zero, NaN for those that are not finite.
    """
    feats, clusters = pyramid.feats, pyramid.clusters
    finest = len(feats) - 1 - concat_levels
    like = like.to(device=feats[0].device, dtype=torch.float32)
    parts = like.split([feat.shape[1] for feat in feats[finest:]])

    def sums_of(level: int) -> torch.Tensor:
        feat = feats[level].float()
        return torch.stack([feat @ parts[level - finest], feat.square().sum(dim=1)], dim=1)

    sums = sums_of(len(feats) - 1)
    for level in range(len(feats) - 2, -1, -1):
        sums = sums.index_select(0, clusters[level])
        if level >= finest:
            sums = sums + sums_of(level)
    length = sums[:, 1].sqrt() * like.norm()
    cosine = (sums[:, 0] / length.clamp_min(1e-20)).clamp(-1, 1)
    return cosine.masked_fill(~length.isfinite(), math.nan)  # x / infinity would be 0
