# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Features of chosen points, and how like one of them all points are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from concerto_ros.ptv3.encoder import Pyramid


@dataclass(frozen=True, eq=False)
class FeatureQuery:
    """What is asked about the features of a cloud.

    Attributes
    ----------
    like: (C,) float32, a feature that all are to be compared with; None: no comparison.
    rows: (n,) int64, rows of the cloud whose features are wanted; None: no features.
    """

    like: torch.Tensor | None = None
    rows: np.ndarray | None = None


class FeatureAnswers:
    """Answers a :class:`FeatureQuery` from the pyramids of a cloud, or of its parts.

    Attributes
    ----------
    features: (n, C) float32 on the CPU, of the rows asked for; None if none were.
    """

    def __init__(self, question: FeatureQuery | None, concat_levels: int):
        self._question = question or FeatureQuery()
        self._levels = concat_levels
        self.features: torch.Tensor | None = None

    def of(self, pyramid: Pyramid, part: torch.Tensor | None) -> dict[str, torch.Tensor]:
        """Take what concerns ``part``, ascending rows of the cloud; None: all of them.

        Returns what has a value for each row of the part.
        """
        like, rows = self._question.like, self._question.rows
        if rows is not None:
            wanted = torch.from_numpy(rows)
            place, mine = wanted, torch.ones(len(wanted), dtype=torch.bool)
            if part is not None:
                place = torch.searchsorted(part, wanted).clamp_max(len(part) - 1)
                mine = part[place] == wanted
            device = pyramid.feats[0].device
            found = features_at(pyramid, place[mine].to(device), self._levels).cpu()
            if self.features is None:
                self.features = found.new_zeros(len(rows), found.shape[1])
            self.features[mine] = found
        if like is None:
            return {}
        return {"similarity": cosine_similarity(pyramid, like, self._levels)}

    def similarity(self, values: dict[str, torch.Tensor]) -> np.ndarray | None:
        """(N,) float32 of the joined ``values`` of all parts; None if there was no comparison."""
        cosine = values.get("similarity")
        return None if cosine is None else cosine.cpu().numpy()


def features_at(pyramid: Pyramid, rows: torch.Tensor, concat_levels: int) -> torch.Tensor:
    """``pyramid.upcast(concat_levels)[rows]`` without the wide matrix, (n, C) float32.

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


def cosine_similarity(pyramid: Pyramid, like: torch.Tensor, concat_levels: int) -> torch.Tensor:
    """(N,) float32 in [-1, 1]: cosine of each row's ``upcast(concat_levels)`` with ``like``.

    ``like``: (C,), a feature of :func:`features_at`. Features of length zero are like nothing: 0.
    Products and squares are summed level by level, so that the wide matrix is never made.
    """
    feats, clusters = pyramid.feats, pyramid.clusters
    finest = len(feats) - 1 - concat_levels
    like = like.to(device=feats[0].device, dtype=torch.float32)
    parts = like.split([feat.shape[1] for feat in feats[finest:]])
    sums = None
    for level in range(len(feats) - 1, -1, -1):
        if sums is not None:
            sums = sums.index_select(0, clusters[level])
        if level >= finest:
            feat = feats[level].float()
            own = torch.stack([feat @ parts[level - finest], feat.square().sum(dim=1)], dim=1)
            sums = own if sums is None else sums + own
    length = sums[:, 1].sqrt() * like.norm()
    return (sums[:, 0] / length.clamp_min(1e-20)).clamp(-1, 1)
