# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A language head in training: it has to tell words apart, and to say when none of them fits.

The loss has three parts, all on cosines divided by one learned temperature:

- the fine names among each other, and the classes among each other (cross-entropy);
- every name alone against contrast words such as "object": a point that is not of it has to be
  nearer to these. So a query can lose, and one half is a threshold that means the same for all.

At every step each name is represented by one of its synonyms, at random. So the head learns a
direction of the text space, not a word, and words that it was never shown are found as well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn
from torch.nn import functional

from concerto_ros.heads.language import LanguageHead
from concerto_ros.labels.label_set import UNLABELLED
from concerto_ros.learning.data.labelled_scan import NO_NAME
from concerto_ros.learning.language.samples import Voxels
from concerto_ros.learning.language.word_list import Word
from concerto_ros.words.vocabulary import Vocabulary

#: The temperature that a training begins with; CLIP's begins with 0.07.
FIRST_TEMPERATURE = 0.1


class TextVectors(Protocol):
    """Vectors of texts in the space of one text encoder, e.g. of its tables or by itself."""

    @property
    def encoder(self) -> str:
        """Name of the text encoder."""

    @property
    def template(self) -> str:
        """The prompt that texts are put into, with ``{name}``."""

    def of(self, words: Sequence[str], /) -> Vocabulary:
        """Unit vectors of words."""


class WordGroup(nn.Module):
    """Words of which each voxel is one at most, with the vectors of all their synonyms.

    Args:
        words: K words.
        vectors: Gives the vectors of texts.

    Attributes:
        vectors: (T, D) unit vectors of all texts, those of a word together, its name first.
        starts: (K + 1,) int64 where those of each word begin.
    """

    vectors: torch.Tensor
    starts: torch.Tensor

    def __init__(self, words: Sequence[Word], vectors: TextVectors):
        super().__init__()
        self.words = tuple(words)
        counts = [len(word.texts) for word in words]
        texts = list(dict.fromkeys(text for word in words for text in word.texts))
        rows = dict(zip(texts, vectors.of(texts).vectors, strict=True))
        self.register_buffer(
            "vectors", torch.stack([rows[text] for word in words for text in word.texts])
        )
        self.register_buffer("starts", torch.tensor([0, *counts]).cumsum(0))

    def __len__(self) -> int:
        return len(self.words)

    def named(self) -> torch.Tensor:
        """(K, D) vectors of the names."""
        return self.vectors[self.starts[:-1]]

    def means(self) -> torch.Tensor:
        """(K, D) unit vectors: the mean of all texts of each word."""
        word = torch.repeat_interleave(self.starts.diff())
        sums = self.vectors.new_zeros(len(self), self.vectors.shape[1])
        return functional.normalize(sums.index_add_(0, word, self.vectors), dim=1)

    def drawn(self) -> torch.Tensor:
        """(K, D) vectors of one text of each word, drawn by PyTorch's generator.

        The name itself is drawn half of the time.
        """
        count = self.starts.diff()
        other = 1 + (torch.rand(len(count)) * (count.cpu() - 1)).long().clamp_max(count.cpu() - 1)
        other = torch.where((torch.rand(len(count)) < 0.5) | (count.cpu() == 1), 0, other)
        return self.vectors[self.starts[:-1] + other.to(self.starts.device)]


@dataclass(frozen=True, eq=False)
class Cosines:
    """What :class:`LanguageModel` says of V voxels in training, divided by the temperature.

    Attributes:
        labels: (V, K) with the classes.
        names: (V, F) with the fine names; None where the scans have none.
        contrast: (V, X) with the contrast words.
    """

    labels: torch.Tensor
    names: torch.Tensor | None
    contrast: torch.Tensor


class LanguageModel(nn.Module):
    """A language head and the words that it is trained with.

    Args:
        head: The head.
        labels: The classes of the label set, in label order.
        names: The fine names; None for scans without.
        contrast: (X, D) vectors of the contrast words.
    """

    contrast: torch.Tensor

    def __init__(
        self,
        head: LanguageHead,
        labels: WordGroup,
        names: WordGroup | None,
        contrast: torch.Tensor,
    ):
        super().__init__()
        self.head, self.labels, self.names = head, labels, names
        self.register_buffer("contrast", functional.normalize(contrast, dim=1))
        self.log_temperature = nn.Parameter(torch.tensor(math.log(FIRST_TEMPERATURE)))

    @property
    def temperature(self) -> float:
        """By which cosines are divided."""
        return float(self.log_temperature.exp())

    def forward(self, batch: Voxels) -> Cosines | torch.Tensor:
        """What voxels are: in training :class:`Cosines`, else (V, K) logits of the classes."""
        vectors = functional.normalize(self.head(batch.feat), dim=1)
        scale = (-self.log_temperature).exp()
        if not self.training:
            return vectors @ self.labels.named().T * scale
        return Cosines(
            vectors @ self.labels.drawn().T * scale,
            None if self.names is None else vectors @ self.names.drawn().T * scale,
            vectors @ self.contrast.T * scale,
        )


@dataclass(frozen=True, eq=False)
class LanguageLoss:
    """The loss of a batch, see the head of this file.

    Attributes:
        label_weights: (K,) of the classes.
        name_weights: (F,) of the fine names; None where the scans have none.
        contrast: Weight of the part in which a name stands alone against contrast words.
    """

    label_weights: torch.Tensor
    name_weights: torch.Tensor | None = None
    contrast: float = 1.0

    def __call__(self, cosines: Cosines, batch: Voxels) -> torch.Tensor:
        """The loss, a scalar."""
        against = cosines.contrast.logsumexp(dim=1, keepdim=True)
        loss = self._part(cosines.labels, batch.labels, UNLABELLED, self.label_weights, against)
        if cosines.names is not None and self.name_weights is not None:
            weights = self.name_weights
            loss = loss + self._part(cosines.names, batch.name_ids, NO_NAME, weights, against)
        return loss

    def _part(
        self,
        logits: torch.Tensor,
        truth: torch.Tensor,
        none: int,
        weights: torch.Tensor,
        against: torch.Tensor,
    ) -> torch.Tensor:
        known = (truth != none).nonzero()[:, 0]
        if not len(known):
            return logits.sum() * 0.0
        logits, truth, against = logits[known], truth[known], against[known]
        weights = weights.to(logits)
        loss = functional.cross_entropy(logits, truth, weight=weights)
        if not self.contrast:
            return loss
        right = functional.one_hot(truth, logits.shape[1]).bool()
        alone = functional.softplus(torch.where(right, against - logits, logits - against))
        # What is there counts as much as all that is not there.
        there = alone[right] * weights[truth]
        absent = alone.masked_fill(right, 0).sum(1) * weights[truth]
        share = weights[truth].sum().clamp_min(1e-12)
        return loss + self.contrast * (there.sum() + absent.sum() / 4) / share
