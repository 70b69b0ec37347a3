# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The report of an evaluation, for people and for programs."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from concerto_ros.labels.confusion import Confusion
from concerto_ros.labels.label_set import LabelSet
from concerto_ros.learning.evaluation.report import (
    class_table,
    confusion_picture,
    summary,
    write_report,
)

CLASSES = LabelSet.from_generic(3)


def score_of(predicted, true, count=3):
    score = Confusion(count)
    score.add(np.array(predicted), np.array(true))
    return score


SCORE = score_of([0, 0, 0, 1, 255], [0, 0, 1, 1, 1])


def test_a_row_for_each_class_and_a_dash_where_there_is_none():
    rows = class_table(SCORE, CLASSES).splitlines()[2:]
    assert rows == [
        "| class_0 | 66.7 | 100.0 | 66.7 | 2 |",
        "| class_1 | 33.3 | 33.3 | 100.0 | 3 |",
        "| class_2 | – | – | – | 0 |",
    ]


def test_the_summary_says_what_absent_classes_do():
    said = summary(SCORE)
    assert "mIoU 33.3 %, mAcc 44.4 %, allAcc 60.0 %" in said
    assert "1 of 3 classes never occur" in said and "mIoU 50.0 %" in said
    assert "never" not in summary(score_of([0, 1, 2], [0, 1, 2]))


def test_the_picture_is_strong_where_the_answers_are():
    image = confusion_picture(score_of([0, 0, 1, 2], [0, 1, 1, 2]), CLASSES).astype(int)
    blue = np.argwhere((image[..., 2] - image[..., 0]) > 100)
    red = np.argwhere((image[..., 0] - image[..., 2]) > 100)
    assert len(blue) > len(red) > 100  # two classes always right, one every other time
    assert red[:, 1].mean() < blue[:, 1].mean()


@pytest.mark.parametrize("count", [1, 24, 200])
def test_the_picture_holds_any_number_of_classes(count):
    labels = np.arange(count)
    image = confusion_picture(score_of(labels, labels, count), LabelSet.from_generic(count))
    assert image.dtype == np.uint8 and image.shape[2] == 3 and max(image.shape) < 4000


def test_files_are_written_for_both(tmp_path):
    paths = write_report(tmp_path / "new", SCORE, CLASSES, title="a test", facts={"scans": 4})
    text, content = paths[0].read_text(), json.loads(paths[1].read_text())
    assert text.startswith("# a test") and "- scans: 4" in text and "| class_1 |" in text
    assert content["mIoU"] == SCORE.mean_iou and content["confusion"] == SCORE.matrix.tolist()
    assert Image.open(paths[2]).size[0] > 100
