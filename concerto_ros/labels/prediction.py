# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The result of the pipeline for every point."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from concerto_ros.labels.label_set import UNLABELLED, SemanticClass

if TYPE_CHECKING:  # what only handles labels does not wait for PyTorch
    import torch


#: The share of unfamiliar points from which a whole prediction is said to be so. Of simulated
#: scans that were not trained on it is 1 %, and single ones of them may have more.
MUCH_UNFAMILIAR = 0.03

#: Why points are unlabelled that have a voxel and a head, for logs and reports.
NOT_FINITE = (
    "the model's features or scores are not finite there (NaN or infinity); try precision float32,"
    " and if it stays, another checkpoint"
)


@dataclass(frozen=True, eq=False)
class Prediction:
    """Labels, colours and features of N points.

    Attributes:
        points: (N, 3) metres, float32; float64 of a single cloud far from the origin.
        label: (N,) uint8, position in ``classes``; 255 where unlabelled.
        confidence: (N,) float32 in [0, 1], probability of ``label``; 0 where unlabelled.
        entropy: (N,) float32 in [0, 1], entropy of the classes' probabilities as a share of the
            largest possible one: 0 where one class is certain; 1 where unlabelled.
        pca_rgb: (N, 3) uint8, the features' principal components as colours; zeros if not asked
            for.
        classes: the label set, in label order.
        model: names of encoder and head, with "untrained" where the weights are random.
        stamp: nanoseconds, of the newest frame among the points.
        stage_ms: milliseconds of each stage, in the order in which they ran.
        similarity: (N,) float32 in [-1, 1], cosine of each feature with the reference feature of
            the query, or in [0, 1] how well its text fits, a half or more where it is found; NaN
            where the feature is not finite; None without one.
        match: (N,) float32 in [0, 1], probability of the text of the query where that is high
            enough, else 0; NaN as above; None without a text.
        features: (n, C) float32 on the CPU, of the rows that the query names, NaN where they are
            not finite; None if it names none.
        components: (N, K) float32, the features of all points, projected where the query says on
            what; NaN where the model does not see the point; None if the query does not ask.
        unlabelled: of a single cloud, how many points have no label, by reason: ``not_finite``,
            ``stray`` (far from the others), ``below_floor`` (see there), ``output_not_finite``
            (see ``unusable``), ``unfamiliar`` (see there, and the parameter of this name),
            ``no_word`` (see there) and ``no_score`` (the model has no head).
        floor_height: height in metres from which the model counted, in the frame of ``points``:
            the estimate, or the parameter of this name; NaN where the model's height does not
            count from the floor. In a cloud that was turned level: at the middle of its ground.
        tilt: radians by which a single cloud was turned level for the model; 0: as it is.
        below_floor: (N,) bool, stray points that lie alone below the floor; they are unlabelled,
            and the model does not see them; None: there are none.
        unusable: (N,) bool, where the model's features or scores are not finite, so that the point
            is unlabelled; None: nowhere.
        unfamiliar: (N,) bool, where the features are far from those that the model was trained on,
            so that label and confidence are to be doubted; None: the model does not know.
        no_word: (N,) bool, unlabelled because a contrast word wins, or no word is probable enough;
            None: nowhere.
        waiting: (N,) bool, unlabelled because the point is new in the map, and this prediction did
            not cover it: the next one of the same map does, or that of a newer map within a second
            (``inference.region``); None: nowhere.
        instance: (N,) uint32, the id that the object of the point has in ``~/objects``; 0: it is
            part of none that is known; None: nobody asked.
    """

    points: np.ndarray
    label: np.ndarray
    confidence: np.ndarray
    entropy: np.ndarray
    pca_rgb: np.ndarray
    classes: tuple[SemanticClass, ...]
    model: str
    stamp: int
    stage_ms: dict[str, float]
    similarity: np.ndarray | None = None
    features: torch.Tensor | None = None
    unlabelled: dict[str, int] = field(default_factory=dict)
    floor_height: float = math.nan
    tilt: float = 0.0
    below_floor: np.ndarray | None = None
    unusable: np.ndarray | None = None
    unfamiliar: np.ndarray | None = None
    no_word: np.ndarray | None = None
    match: np.ndarray | None = None
    components: np.ndarray | None = None
    waiting: np.ndarray | None = None
    instance: np.ndarray | None = None

    @property
    def not_finite(self) -> int:
        """How many points are unlabelled because of :data:`NOT_FINITE`."""
        return 0 if self.unusable is None else int(np.count_nonzero(self.unusable))

    @property
    def count_below_floor(self) -> int:
        """How many points are unlabelled because they lie alone below the floor."""
        return 0 if self.below_floor is None else int(np.count_nonzero(self.below_floor))

    @property
    def count_unfamiliar(self) -> int:
        """How many points do not look like what the model was trained on."""
        return 0 if self.unfamiliar is None else int(np.count_nonzero(self.unfamiliar))

    @property
    def count_no_word(self) -> int:
        """How many points are unlabelled because no word matches them well enough."""
        return 0 if self.no_word is None else int(np.count_nonzero(self.no_word))

    @property
    def is_unfamiliar(self) -> bool:
        """Whether so many are that that is to be said: :func:`not_like_training`."""
        return self.count_unfamiliar > MUCH_UNFAMILIAR * len(self.label)

    def at(self, points: np.ndarray, rows: np.ndarray) -> Prediction:
        """Transfer labels and colours to other points.

        Args:
            points: (N, 3) metres.
            rows: (N,) the row of this prediction that each point takes; -1: the point is
                unlabelled.
        """
        unseen = np.flatnonzero(rows < 0)

        def of(value: np.ndarray, nothing: float) -> np.ndarray:
            values = value.take(rows, axis=0)  # a copy; faster than value[rows] of more columns
            values[unseen] = nothing
            return values

        def known(value: np.ndarray | None, nothing: float = False) -> np.ndarray | None:
            return None if value is None else of(value, nothing)

        return replace(
            self,
            points=points,
            label=of(self.label, UNLABELLED),
            confidence=of(self.confidence, 0),
            entropy=of(self.entropy, 1),
            pca_rgb=of(self.pca_rgb, 0),
            similarity=known(self.similarity, math.nan),
            match=known(self.match, math.nan),
            components=known(self.components, math.nan),
            features=None,
            unusable=known(self.unusable),
            below_floor=known(self.below_floor),
            unfamiliar=known(self.unfamiliar),
            no_word=known(self.no_word),
            waiting=known(self.waiting),
            instance=known(self.instance, 0),
        )

    def updated(self, rows: np.ndarray, part: Prediction) -> Prediction:
        """Return a copy in which some points have a newer prediction, which gives all the rest.

        Args:
            rows: (n,) rows of this prediction.
            part: the prediction of these n points.
        """

        def joined(old: np.ndarray, new: np.ndarray | float) -> np.ndarray:
            values = old.copy()
            values[rows] = new
            return values

        def known(name: str, nothing: float = False) -> np.ndarray | None:
            old, new = getattr(self, name), getattr(part, name)
            if old is None and new is None:
                return None
            if old is None:
                old = np.full(len(self.label), nothing, new.dtype)
            return joined(old, nothing if new is None else new)

        return replace(
            part,
            points=self.points,
            label=joined(self.label, part.label),
            confidence=joined(self.confidence, part.confidence),
            entropy=joined(self.entropy, part.entropy),
            pca_rgb=joined(self.pca_rgb, part.pca_rgb),
            similarity=known("similarity", math.nan),
            match=known("match", math.nan),
            unusable=known("unusable"),
            below_floor=known("below_floor"),
            unfamiliar=known("unfamiliar"),
            no_word=known("no_word"),
            waiting=known("waiting"),
            instance=known("instance", 0),
        )

    def where(self, keep: np.ndarray | slice) -> Prediction:
        """Return the prediction of some of the points.

        Args:
            keep: a mask (N,), row numbers (n,), or a slice.
        """
        return replace(
            self,
            points=self.points[keep],
            label=self.label[keep],
            confidence=self.confidence[keep],
            entropy=self.entropy[keep],
            pca_rgb=self.pca_rgb[keep],
            similarity=None if self.similarity is None else self.similarity[keep],
            match=None if self.match is None else self.match[keep],
            components=None if self.components is None else self.components[keep],
            features=None,
            unusable=None if self.unusable is None else self.unusable[keep],
            below_floor=None if self.below_floor is None else self.below_floor[keep],
            unfamiliar=None if self.unfamiliar is None else self.unfamiliar[keep],
            no_word=None if self.no_word is None else self.no_word[keep],
            waiting=None if self.waiting is None else self.waiting[keep],
            instance=None if self.instance is None else self.instance[keep],
        )


def not_like_training(preset: str) -> str:
    """Say what is wrong where much of a prediction is unfamiliar, for people.

    Args:
        preset: that of the model; it tells which mix-up is likely.
    """
    model, scan = ("outdoor", "indoor") if preset == "outdoor" else ("indoor", "outdoor")
    return f"this does not look like what the model was trained on ({model} model, {scan} scan?)"
