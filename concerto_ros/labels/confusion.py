# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How good labels are: IoU and accuracy as Pointcept counts them, so that numbers compare."""

from __future__ import annotations

import numpy as np

from concerto_ros.labels.label_set import UNLABELLED


class Confusion:
    """Counts of (true, predicted) labels, added up over any number of clouds.

    Attributes
    ----------
    matrix: (K, K + 1) int64; row: true class, column: predicted class, the last column for
        points that got none (255). Points without a true label do not count at all.
    """

    def __init__(self, num_classes: int):
        self.num_classes = num_classes
        self.matrix = np.zeros((num_classes, num_classes + 1), dtype=np.int64)

    def add(self, predicted: np.ndarray, true: np.ndarray) -> None:
        """Count a cloud: two (N,) integer arrays of labels, 255 where there is none."""
        predicted, true = np.asarray(predicted).ravel(), np.asarray(true).ravel()
        if len(predicted) != len(true):
            raise ValueError(f"predicted has {len(predicted)} rows, true {len(true)}")
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

    def __add__(self, other: Confusion) -> Confusion:
        result = Confusion(self.num_classes)
        result.matrix = self.matrix + other.matrix
        return result

    @property
    def support(self) -> np.ndarray:
        """(K,) int64: points that truly are of each class."""
        return self.matrix.sum(axis=1)

    @property
    def present(self) -> np.ndarray:
        """(K,) bool: classes that occur among the true or the predicted labels."""
        return self._union > 0

    @property
    def iou(self) -> np.ndarray:
        """(K,) float64: intersection over union; 0 for a class that never occurs."""
        return self._hits / np.maximum(self._union, 1)

    @property
    def accuracy(self) -> np.ndarray:
        """(K,) float64: share of the class's points that are labelled so (recall)."""
        return self._hits / np.maximum(self.support, 1)

    @property
    def mean_iou(self) -> float:
        """mIoU: over all classes of the set, those that never occur counting as 0.

        So Pointcept does it, whose benchmarks hold every class; see :attr:`present_mean_iou`.
        """
        return float(self.iou.mean())

    @property
    def present_mean_iou(self) -> float:
        """mIoU over the classes that occur; 0 where nothing was counted."""
        return float(self.iou[self.present].mean()) if self.present.any() else 0.0

    @property
    def mean_accuracy(self) -> float:
        """mAcc: mean of :attr:`accuracy` over all classes of the set."""
        return float(self.accuracy.mean())

    @property
    def all_accuracy(self) -> float:
        """allAcc: share of all labelled points that are right."""
        return float(self._hits.sum() / max(self.matrix.sum(), 1))

    @property
    def _hits(self) -> np.ndarray:
        return np.diagonal(self.matrix).astype(np.float64)

    @property
    def _union(self) -> np.ndarray:
        return self.support + self.matrix[:, :-1].sum(axis=0) - np.diagonal(self.matrix)
