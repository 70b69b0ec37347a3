# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Metrics against counting by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from concerto_ros.labels.confusion import Confusion

CLASSES = 4
LABELS = st.sampled_from([0, 1, 2, 3, 255])
PAIRS = st.lists(st.tuples(LABELS, LABELS), max_size=60)


def by_hand(pairs):
    """IoU and accuracy per class with sets of points, as Pointcept's evaluation does it."""
    pairs = [(p, t) for p, t in pairs if t != 255]
    iou, accuracy = [], []
    for label in range(CLASSES):
        predicted = {i for i, (p, _) in enumerate(pairs) if p == label}
        true = {i for i, (_, t) in enumerate(pairs) if t == label}
        iou.append(len(predicted & true) / (len(predicted | true) + 1e-10))
        accuracy.append(len(predicted & true) / (len(true) + 1e-10))
    right = sum(p == t for p, t in pairs)
    return iou, accuracy, right / (len(pairs) + 1e-10)


def confusion_of(pairs):
    score = Confusion(CLASSES)
    array = np.array(pairs, dtype=np.uint8).reshape(-1, 2)
    score.add(array[:, 0], array[:, 1])
    return score


@settings(max_examples=100, deadline=None)
@given(PAIRS)
def test_numbers_are_those_of_counting(pairs):
    score = confusion_of(pairs)
    iou, accuracy, all_accuracy = by_hand(pairs)
    assert score.iou == pytest.approx(iou, abs=1e-6)
    assert score.accuracy == pytest.approx(accuracy, abs=1e-6)
    assert score.mean_iou == pytest.approx(np.mean(iou), abs=1e-6)
    assert score.mean_accuracy == pytest.approx(np.mean(accuracy), abs=1e-6)
    assert score.all_accuracy == pytest.approx(all_accuracy, abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(PAIRS, PAIRS)
def test_clouds_add_up(first, second):
    together = confusion_of(first + second)
    assert np.array_equal((confusion_of(first) + confusion_of(second)).matrix, together.matrix)


def test_classes_that_never_occur_count_as_zero_and_are_told_apart():
    score = confusion_of([(0, 0), (1, 1)])
    assert score.mean_iou == 0.5 and score.present_mean_iou == 1.0
    assert score.present.tolist() == [True, True, False, False]


def test_an_unlabelled_answer_is_a_miss():
    score = confusion_of([(255, 0), (0, 0)])
    assert score.iou[0] == 0.5 and score.all_accuracy == 0.5


def test_nothing_counted_is_no_error():
    score = Confusion(3)
    assert score.mean_iou == score.all_accuracy == score.present_mean_iou == 0.0


@pytest.mark.parametrize(
    ("predicted", "true", "message"),
    [([4], [0], "predicted holds label 4"), ([0], [7], "true holds label 7"), ([0], [], "1 rows")],
)
def test_labels_that_are_none_are_refused(predicted, true, message):
    with pytest.raises(ValueError, match=message):
        Confusion(CLASSES).add(np.array(predicted, int), np.array(true, int))


def test_scores_that_are_not_finite_are_no_prediction():
    scores = np.array(
        [[1, 3, 2, 0], [np.nan] * 4, [0, np.inf, 0, 0], [0, 1, np.nan, 0]], np.float32
    )
    score = Confusion(CLASSES)
    score.add_scores(scores, np.array([1, 0, 1, 1]))
    assert score.matrix[1].tolist() == [0, 1, 0, 0, 2] and score.matrix[0].tolist() == [0] * 4 + [
        1
    ]
