# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The documented words of simulated rooms, and lists of one's own."""

from __future__ import annotations

import pytest

from concerto_ros.learning.language.word_list import (
    Word,
    documented_words,
    meant_by,
    read_words,
    words_for,
)
from concerto_ros.sim import CLASSES


def test_the_classes_and_many_fine_names_are_documented_with_synonyms_kept_apart():
    words = documented_words()
    classes = [word for word in words if word.is_class]
    assert tuple(word.name for word in classes) == CLASSES
    assert all(word.class_name in CLASSES for word in words)
    # One synonym of each class is kept for the evaluation: no head may be trained with it.
    held_out = [word.held_out[0] for word in classes]
    trained = {text for word in words for text in word.texts}
    assert len(held_out) == len(CLASSES) and not trained & set(held_out)
    fine = {word.name for word in words} - set(CLASSES)
    assert len(fine) >= 50
    assert {
        "office chair", "armchair", "stool", "bookshelf", "wardrobe", "desk", "dining table",
        "floor lamp", "potted plant", "radiator", "whiteboard", "window", "curtain", "picture",
    } <= fine  # fmt: skip


def test_within_one_list_a_text_means_one_thing():
    known = [Word("table", synonyms=("desk", "board")), Word("shelf", synonyms=("board", "rack"))]
    words = words_for(["table", "desk", "shelf", "lamp"], known)
    assert [word.texts for word in words] == [
        ("table", "board"), ("desk",), ("shelf", "rack"), ("lamp",),
    ]  # fmt: skip


def test_a_list_of_ones_own_is_read(tmp_path):
    path = tmp_path / "words.yaml"
    path.write_text(
        "- {name: tank, class: vessel, synonyms: [vat], held_out: [cistern]}\n- name: pump\n"
    )
    assert read_words(path) == (Word("tank", "vessel", ("vat",), ("cistern",)), Word("pump"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "expected a list of words"),
        ("- {synonyms: [vat]}", "word 1: got .*expected name and"),
        ("- {name: tank, colour: red}", "word 1: got .*expected name and"),
        ("- {name: ''}", "word 1: name: got ''"),
        ("- {name: tank, synonyms: vat}", "word 1: synonyms is 'vat', expected a list"),
        ("- {name: tank, synonyms: [vat], held_out: [Vat]}", "held_out has 'Vat', which it is"),
        ("- name: tank\n- name: Tank", "name 'tank' is there twice"),
        ("- {name: tank, includes: [barrel]}", "tank includes 'barrel', expected names in the"),
        ("- {name: [", "not a readable YAML file"),
    ],
)
def test_what_is_wrong_with_a_list_is_named(tmp_path, text, message):
    path = tmp_path / "words.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"words.yaml: .*{message}|words.yaml: {message}"):
        read_words(path)


def test_a_class_means_its_parts_and_a_name_what_it_includes():
    words = (
        Word("table", "table"),
        Word("desk", "table", includes=("school desk",)),
        Word("school desk", "table"),
    )
    assert meant_by(words).tolist() == [
        [True, False, False], [True, True, False], [True, True, True],
    ]  # fmt: skip
