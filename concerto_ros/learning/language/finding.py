# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether a head finds what a name asks for in a scan, and says so where there is nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from concerto_ros.heads.language import LanguageHead
from concerto_ros.learning.data.labelled_scan import NO_NAME
from concerto_ros.learning.methods.feature_cache import Features
from concerto_ros.objects.finding.components import connected_components, neighbour_pairs
from concerto_ros.objects.finding.text_matches import outstanding
from concerto_ros.ptv3 import Encoder
from concerto_ros.settings.objects import ObjectSettings

#: A thing of which a scan has fewer voxels is not asked for, as it may be no more than an edge.
FEWEST_VOXELS = 40
#: Share of the voxels of an answer that have to be of what was asked for.
RIGHT_SHARE = 0.5


@dataclass(frozen=True)
class Answer:
    """The best answer to one question about one scan.

    Attributes:
        name: Position of the name that was asked for.
        there: Whether the scan holds such a thing.
        score: Probability of the best voxel of the answer; 0 where nothing was found.
        right: Whether most of the answer is of what was asked for.
    """

    name: int
    there: bool
    score: float
    right: bool


class Finder:
    """Asks for fine names in scans, as ``pipeline.find`` does.

    But for what barely touches, which is one answer here.

    Args:
        encoder: The encoder.
        head: The language head.
        vectors: (F, D) of the names.
        meant: (F, F) bool, see :func:`~concerto_ros.learning.language.word_list.meant_by`.
    """

    def __init__(
        self,
        encoder: Encoder,
        head: LanguageHead,
        vectors: torch.Tensor,
        meant: np.ndarray,
    ):
        self._levels = head.concat_levels(encoder)
        self._rivals = head.rivals_of(vectors)
        self._scorer = head.for_words(torch.cat([head.understood(vectors), self._rivals.vectors]))
        self._scoring, self._meant = head.scoring, meant
        self._min_voxels = ObjectSettings().min_voxels

    def answers(
        self,
        features: Features,
        grid_coord: np.ndarray,
        asked: Sequence[int],
        thresholds: Sequence[float],
    ) -> list[list[Answer]]:
        """The best answer for each name that is asked for, by threshold.

        A name of which a scan holds some voxels, but less than :data:`FEWEST_VOXELS`, is not asked
        for.

        Args:
            features: Of one scan, with fine names.
            grid_coord: (V, 3) lattice indices of its voxels.
            asked: Positions of names.
            thresholds: The probability that a voxel must have.

        Returns:
            For each threshold an answer to each of the same questions.
        """
        assert features.name_ids is not None  # simulated scans have names
        ids = features.name_ids.numpy()
        counts = np.bincount(ids, minlength=NO_NAME + 1)[: len(self._meant)]
        cosines = self._scorer.cosines_by_level(features.feats, features.clusters, self._levels)
        pairs = neighbour_pairs(grid_coord)
        answers: list[list[Answer]] = [[] for _ in thresholds]
        for name in asked:
            voxels = int(counts[self._meant[:, name]].sum())
            if 0 < voxels < FEWEST_VOXELS:
                continue
            match = self._match(cosines, name)
            for threshold, found in zip(thresholds, answers, strict=True):
                enough = np.where(match >= threshold, match, np.float32(0))
                score, rows = _best(enough, pairs, self._min_voxels)
                known = ids[rows][ids[rows] != NO_NAME]
                right = self._meant[known, name].sum() > RIGHT_SHARE * len(rows)
                found.append(Answer(name, voxels > 0, score, bool(right)))
        return answers

    def _match(self, cosines: torch.Tensor, name: int) -> np.ndarray:
        """(V,) probability of a name against its rivals."""
        of_rivals = cosines[:, len(self._meant) :]
        own = torch.cat([cosines[:, [name]], of_rivals[:, self._rivals.belong[name]]], dim=1)
        against = of_rivals[:, self._rivals.compete[name]]
        scores = torch.cat([own, against], dim=1)
        return self._scoring.any_of_first(scores, own.shape[1]).numpy()


def rates(answers: Sequence[Answer]) -> tuple[float, float]:
    """Mean over the names: how often the best answer is right, and how often nothing is found.

    Args:
        answers: To questions about what is there, for the first, and about what is not.
    """
    right = _mean_over_names([(a.name, a.right) for a in answers if a.there])
    return right, _mean_over_names([(a.name, not a.score) for a in answers if not a.there])


def _mean_over_names(values: Sequence[tuple[int, bool]]) -> float:
    if not values:
        return float("nan")
    by_name: dict[int, list[bool]] = {}
    for name, value in values:
        by_name.setdefault(name, []).append(value)
    return float(np.mean([np.mean(each) for each in by_name.values()]))


def _best(match: np.ndarray, pairs: np.ndarray, fewest: int) -> tuple[float, np.ndarray]:
    """Score and rows of the best of the groups of touching voxels that match; 0 if none does."""
    nothing = 0.0, np.zeros(0, np.int64)
    if np.count_nonzero(match) < fewest:  # mostly, and searching for groups takes time
        return nothing
    inside = outstanding(match, pairs)
    group = connected_components(len(match), pairs[inside[pairs].all(axis=1)])
    enough = np.bincount(group[inside], minlength=len(match))[group] >= fewest
    score = np.where(inside & enough, match, 0.0)
    best = int(score.argmax())
    if not score[best]:
        return nothing
    return float(score[best]), np.flatnonzero(inside & (group == group[best]))
