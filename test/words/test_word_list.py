# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Lists of words: how they are written, and what is refused with which reason."""

from __future__ import annotations

import pytest

from concerto_ros.words.word_list import (
    checked_text,
    checked_words,
    comparable,
    name_of,
    split_words,
    synonyms_of,
)


def test_a_word_is_a_text_or_several_synonyms():
    words = checked_words(["office chair", "  sofa |couch| love  seat "])
    assert words == ("office chair", "sofa|couch|love seat")
    assert name_of(words[1]) == "sofa" and synonyms_of(words[1]) == ("sofa", "couch", "love seat")
    assert synonyms_of(words[0]) == ("office chair",)


def test_words_of_a_command_line_have_commas_between_them():
    assert split_words("office chair, sofa|couch,plant") == ["office chair", "sofa|couch", "plant"]
    with pytest.raises(ValueError, match=r"words\[1\]: got '', expected a text with letters"):
        checked_words(split_words("chair,,plant"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "words: got 0 words, expected 1 to 255"),
        ([""], r"words\[0\]: got '', expected a text with letters"),
        (["chair", "  "], r"words\[1\]: got '', expected a text with letters"),
        (["sofa||couch"], r"words\[0\]: got '', expected a text with letters"),
        (["?!"], r"got '\?!', expected a text with letters"),
        ([f"word {row}" for row in range(10_000)], "got 10000 words, expected 1 to 255"),
        (["w" * 1_000_000], r"got 1000000 characters \('w+'\.\.\.\), expected at most 200"),
        (
            ["|".join(f"word {row}" for row in range(33))],
            "got 33 synonyms .*, expected at most 32",
        ),
        (["chair\n"], r"got 'chair\\n', expected printable characters only"),
        (["a\ud800"], "expected printable characters only"),
        (["chair", "Chair"], r"words\[1\]: 'Chair' is there twice, in 'chair' and 'Chair'"),
        (["sofa|couch", "couch"], r"words\[1\]: 'couch' is there twice, in 'sofa\|couch' and"),
        (["sofa|sofa"], r"words\[0\]: 'sofa' is there twice"),
        (["night_stand", "night stand"], "is there twice"),
        ("chair", "words: got 'chair', expected a list of texts"),
        (None, "words: got None, expected a list of texts"),
        ([3], r"words\[0\]: got 3, expected a text"),
    ],
)
def test_wrong_lists_are_refused_with_what_was_got_and_expected(words, message):
    with pytest.raises(ValueError, match=message) as caught:
        checked_words(words)
    assert len(str(caught.value)) < 400


def test_errors_call_the_list_as_the_caller_does_and_tables_may_be_long():
    with pytest.raises(ValueError, match=r"words.names\[0\]: got ''"):
        checked_words([""], "words.names")
    assert len(checked_words([f"word {row}" for row in range(10_000)], most=None)) == 10_000
    assert checked_words(["mug", "mug|cup"], distinct=False) == ("mug", "mug|cup")


def test_one_text_is_checked_likewise():
    assert checked_text(" something to  sit on ") == "something to sit on"
    with pytest.raises(ValueError, match="text: got 1000 characters"):
        checked_text("x" * 1000)
    with pytest.raises(ValueError, match="text: got b'chair', expected a text"):
        checked_text(b"chair")


def test_a_word_in_another_spelling_is_the_same():
    assert comparable("Night_Stand") == comparable(" night  stand") == "night stand"
