# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Questions for names: which answers count as right, and the page that lists them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from training_data import small_encoder

from concerto_ros.heads.language import LanguageHead
from concerto_ros.heads.scoring import Softmax
from concerto_ros.labels.confusion import Confusion
from concerto_ros.learning.data.labelled_scan import NO_NAME
from concerto_ros.learning.language.bundled import Measured, bundled_words
from concerto_ros.learning.language.document import PART, measured_part
from concerto_ros.learning.language.finding import Answer, Finder, rates
from concerto_ros.learning.methods.feature_cache import Features

WORDS = torch.eye(6)
CHAIR, DESK, SCHOOL_DESK, PIANO = range(4)
OBJECT = 4


@pytest.fixture
def finder():
    """A head whose vectors are the first channels of the features of the finest level."""
    encoder = small_encoder()
    head = LanguageHead(sum(encoder.channels), 6)
    with torch.no_grad():
        head.weight.zero_()[:, :6] = torch.eye(6)
        head.bias.zero_()
    head.scoring = Softmax(0.1)
    head.trained_words = WORDS[: OBJECT + 1]
    head.meanings = ("",) * (OBJECT + 1)
    head.rivals = tuple((row, ()) for row in range(OBJECT + 1))
    meant = np.eye(4, dtype=bool)
    meant[SCHOOL_DESK, DESK] = True
    return Finder(encoder, head, WORDS[:4], meant)


def scan(encoder_channels, *blocks):
    """Blocks of (vector, true name, voxels), each far from the others."""
    vectors, names, grid = [], [], []
    for number, (vector, name, count) in enumerate(blocks):
        vectors += [vector] * count
        names += [name] * count
        grid += [(20 * number + i % 5, i // 5 % 5, i // 25) for i in range(count)]
    feats = [torch.zeros(len(names), encoder_channels[0])]
    feats[0][:, :6] = torch.stack(vectors)
    feats += [torch.zeros(1, width) for width in encoder_channels[1:]]
    clusters = (torch.zeros(len(names), dtype=torch.int64), torch.zeros(1, dtype=torch.int64))
    features = Features(
        tuple(feats), clusters, torch.zeros(len(names), dtype=torch.int64), torch.tensor(names)
    )
    return features, np.array(grid)


def asked(finder, *blocks, threshold=0.55):
    features, grid = scan(small_encoder().channels, *blocks)
    return {a.name: a for a in finder.answers(features, grid, range(4), (threshold,))[0]}


def test_the_best_group_of_voxels_answers_and_a_name_may_mean_another(finder):
    answers = asked(
        finder,
        (WORDS[CHAIR] + 0.6 * WORDS[OBJECT], CHAIR, 100),
        (WORDS[DESK], SCHOOL_DESK, 60),
        (WORDS[CHAIR], NO_NAME, 5),  # too few voxels for an answer
        (WORDS[OBJECT], NO_NAME, 80),
    )
    assert answers[CHAIR].there and answers[CHAIR].right and 0.9 < answers[CHAIR].score < 1
    assert answers[DESK].there and answers[DESK].right  # a school desk is one
    assert answers[SCHOOL_DESK].there and not answers[SCHOOL_DESK].score
    assert not answers[PIANO].there and not answers[PIANO].score
    assert rates(list(answers.values())) == (2 / 3, 1.0)


def test_what_rivals_or_the_threshold_win_is_not_found(finder):
    blocks = [(WORDS[CHAIR] + WORDS[OBJECT] * 0.9, CHAIR, 100), (WORDS[PIANO], DESK, 100)]
    assert asked(finder, *blocks)[CHAIR].right
    assert not asked(finder, *blocks, threshold=0.9)[CHAIR].score
    wrong = asked(finder, *blocks)[PIANO]
    assert not wrong.there and wrong.score > 0.9 and not wrong.right


def test_an_answer_ends_where_the_probability_falls_to_half_of_its_best(finder):
    other = WORDS[CHAIR] + WORDS[OBJECT]
    features, grid = scan(
        small_encoder().channels, (WORDS[CHAIR], CHAIR, 50), (other, NO_NAME, 120)
    )
    grid[50:, 0] -= 15  # beside the chair
    for threshold, right in ((0.1, True), (0.3, True)):
        answer = finder.answers(features, grid, [CHAIR], (threshold,))[0][0]
        assert answer.right is right


def test_rates_are_means_over_names_not_over_questions():
    common = [Answer(0, True, 0.9, True)] * 9 + [Answer(1, True, 0.9, False)]
    assert rates([*common, Answer(2, False, 0.0, False)]) == (0.5, 1.0)


def test_the_page_gets_classes_shares_and_names():
    classes = len(bundled_words().labels)
    perfect, half = Confusion(classes), Confusion(classes)
    truth = np.repeat(np.arange(classes), 10)
    perfect.add(truth, truth)
    half.add(np.where(np.arange(len(truth)) % 2, truth, 0), truth)
    row = next(i for i, w in enumerate(bundled_words().names) if w.name == "office chair")
    answers = (Answer(row, True, 0.9, True), Answer(row, False, 0.0, False))
    text = measured_part(Measured({"linear head": perfect, "names": half}, answers, 7, 1))
    assert "| of the linear head's | 1.00 | 0.4" in text
    assert "right, of names that are there | 100 %" in text and "office chair 1/1" in text
    assert "| chair | 100.0 | 50.0 | seat |" in text


def test_the_page_has_the_place_for_it():
    from concerto_ros.files.shared_files import source_path
    from concerto_ros.learning.language.document import DOCUMENT

    text = source_path(DOCUMENT).read_text(encoding="utf-8")
    assert f"<!-- measured {PART}: begin -->" in text
