# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From the scores of a head to probabilities: softmax over all columns, or a sigmoid of each."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Softmax:
    """Probabilities by a softmax over all columns (CLIP, linear heads).

    Attributes:
        temperature: number by which scores are divided before the softmax. For cosines with words
            the inverse of CLIP's ``logit_scale``.

    Raises:
        ValueError: it is not a finite number above 0.
    """

    temperature: float = 1.0

    def __post_init__(self):
        _check_positive("temperature", self.temperature)

    def logits(self, scores: torch.Tensor) -> torch.Tensor:
        """Return the (V, K) logits to fuse over time, of (V, K) scores: the scores themselves.

        The temperature is applied after the fusion: the mean of log-probabilities differs from
        that of scores by the same number for all columns of a row, so labels and what is carried
        do not depend on it.
        """
        return scores

    def of_logits(self, logits: torch.Tensor) -> torch.Tensor:
        """Return the scores whose softmax at the temperature is that of (n, K) ``logits``."""
        return logits * self.temperature

    def to_logits(self, scores: torch.Tensor) -> torch.Tensor:
        """Return the logits of (n, K) scores at the temperature."""
        return scores / self.temperature

    def columns(self, fused: torch.Tensor) -> torch.Tensor:
        """Return the columns of (V, K) fused log-probabilities that stand for scores: all."""
        return fused

    def log_probabilities(self, fused: torch.Tensor) -> torch.Tensor:
        """Return the log-probabilities at the temperature, (V, K)."""
        if self.temperature == 1:
            return fused
        return (fused / self.temperature).t().log_softmax(dim=0).t()

    def probability(self, fused: torch.Tensor, column: torch.Tensor) -> torch.Tensor:
        """Return the probability of one ``column`` (V,) of each row of ``fused``, (V,)."""
        return self.log_probabilities(fused).gather(1, column[:, None])[:, 0].exp()

    def any_of_first(self, scores: torch.Tensor, count: int) -> torch.Tensor:
        """Return the probability of the first ``count`` of (V, K) scores together, (V,)."""
        return self.to_logits(scores).t().softmax(dim=0)[:count].sum(dim=0)

    def alone(self, fused: torch.Tensor, column: torch.Tensor, words: int) -> torch.Tensor:
        """Return the probability of one ``column`` (V,) of each row if it were the only word.

        It competes with the columns from ``words`` on alone, the contrast words, so that "sofa" is
        as probable when "couch" is a word as well. Without contrast words it competes with all.
        """
        if fused.shape[1] <= words:
            return self.probability(fused, column)
        own = fused.gather(1, column[:, None])[:, 0]
        against = (fused[:, words:] / self.temperature).logsumexp(dim=1)
        return (own / self.temperature - against).sigmoid()


@dataclass(frozen=True)
class Sigmoid:
    """Probabilities of each column by itself (SigLIP: Zhai et al., ICCV 2023).

    The logit of a score is ``scale * score + bias``. One column without a word is joined to the
    logits, with the logit 0: of log-probabilities that were fused over time, what is above that
    column is the logit again.

    Attributes:
        scale: above 0.
        bias: SigLIP's is far below 0, as most words are not there.

    Raises:
        ValueError: they are not finite, or ``scale`` is not above 0.
    """

    scale: float
    bias: float

    def __post_init__(self):
        _check_positive("sigmoid scale", self.scale)
        if not (isinstance(self.bias, (int, float)) and math.isfinite(self.bias)):
            raise ValueError(f"sigmoid bias is {self.bias!r}; expected a finite number")

    def logits(self, scores: torch.Tensor) -> torch.Tensor:
        """Return the (V, K + 1) logits to fuse over time, of (V, K) scores."""
        nothing = scores.new_zeros(len(scores), 1)
        return torch.cat([self.to_logits(scores), nothing], dim=1)

    def of_logits(self, logits: torch.Tensor) -> torch.Tensor:
        """Return the (n, K) scores whose logits these are."""
        return (logits - self.bias) / self.scale

    def to_logits(self, scores: torch.Tensor) -> torch.Tensor:
        """Return the (n, K) logits of scores, without the column of no word."""
        return self.scale * scores + self.bias

    def columns(self, fused: torch.Tensor) -> torch.Tensor:
        """Return the columns of (V, K + 1) fused log-probabilities that stand for words: K."""
        return fused[:, :-1]

    def log_probabilities(self, fused: torch.Tensor) -> torch.Tensor:
        """Return log-probabilities that sum to one, (V, K + 1), for the entropy of a row."""
        return fused

    def probability(self, fused: torch.Tensor, column: torch.Tensor) -> torch.Tensor:
        """Return the probability of one ``column`` (V,) of each row of ``fused``, (V,)."""
        return (fused.gather(1, column[:, None])[:, 0] - fused[:, -1]).sigmoid()

    def any_of_first(self, scores: torch.Tensor, count: int) -> torch.Tensor:
        """Return the probability of the best of the first ``count`` of (V, K) scores, (V,)."""
        return self.to_logits(scores[:, :count]).sigmoid().amax(dim=1)

    def alone(self, fused: torch.Tensor, column: torch.Tensor, words: int) -> torch.Tensor:
        """Return :meth:`probability`: here no word takes from another."""
        del words
        return self.probability(fused, column)


Scoring = Softmax | Sigmoid


def _check_positive(name: str, value: float) -> None:
    if not (isinstance(value, (int, float)) and 0 < value < math.inf):
        raise ValueError(f"{name} is {value!r}; expected a finite number above 0")
