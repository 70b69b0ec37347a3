# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A language head in training: it has to tell words apart, and to say when none of them fits.

The loss has three parts, all on cosines divided by one learned temperature:

- the fine names among each other, and the classes among each other (cross-entropy);
- every name alone against contrast words such as "object": a point that is not of it has to be
  nearer to these. So a query can lose, and one half is a threshold that means the same for all.

At every step each name is represented by one of its synonyms or a mixture of them, at random, and
with noise. So the head learns a region of the text space, not a word, and words that it was never
shown are found as well (tried on 40 rooms: with 0.78 of the linear head's mIoU instead of 0.76).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn
from torch.nn import functional

from concerto_ros.labels.label_set import UNLABELLED
from concerto_ros.learning.data.labelled_scan import NO_NAME
from concerto_ros.learning.language.samples import Voxels
from concerto_ros.learning.language.word_list import Word, meant_by
from concerto_ros.words.vocabulary import Vocabulary

#: The temperature that a training begins with; CLIP's begins with 0.07.
FIRST_TEMPERATURE = 0.1
#: Share of the names that are a mixture of their synonyms, and length of the noise of a random
#: direction, against that of a word's vector.
MIXED, NOISE = 0.5, 0.5
#: Weight of each name that a point has not, against that of the one that it has.
ABSENT = 0.03


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
        meant: (K, K) bool, see :func:`~concerto_ros.learning.language.word_list.meant_by`.
    """

    vectors: torch.Tensor
    starts: torch.Tensor
    meant: torch.Tensor

    def __init__(self, words: Sequence[Word], vectors: TextVectors):
        super().__init__()
        self.words = tuple(words)
        self.register_buffer("meant", torch.from_numpy(meant_by(words)))
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
        return self._summed(self.vectors)

    def drawn(self) -> torch.Tensor:
        """(K, D) unit vectors for each word, drawn by PyTorch's generator on the CPU.

        The vector of one of its texts, half of the time of its name, or a mixture of all; and
        noise.
        """
        device, starts = self.vectors.device, self.starts.cpu()
        count = starts.diff()
        other = 1 + (torch.rand(len(count)) * (count - 1)).long().clamp_max(count - 1)
        other = torch.where((torch.rand(len(count)) < 0.5) | (count == 1), 0, other)
        single = self.vectors[(starts[:-1] + other).to(device)]
        share = torch.rand(len(self.vectors), 1).square()
        mixture = self._summed(share.to(device) * self.vectors)
        mixed = (torch.rand(len(count), 1) < MIXED).to(device)
        noise = functional.normalize(torch.randn(single.shape), dim=1).to(device)
        return functional.normalize(torch.where(mixed, mixture, single) + NOISE * noise, dim=1)

    def _summed(self, vectors: torch.Tensor) -> torch.Tensor:
        """(K, D) unit vectors: the sums of (T, D) over the texts of each word."""
        word = torch.repeat_interleave(self.starts.diff())
        sums = vectors.new_zeros(len(self), vectors.shape[1])
        return functional.normalize(sums.index_add_(0, word, vectors), dim=1)


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
    """A language head on standardised features, and the words that it is trained with.

    Args:
        in_channels: Width of the features.
        labels: The classes of the label set, in label order.
        names: The fine names; None for scans without.
        contrast: (X, D) vectors of the contrast words.
    """

    contrast: torch.Tensor
    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(
        self,
        in_channels: int,
        labels: WordGroup,
        names: WordGroup | None,
        contrast: torch.Tensor,
    ):
        super().__init__()
        self.layer = nn.Linear(in_channels, labels.vectors.shape[1])
        self.labels, self.names = labels, names
        self.register_buffer("mean", torch.zeros(in_channels))
        self.register_buffer("deviation", torch.ones(in_channels))
        self.register_buffer("contrast", functional.normalize(contrast, dim=1))
        self.log_temperature = nn.Parameter(torch.tensor(math.log(FIRST_TEMPERATURE)))

    @property
    def temperature(self) -> float:
        """By which cosines are divided."""
        return float(self.log_temperature.detach().exp())

    def standardise(self, mean: torch.Tensor, deviation: torch.Tensor) -> None:
        """Set mean and standard deviation of the features, (C,) each."""
        self.mean.copy_(mean)
        self.deviation.copy_(deviation.clamp_min(1e-6))

    @torch.no_grad()
    def start_from(self, weight: torch.Tensor, bias: torch.Tensor) -> None:
        """Set the layer by ``weight`` (D, C) and ``bias`` (D,) for features as they are."""
        self.layer.weight.copy_(weight * self.deviation)
        self.layer.bias.copy_(bias + weight @ self.mean)

    @torch.no_grad()
    def for_features(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Weight (D, C) and bias (D,) for features as they are."""
        weight = self.layer.weight / self.deviation
        return weight, self.layer.bias - weight @ self.mean

    def forward(self, batch: Voxels) -> Cosines | torch.Tensor:
        """What voxels are: in training :class:`Cosines`, else (V, K) logits of the classes."""
        feat = (batch.feat - self.mean) / self.deviation
        vectors = functional.normalize(self.layer(feat), dim=1)
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
        meant: (F, F) bool of the fine names, of which one means another; as ``name_weights``.
        contrast: Weight of the part in which a name stands alone against contrast words.
    """

    label_weights: torch.Tensor
    name_weights: torch.Tensor | None = None
    meant: torch.Tensor | None = None
    contrast: float = 1.0

    def __call__(self, cosines: Cosines, batch: Voxels) -> torch.Tensor:
        """The loss, a scalar."""
        against = cosines.contrast.logsumexp(dim=1, keepdim=True)
        weights = self.label_weights
        own = torch.eye(len(weights), dtype=torch.bool)
        loss = self._part(cosines.labels, batch.labels, UNLABELLED, weights, own, against)
        if cosines.names is not None and self.name_weights is not None:
            weights, meant = self.name_weights, self.meant
            meant = torch.eye(len(weights), dtype=torch.bool) if meant is None else meant
            named = self._part(cosines.names, batch.name_ids, NO_NAME, weights, meant, against)
            loss = loss + named
        return loss

    def _part(
        self,
        logits: torch.Tensor,
        truth: torch.Tensor,
        none: int,
        weights: torch.Tensor,
        meant: torch.Tensor,
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
        share = weights[truth] / weights[truth].sum().clamp_min(1e-12)
        there = functional.softplus(against[:, 0] - logits.gather(1, truth[:, None])[:, 0])
        # A school desk is no example of what "desk" does not mean.
        other = ~meant.to(truth.device)[truth]
        absent = (functional.softplus(logits - against) * other).sum(1)
        return loss + self.contrast * (share * (there + ABSENT * absent)).sum()
