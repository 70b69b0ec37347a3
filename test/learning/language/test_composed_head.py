# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A language head made of the linear heads of classes and fine names."""

from __future__ import annotations

import pytest
import torch

from concerto_ros.heads.linear import LinearHead
from concerto_ros.learning.language.composed import compose_language_head
from concerto_ros.learning.language.train import Vocabularies
from concerto_ros.learning.language.word_list import Word
from concerto_ros.ptv3.bundled import NamesHead
from concerto_ros.words.vocabulary import Vocabulary

LABELS = (Word("floor", "floor", ("ground",)), Word("seat", "seat", ("something to sit on",)))
NAMES = (
    Word("floor", "floor", ("ground",)),
    Word("stool", "seat", ("bar stool",)),
    Word("bench", "seat"),
    Word("lamp"),
)
# A fine name may be a synonym of its class as well: then it is the fine name.
LABELS = (*LABELS[:1], Word("seat", "seat", ("something to sit on", "stool")))
WORDS = Vocabularies(LABELS, NAMES, ("object",))
CHANNELS = 20


class Texts:
    """A random vector for each text."""

    encoder, template = "stand-in", "{name}"

    def __init__(self, width=16):
        self.width = width

    def of(self, words):
        return Vocabulary(tuple(words), torch.stack([self.vector(word) for word in words]))

    def vector(self, text):
        return torch.randn(self.width, generator=torch.Generator().manual_seed(sum(text.encode())))


@pytest.fixture(scope="module")
def heads():
    torch.manual_seed(1)
    names = ("lamp", "bench", "not asked for", "floor", "stool")
    return LinearHead(CHANNELS, 2, name="two"), NamesHead(names, LinearHead(CHANNELS, 5))


def test_cosines_tell_names_and_classes_apart_as_the_linear_heads_do(heads):
    classes, known = heads
    head = compose_language_head(classes, known, WORDS, Texts())
    feat = torch.randn(300, CHANNELS, generator=torch.Generator().manual_seed(2)) * 4
    for word, linear, columns in (
        (NAMES[1:], known.head, [4, 1, 0]),
        (LABELS, classes, [0, 1]),
    ):
        understood = head.understood(Texts().of([each.name for each in word]).vectors)
        cosines = head.vectors(feat) @ torch.nn.functional.normalize(understood, dim=1).T
        wanted = linear.seg_head(feat)[:, columns].argmax(1)
        assert (cosines.argmax(1) == wanted).double().mean() > 0.98


def test_a_synonym_is_what_its_name_is_and_a_class_is_not_the_name(heads):
    head = compose_language_head(*heads, WORDS, Texts())
    text = Texts().vector
    understood = head.understood(
        torch.stack([text(each) for each in ("bar stool", "stool", "ground", "floor", "seat")])
    )
    torch.testing.assert_close(understood[0], understood[1], atol=1e-4, rtol=0)
    torch.testing.assert_close(understood[2], understood[3], atol=1e-4, rtol=0)
    torch.testing.assert_close(understood[3], head.anchors[0], atol=1e-4, rtol=0)
    texts = len(head.trained_words)
    assert [wholes for _, wholes in head.rivals] == [(texts,), (texts + 1,), (texts + 1,), ()]
    rivals = head.rivals_of(text("seat")[None])
    assert rivals.compete[0].tolist() == [True, False, False, True]
    assert rivals.belong[0].tolist() == [False, True, True, False]


def test_a_model_that_lacks_a_name_and_a_space_that_is_too_narrow_are_refused(heads):
    classes, known = heads
    with pytest.raises(ValueError, match="not learned the fine name 'floor', expected all 4"):
        compose_language_head(classes, NamesHead(("lamp",), known.head), WORDS, Texts())
    with pytest.raises(ValueError, match="has 5 directions, expected at least 6"):
        compose_language_head(classes, known, WORDS, Texts(5))
