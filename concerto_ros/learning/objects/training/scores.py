# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Accuracy of object classification."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True, eq=False)
class Accuracy:
    """Accuracy over a data set's objects, and over its classes.

    Attributes:
        matrix: (K, K + 1) counts, true class (row) by predicted class (column); the last column is
            for predictions beyond the K classes.
    """

    matrix: np.ndarray

    @classmethod
    def of(cls, guesses: np.ndarray, labels: np.ndarray, classes: int) -> Accuracy:
        """Count (S,) predictions against (S,) labels.

        A prediction beyond the classes counts as wrong.

        Raises:
            ValueError: If the shapes differ or there is nothing to score.
        """
        if guesses.shape != labels.shape or not len(labels):
            raise ValueError(
                f"got {guesses.shape} predictions for {labels.shape} objects, expected one each"
            )
        beyond = np.where(guesses < classes, guesses, classes)
        table = np.bincount(labels * (classes + 1) + beyond, minlength=classes * (classes + 1))
        return cls(table.reshape(classes, classes + 1))

    @property
    def accuracy(self) -> float:
        """Share of the objects that are right."""
        return float(self.matrix.diagonal().sum() / self.matrix.sum())

    @property
    def of_class(self) -> np.ndarray:
        """(K,) share of each class's objects that are right; NaN for a class without objects."""
        count = self.matrix.sum(1)
        right = np.where(count > 0, self.matrix.diagonal(), np.nan)
        return right / np.maximum(count, 1)

    @property
    def class_mean(self) -> float:
        """Mean of :attr:`of_class` over the classes that occur."""
        return float(np.nanmean(self.of_class))


@dataclass(frozen=True)
class RankedAccuracy:
    """Accuracy where the right class may be among the first few guesses.

    Attributes:
        top: Share of the objects whose class is among so many of the highest scores.
        class_mean: Mean over the classes that occur of the share whose class is the first guess.
    """

    top: dict[int, float]
    class_mean: float

    @classmethod
    def of(
        cls, scores: np.ndarray, labels: np.ndarray, ranks: Sequence[int] = (1, 3, 5)
    ) -> RankedAccuracy:
        """Count (S, K) scores against (S,) labels.

        Raises:
            ValueError: If there is nothing to score.
        """
        best = np.argsort(-scores, axis=1, kind="stable")
        right = best == labels[:, None]
        first = Accuracy.of(best[:, 0], labels, scores.shape[1])
        top = {rank: float(right[:, :rank].any(1).mean()) for rank in ranks}
        return cls(top, first.class_mean)

    def __str__(self) -> str:
        shares = ", ".join(f"top-{rank} {100 * share:.2f} %" for rank, share in self.top.items())
        return f"{shares}, mean of classes {100 * self.class_mean:.2f} %"


@dataclass(frozen=True)
class Spread:
    """Accuracies of several folds."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean over the folds."""
        return float(np.mean(self.values))

    @property
    def deviation(self) -> float:
        """Standard deviation over the folds, as published (divided by their number)."""
        return float(np.std(self.values))

    def __str__(self) -> str:
        return f"{100 * self.mean:.1f} ± {100 * self.deviation:.1f} %"


def write_between(document: Path, mark: str, text: str) -> None:
    """Put ``text`` into a document between the lines ``<!-- mark: begin -->`` and ``end``.

    Raises:
        ValueError: If the document lacks these lines.
    """
    begin, end = f"<!-- {mark}: begin -->", f"<!-- {mark}: end -->"
    content = Path(document).read_text(encoding="utf-8")
    if begin not in content or end not in content:
        raise ValueError(f"{document} has no lines to write between, expected {begin} and {end}")
    before, after = content.split(begin)[0], content.split(end)[1]
    Path(document).write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")


def class_table(score: Accuracy, classes: Sequence[str]) -> str:
    """Format each class that occurs, its accuracy and its main confusion as Markdown."""
    lines = ["| class | right | of | most often taken for |", "| --- | ---: | ---: | --- |"]
    names = (*classes, "no class")
    for label, row in enumerate(score.matrix):
        if not row.sum():
            continue
        wrong = np.where(np.arange(len(row)) == label, 0, row)
        other = f"{names[wrong.argmax()]} ({wrong.max()})" if wrong.any() else ""
        share = 100 * score.of_class[label]
        lines.append(f"| {classes[label]} | {share:.1f} % | {row.sum()} | {other} |")
    return "\n".join(lines)
