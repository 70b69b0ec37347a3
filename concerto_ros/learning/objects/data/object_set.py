# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A data set of objects in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from concerto_ros.files.digest import digest


@dataclass(frozen=True, eq=False)
class ObjectSet:
    """S objects of P points each.

    Attributes:
        name: Name of the data set, for messages and reports.
        points: (S, P, 3) float32, y up, of about unit size, as object encoders take them.
        labels: (S,) int64, positions in ``classes``.
        classes: Names in label order; not every class needs an object.
        point_labels: (S, P) int64 where the data set has a label for every point, else None.
        whole: For each object (n, 4) float32, x, y, z and label of all points that ``points`` were
            drawn from, where a training draws anew each time; None where there are no more.
        prepared: Whether the points are those that an encoder's ``prepare`` chose, as in the node;
            then the first are taken where a protocol samples the farthest.

    Raises:
        ValueError: If shapes do not match, a label has no class, or values are not finite.
    """

    name: str
    points: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    point_labels: np.ndarray | None = None
    prepared: bool = False
    whole: tuple[np.ndarray, ...] | None = None

    def __post_init__(self):
        shape = self.points.shape
        if len(shape) != 3 or shape[2] != 3 or not shape[1]:
            raise ValueError(f"{self.name}: points have shape {shape}, expected (S, P, 3)")
        if self.labels.shape != shape[:1]:
            raise ValueError(
                f"{self.name}: labels have shape {self.labels.shape}, expected ({shape[0]},)"
            )
        if self.point_labels is not None and self.point_labels.shape != shape[:2]:
            raise ValueError(
                f"{self.name}: labels of points have shape {self.point_labels.shape},"
                f" expected {shape[:2]}"
            )
        unknown = sorted(set(self.labels.tolist()) - set(range(len(self.classes))))
        if unknown:
            raise ValueError(
                f"{self.name}: label {unknown[0]}, expected 0 to {len(self.classes) - 1}"
            )
        bad = np.flatnonzero(~np.isfinite(self.points).all((1, 2)))
        if len(bad):
            raise ValueError(
                f"{self.name}: object {bad[0]} has points that are not finite, expected none"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def identity(self) -> dict[str, Any]:
        """Tell these objects from others, for a run that resumes."""
        return {
            "objects": f"{len(self)} of {self.name}",
            "classes": list(self.classes),
            "points": digest([self.points]),
            "labels": digest([self.labels, self.point_labels]),
        }

    def take(self, rows: Sequence[int] | np.ndarray) -> ObjectSet:
        """Select the objects at ``rows``, in that order."""
        rows = np.asarray(rows, np.int64)
        inner = None if self.point_labels is None else self.point_labels[rows]
        whole = None if self.whole is None else tuple(self.whole[row] for row in rows)
        return replace(
            self,
            points=self.points[rows],
            labels=self.labels[rows],
            point_labels=inner,
            whole=whole,
        )

    def some_of_each(self, count: int, seed: int = 0) -> ObjectSet:
        """Select ``count`` random objects of each class that occurs, class after class.

        Raises:
            ValueError: If a class has fewer.
        """
        rng = np.random.default_rng(seed)
        rows = []
        for label in np.unique(self.labels):
            own = np.flatnonzero(self.labels == label)
            if len(own) < count:
                raise ValueError(
                    f"{self.name}: {self.classes[label]} has {len(own)} objects, expected {count}"
                )
            rows.append(rng.permutation(own)[:count])
        return self.take(np.concatenate(rows))


def join(name: str, sets: Sequence[ObjectSet]) -> ObjectSet:
    """Join several sets of the same classes and number of points.

    Raises:
        ValueError: If their classes differ.
    """
    first = sets[0]
    if any(one.classes != first.classes for one in sets):
        raise ValueError(f"{name}: the sets have different classes, expected the same in all")
    inner = [one.point_labels for one in sets if one.point_labels is not None]
    return ObjectSet(
        name,
        np.concatenate([one.points for one in sets]),
        np.concatenate([one.labels for one in sets]),
        first.classes,
        np.concatenate(inner) if len(inner) == len(sets) else None,
        all(one.prepared for one in sets),
    )
