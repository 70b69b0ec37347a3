# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Where labels come from: a linear head and its classes, or words and a language head."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch

from concerto_ros.heads.added_rows import AddedRows
from concerto_ros.heads.language import LanguageHead
from concerto_ros.heads.linear import LinearHead
from concerto_ros.heads.scoring import Scoring, Softmax
from concerto_ros.heads.word_scores import WordScorer
from concerto_ros.labels.label_set import LabelSet
from concerto_ros.ptv3.encoder import Encoder, Pyramid
from concerto_ros.ptv3.precision import head_precision

#: Scores (V, K) of the columns of a source from the features of all levels, for encoders that
#: compute in the given type.
Scores = Callable[[Pyramid, torch.dtype], torch.Tensor]


class Choice(NamedTuple):
    """The best column of each of V voxels.

    Attributes:
        label: (V,) int64, position in the label set; what is no label where ``no_word``.
        probability: (V,) float32 of the best column.
        no_word: (V,) bool, whether the best column has no label, or is not probable enough.
    """

    label: torch.Tensor
    probability: torch.Tensor
    no_word: torch.Tensor


@dataclass(frozen=True, eq=False)
class LabelSource:
    """Scores of voxels, and which label they give.

    The first columns of the scores belong to the classes of ``labels``, in label order; those
    after them are contrast words, which only compete: a voxel that they win has no label.

    Attributes:
        name: of the model, for messages and logs.
        labels: the classes.
        scores: computes the scores.
        scoring: from scores to probabilities.
        threshold: the probability that the best class must have if it were the only one beside
            the contrast words; 0: any.
    """

    name: str
    labels: LabelSet
    scores: Scores
    scoring: Scoring
    threshold: float = 0.0

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.labels)

    @classmethod
    def of_head(cls, head: LinearHead, labels: LabelSet, encoder: Encoder) -> LabelSource:
        """Label with a linear head.

        Args:
            head: trained on the features of ``encoder``.
            labels: its classes, in label order.
            encoder: the backbone that gives the features.

        Raises:
            ValueError: the head does not fit the encoder.
        """
        scores = _HeadScores(head, head.concat_levels(encoder))
        return cls(head.name, labels, scores, Softmax(head.temperature))

    def logits(self, pyramid: Pyramid, dtype: torch.dtype) -> torch.Tensor:
        """Return the (V, K) logits that are fused over time.

        Args:
            pyramid: the features of all levels.
            dtype: the type that the encoder computes in.
        """
        return self.scoring.logits(self.scores(pyramid, dtype))

    def choose(self, fused: torch.Tensor) -> Choice:
        """Return the best column of each row of (V, K) log-probabilities of :meth:`logits`."""
        best = self.scoring.columns(fused).max(dim=1).indices
        probability = self.scoring.probability(fused, best)
        no_word = best >= len(self.labels)
        if self.threshold:
            no_word |= self.scoring.alone(fused, best, len(self.labels)) < self.threshold
        return Choice(best, probability, no_word)


@dataclass(frozen=True, eq=False, kw_only=True)
class WordSource(LabelSource):
    """Labels by words, to which classes can be taught by examples.

    Attributes:
        scorer: compares points with the words that are classes, in label order, and after them
            with the contrast words.
        in_channels: feature width that the language head takes.
        concat_levels: how many finer levels it joins to the coarsest.
    """

    scorer: WordScorer
    in_channels: int
    concat_levels: int

    @classmethod
    def of(
        cls,
        head: LanguageHead,
        labels: LabelSet,
        scorer: WordScorer,
        concat_levels: int,
        threshold: float,
    ) -> WordSource:
        """Label with words.

        Args:
            head: the language head.
            labels: the words that are classes.
            scorer: see the class.
            concat_levels: likewise.
            threshold: likewise.
        """

        def scores(pyramid: Pyramid, _: torch.dtype) -> torch.Tensor:
            # In float32, whatever the type of the encoder.
            return scorer.cosines(pyramid, concat_levels)

        return cls(
            f"words of {head.name}",
            labels,
            scores,
            head.scoring,
            threshold,
            scorer=scorer,
            in_channels=head.in_channels,
            concat_levels=concat_levels,
        )

    def feature_logits(self, features: torch.Tensor) -> torch.Tensor:
        """Return the logits (n, J) of words and contrast words for (n, in_channels) features."""
        scorer = copy.copy(self.scorer)  # the other one follows the device of the encoder
        return self.scoring.to_logits(scorer.cosines_by_level([features], [], 0))

    def with_rows(self, rows: AddedRows, labels: LabelSet) -> WordSource:
        """Return a copy with the rows of taught classes.

        Args:
            rows: fitted beside :meth:`feature_logits`.
            labels: the classes of the copy.
        """
        taught = LinearHead(self.in_channels, len(rows.labels))
        taught.load_state_dict({"seg_head.weight": rows.weight, "seg_head.bias": rows.bias})
        products = _HeadScores(taught.requires_grad_(False), self.concat_levels)

        def scores(pyramid: Pyramid, dtype: torch.dtype) -> torch.Tensor:
            logits = self.scoring.to_logits(self.scores(pyramid, dtype))
            extended = rows.extend(logits, products(pyramid, dtype).float())
            return self.scoring.of_logits(extended)

        return replace(self, labels=labels, scores=scores)


class _HeadScores:
    """Scores of a linear head, which follow the device of the encoder, on a CPU its type too."""

    def __init__(self, head: LinearHead, concat_levels: int):
        self._head = self._working = head  # ``head`` keeps the device and precision of its file
        self._levels = concat_levels

    def __call__(self, pyramid: Pyramid, dtype: torch.dtype) -> torch.Tensor:
        device, weight = pyramid.feats[0].device, self._working.seg_head.weight
        dtype = head_precision(device, dtype)
        if (weight.device, weight.dtype) != (device, dtype):
            self._working = copy.deepcopy(self._head).to(device, dtype)
        return self._working.scores(pyramid, self._levels)
