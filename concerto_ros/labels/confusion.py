# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Confusion matrix, with IoU and accuracy as Pointcept computes them, to be comparable."""

from __future__ import annotations

import numpy as np

from concerto_ros.labels.label_set import UNLABELLED


class Confusion:
    """Counts of (true, predicted) labels, added up over any number of clouds.

    Attributes:
        num_classes: K.
        matrix: (K, K + 1) int64; row: true class, column: predicted class, the last column for
            points that got none (255). Points without a true label do not count at all.
    """

    def __init__(self, num_classes: int):
        self.num_classes = num_classes
        self.matrix = np.zeros((num_classes, num_classes + 1), dtype=np.int64)

    def add(self, predicted: np.ndarray, true: np.ndarray) -> None:
        """Count the points of a cloud.

        Args:
            predicted: (N,) integer labels, 255 for none.
            true: (N,) integer labels, 255 for none.

        Raises:
            ValueError: the arrays differ in length, or hold another label.
        """
        predicted, true = np.asarray(predicted).ravel(), np.asarray(true).ravel()
        if len(predicted) != len(true):
            raise ValueError(
                f"predicted has {len(predicted)} rows, expected {len(true)} as in true"
            )
        known = true != UNLABELLED
        predicted, true = predicted[known].astype(np.int64), true[known].astype(np.int64)
        for name, value in (("true", true), ("predicted", predicted[predicted != UNLABELLED])):
            wrong = value[(value < 0) | (value >= self.num_classes)]
            if len(wrong):
                raise ValueError(
                    f"{name} holds label {wrong[0]}, expected 0 to {self.num_classes - 1} or 255"
                )
        predicted = np.where(predicted == UNLABELLED, self.num_classes, predicted)
        size = self.num_classes * (self.num_classes + 1)
        flat = np.bincount(true * (self.num_classes + 1) + predicted, minlength=size)
        self.matrix += flat.reshape(self.matrix.shape)

    def add_scores(self, scores: np.ndarray, true: np.ndarray) -> None:
        """Count the points of a cloud by the class with the highest score.

        Args:
            scores: (N, K) of any unit. Points whose scores are not finite got no label.
            true: (N,) integer labels, 255 for none.

        Raises:
            ValueError: as :meth:`add`.
        """
        finite = np.isfinite(scores).all(axis=1)
        self.add(np.where(finite, scores.argmax(axis=1), UNLABELLED), true)

    def __add__(self, other: Confusion) -> Confusion:
        result = Confusion(self.num_classes)
        result.matrix = self.matrix + other.matrix
        return result

    @property
    def support(self) -> np.ndarray:
        """Number of points that truly are of each class, (K,) int64."""
        return self.matrix.sum(axis=1)

    @property
    def present(self) -> np.ndarray:
        """Whether each class occurs among the true or the predicted labels, (K,) bool."""
        return self._union > 0

    @property
    def iou(self) -> np.ndarray:
        """Intersection over union of each class, (K,) float64; 0 for one that never occurs."""
        return self._hits / np.maximum(self._union, 1)

    @property
    def accuracy(self) -> np.ndarray:
        """Share of the points of each class that are predicted as such (recall), (K,) float64."""
        return self._hits / np.maximum(self.support, 1)

    @property
    def mean_iou(self) -> float:
        """Mean IoU over all classes of the set; those that never occur count as 0.

        This is the mIoU of Pointcept, whose benchmarks hold every class; see
        :attr:`present_mean_iou`.
        """
        return float(self.iou.mean())

    @property
    def present_mean_iou(self) -> float:
        """Mean IoU over the classes that occur; 0 where nothing was counted."""
        return float(self.iou[self.present].mean()) if self.present.any() else 0.0

    @property
    def mean_accuracy(self) -> float:
        """Mean of :attr:`accuracy` over all classes of the set (mAcc)."""
        return float(self.accuracy.mean())

    @property
    def all_accuracy(self) -> float:
        """Share of all points with a true label that are predicted correctly (allAcc)."""
        return float(self._hits.sum() / max(self.matrix.sum(), 1))

    @property
    def _hits(self) -> np.ndarray:
        return np.diagonal(self.matrix).astype(np.float64)

    @property
    def _union(self) -> np.ndarray:
        return self.support + self.matrix[:, :-1].sum(axis=0) - np.diagonal(self.matrix)
