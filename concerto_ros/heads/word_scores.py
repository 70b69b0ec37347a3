# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Cosines of points and words from the features of each level, without the wide matrix.

A language head maps the joined features f of a point to y = W f + b in a text space, and the
score of a word with the vector t is the cosine t.y / (|t| |y|). Computed as it is written, the
(V, C) features and the (V, D) vectors y of all V voxels are made. But the text space may be turned
without changing a cosine: with W = Q R (Q orthogonal, R upper triangular, the channels of the
finest level first) the vectors Qt and y' = R f + Q'b have the same cosines as t and y, and the
coordinates of y' beyond those of a level depend on that level and coarser ones only. So every
level computes its own coordinates of y', their square and their product with the words at its own
rows, and passes three things down to the finer level: the coordinates that are not complete yet,
the sum of squares and the sums of products. The finest level, which has most rows, is left with as
many coordinates as it has channels.

The squared length is a sum of squares, never a difference: it cannot become negative, and what
rounding does to it is what rounding does to y itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from concerto_ros.ptv3.cpu.onednn import linear
from concerto_ros.ptv3.encoder import Pyramid


@dataclass(frozen=True, eq=False)
class TurnedHead:
    """A language head in a turned text space, where its matrix is upper triangular.

    Attributes:
        weight: (D, C) float32, zero below the diagonal.
        bias: (D,) float32.
        turn: (D, D) float64; a vector t of the text space is ``turn.T @ t`` in the turned one.
    """

    weight: torch.Tensor
    bias: torch.Tensor
    turn: torch.Tensor

    @classmethod
    def of(cls, weight: torch.Tensor, bias: torch.Tensor) -> TurnedHead:
        """Turn ``weight`` (D, C) and ``bias`` (D,)."""
        weight, bias = weight.detach().cpu().double(), bias.detach().cpu().double()
        turn, triangle = torch.linalg.qr(weight, mode="complete")
        return cls(triangle.float(), (turn.T @ bias).float(), turn)

    def for_words(self, vectors: torch.Tensor) -> WordScorer:
        """Prepare the scores of K words by their (K, D) vectors, each finite and not zero."""
        words = torch.nn.functional.normalize(vectors.detach().cpu().double(), dim=1)
        return WordScorer(self.weight, self.bias, (words @ self.turn).float())


class WordScorer:
    """Cosines of points with K words, computed in float32 whatever the type of the features.

    The tensors that it holds follow the device of the features.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor, words: torch.Tensor):
        """Take the tensors of a :class:`TurnedHead`, and (K, D) turned unit vectors of words."""
        self._weight, self._bias, self._words = weight, bias, words

    @property
    def count(self) -> int:
        """Number of words."""
        return len(self._words)

    def cosines(self, pyramid: Pyramid, concat_levels: int) -> torch.Tensor:
        """Compute the cosines of every input row, as :meth:`cosines_by_level`."""
        return self.cosines_by_level(pyramid.feats, pyramid.clusters, concat_levels)

    def cosines_by_level(
        self, feats: Sequence[torch.Tensor], clusters: Sequence[torch.Tensor], concat_levels: int
    ) -> torch.Tensor:
        """Compute the cosines level by level.

        Args:
            feats: features of each level, as in :class:`~concerto_ros.ptv3.encoder.Pyramid`.
            clusters: rows of the coarser levels, as there.
            concat_levels: how many finer levels the head takes beside the coarsest.

        Returns:
            (N, K) float32 in [-1, 1]; 0 where the vector of a point is zero, NaN where its
                features or its length are not finite.

        Raises:
            ValueError: the joined levels have another width than the head.
        """
        coarsest = len(feats) - 1
        finest = coarsest - concat_levels
        width, stop = self._weight.shape
        joined = sum(feat.shape[1] for feat in feats[finest:])
        if joined != stop:
            raise ValueError(f"feats: got {joined} channels of all levels, expected {stop}")
        self._follow(feats[0].device)
        zero = self._bias.new_zeros(())
        passed = _Passed(self._bias, zero, zero)
        for level in range(coarsest, finest - 1, -1):
            if level < coarsest:
                passed = passed.down(clusters[level])
            start = stop - feats[level].shape[1]
            # What the coarsest level cannot reach, the bias alone completes.
            end = width if level == coarsest else min(stop, width)
            vector = linear(feats[level], self._weight[:end, start:stop]).add_(passed.waiting)
            complete = vector[:, start:].contiguous()
            passed = _Passed(
                vector[:, :start],
                linear(complete, self._words[:, start:end]).add_(passed.products),
                complete.square().sum(dim=1).add_(passed.squares),
            )
            stop = start
        cosines = _cosines(passed)
        for level in range(finest - 1, -1, -1):
            cosines = cosines.index_select(0, clusters[level])
        return cosines

    def _follow(self, device: torch.device) -> None:
        if self._bias.device != device:
            self._weight, self._bias = self._weight.to(device), self._bias.to(device)
            self._words = self._words.to(device)


class _Passed(NamedTuple):
    """What one level passes down to the finer one, row by row.

    Attributes:
        waiting: (M, n) the coordinates that finer levels complete.
        products: (M, K) products of the complete coordinates with the words.
        squares: (M,) sums of their squares.
    """

    waiting: torch.Tensor
    products: torch.Tensor
    squares: torch.Tensor

    def down(self, cluster: torch.Tensor) -> _Passed:
        """Return the same for the rows of the finer level."""
        return _Passed(*(value.index_select(0, cluster) for value in self))


def _cosines(sums: _Passed) -> torch.Tensor:
    length = sums.squares.sqrt()[:, None]
    cosines = sums.products.div_(length.clamp_min(1e-20)).clamp_(-1, 1)
    return cosines.masked_fill_(~length.isfinite(), math.nan)  # x / infinity would be 0
