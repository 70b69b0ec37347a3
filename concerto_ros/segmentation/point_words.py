# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Words as labels of points: a language head, and where the vectors of words come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch

from concerto_ros.heads.language import LanguageHead
from concerto_ros.heads.scoring import Scoring
from concerto_ros.heads.word_scores import TurnedHead, WordScorer
from concerto_ros.labels.label_set import LabelSet
from concerto_ros.ptv3.encoder import Encoder, Pyramid
from concerto_ros.segmentation.label_source import WordSource
from concerto_ros.words.vocabulary import Vocabulary
from concerto_ros.words.word_list import checked_words

#: Threshold of a head without one: more probable than all that competes together.
_HALF = 0.5


class VectorsOfWords(Protocol):
    """A source of vectors of words, such as a table or a text encoder."""

    def of(self, words: Sequence[str]) -> Vocabulary:
        """Return the vectors of ``words``, in this order.

        Raises:
            ValueError: a word has none; the text names it and says what to do.
        """


@dataclass(frozen=True, eq=False)
class TextQuestion:
    """How well voxels match one text, alone against all that they may be besides.

    Attributes:
        scorer: compares points with the text, with what belongs to it, and with what competes.
        own: how many of these are the text or belong to it.
        scoring: from cosines to probabilities.
        threshold: the probability that a voxel of what is looked for must have.
        concat_levels: how many finer levels the head joins to the coarsest.
    """

    scorer: WordScorer
    own: int
    scoring: Scoring
    threshold: float
    concat_levels: int

    def __call__(self, pyramid: Pyramid) -> dict[str, torch.Tensor]:
        """Compare V voxels with the text.

        Returns:
            ``match``, (V,) float32, its probability p where that is at least the threshold t, else
                0, and ``similarity``, (V,) float32 from 0 to 1, ``(1 + t) p / (p + t)``, which is
                a half or more where t is reached. Both are NaN where the features are not finite.
        """
        cosines = self.scorer.cosines(pyramid, self.concat_levels)
        probability = self.scoring.any_of_first(cosines, self.own)
        probability = probability.masked_fill(~cosines[:, 0].isfinite(), torch.nan)
        heat = (1 + self.threshold) * probability / (probability + self.threshold)
        return {
            "similarity": heat,
            "match": probability.masked_fill(probability < self.threshold, 0.0),
        }


class PointWords:
    """Makes sources of labels of words.

    Attributes:
        head: the language head.
    """

    def __init__(self, head: LanguageHead, words: VectorsOfWords, encoder: Encoder):
        """Combine a language head with vectors of words in its text space.

        Args:
            head: trained on the features of ``encoder``.
            words: gives the vectors of words.
            encoder: the backbone that gives the features.

        Raises:
            ValueError: the head does not fit the encoder.
        """
        self.head = head
        self._words = words
        self._concat_levels = head.concat_levels(encoder)

    @cached_property
    def _turned(self) -> TurnedHead:
        return self.head.turned()

    def source(
        self,
        names: Sequence[str],
        *,
        field: str = "words",
        threshold: float = 0.0,
        colors: Sequence[tuple[int, int, int]] | None = None,
    ) -> WordSource:
        """Return a source of labels whose classes are words.

        Args:
            names: the words, each possibly with synonyms (``sofa|couch``); the first is the name
                of the class.
            field: what errors call the words.
            threshold: the probability that the best word must have; 0: that of the head.
            colors: of the classes; None: chosen.

        Raises:
            ValueError: a word is not accepted or has no vector, the vectors are of another text
                space, or the threshold is not from 0 to 1.
        """
        _check_threshold(threshold)
        names = checked_words(names, field)
        wanted = self._words.of(names)
        understood = self.head.understood(wanted.vectors)
        labels = LabelSet.of_names("words", wanted.names, colors)
        vectors = torch.cat([understood, self._contrast_with(wanted.vectors)])
        return WordSource.of(
            self.head,
            labels,
            self._turned.for_words(vectors),
            self._concat_levels,
            threshold or self.head.threshold,
        )

    def question(self, text: str, threshold: float = 0.0) -> TextQuestion:
        """Return what compares voxels with a text that is looked for.

        It competes with the names that the head was trained with, see
        :meth:`~concerto_ros.heads.language.LanguageHead.rivals_of`, else with the contrast words.

        Args:
            text: the text, possibly with synonyms (``sofa|couch``).
            threshold: the probability that a voxel must have; 0: that of the head, or where it
                has none a half.

        Raises:
            ValueError: as :meth:`source`.
        """
        _check_threshold(threshold)
        wanted = self._words.of(checked_words([text], "text")).vectors
        rivals = self.head.rivals_of(wanted)
        own = torch.cat([self.head.understood(wanted), rivals.vectors[rivals.belong[0]]])
        against = rivals.vectors[rivals.compete[0]]
        if not len(rivals.vectors):
            against = self._contrast_with(wanted)
        return TextQuestion(
            self._turned.for_words(torch.cat([own, against])),
            len(own),
            self.head.scoring,
            threshold or self.head.find_threshold or self.head.threshold or _HALF,
            self._concat_levels,
        )

    def vector(self, text: str) -> torch.Tensor:
        """Return the unit vector (D,) of a text, possibly with synonyms.

        Raises:
            ValueError: the text is not accepted or has no vector, or one of another text space.
        """
        vectors = self._words.of([text]).vectors
        self.head.check_words(vectors)
        return torch.nn.functional.normalize(vectors, dim=1)[0]

    def _contrast_with(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return the vectors of the contrast words that mean something else than all of these."""
        if not self.head.contrast:
            return vectors[:0]
        contrast = self._words.of(self.head.contrast).vectors
        same = self.head.same_as(vectors, contrast).any(dim=0)
        return self.head.understood(contrast)[~same]


def _check_threshold(threshold: float) -> None:
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold: got {threshold:g}, expected 0 to 1")
