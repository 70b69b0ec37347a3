# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The documented words: names, what means the same, and synonyms kept for the evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from concerto_ros.words.word_list import checked_text, comparable

#: The words of simulated rooms.
DOCUMENTED = Path(__file__).with_name("words.yaml")
#: The text encoder whose space heads learn, unless another one is asked for.
TEXT_ENCODER = "minilm"
#: What heads learn to tell all words apart from: words that fit everything and nothing.
CONTRAST = ("object", "thing")
#: Value of ``class`` of a name that is a class itself.
SELF = "self"
_FIELDS = ("name", "class", "includes", "synonyms", "held_out")


@dataclass(frozen=True)
class Word:
    """A name and what means the same.

    Attributes:
        name: The name.
        class_name: The class of which it names a part; its own name where it is a class, empty
            where it belongs to none.
        includes: Other names of things that one who says this name means as well: a school desk is
            a desk.
        synonyms: Words that a head is trained with beside the name.
        held_out: Words that no head is trained with.
    """

    name: str
    class_name: str = ""
    synonyms: tuple[str, ...] = ()
    held_out: tuple[str, ...] = ()
    includes: tuple[str, ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """What a head is trained with: the name and its synonyms."""
        return (self.name, *self.synonyms)

    @property
    def is_class(self) -> bool:
        """Whether it is a class, not a part of one."""
        return self.name == self.class_name


def read_words(path: Path) -> tuple[Word, ...]:
    """Read a list of words: YAML like ``words.yaml`` beside this file.

    Raises:
        ValueError: An entry is wrong; the message names file, entry and field.
        OSError: The file cannot be read.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not a readable YAML file: {error}") from error
    if not isinstance(content, list) or not content:
        raise ValueError(f"{path}: expected a list of words, each with a name")
    words = tuple(_word(entry, f"{path}: word {row}") for row, entry in enumerate(content, 1))
    names = [comparable(word.name) for word in words]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{path}: name {twice[0]!r} is there twice, expected each name once")
    for word in words:
        unknown = sorted(set(map(comparable, word.includes)) - set(names))
        if unknown:
            raise ValueError(
                f"{path}: {word.name} includes {unknown[0]!r}, expected names in the same file"
            )
    return words


@cache
def documented_words() -> tuple[Word, ...]:
    """The words of simulated rooms, classes first."""
    return read_words(DOCUMENTED)


def words_for(names: Sequence[str], known: Iterable[Word]) -> tuple[Word, ...]:
    """The words of some names, with the synonyms that are known.

    Within one list a text means one thing: a synonym that is another word's name, or a synonym of
    an earlier word, is left out.

    Args:
        names: Of a label set or fine names, all different.
        known: Words with synonyms; a name that is not there has none.
    """
    by_name = {comparable(word.name): word for word in known}
    words = [by_name.get(comparable(name), Word(name)) for name in names]
    taken = {comparable(name) for name in names}
    result = []
    for name, word in zip(names, words, strict=True):
        kept = [text for text in word.synonyms if comparable(text) not in taken]
        taken |= {comparable(text) for text in kept}
        result.append(replace(word, name=name, synonyms=tuple(kept)))
    return tuple(result)


def meant_by(words: Sequence[Word]) -> np.ndarray:
    """Which names one means who says another.

    Returns:
        (F, F) bool: in row i and column j whether a thing called the i-th name is meant by the
            j-th. A class means all its parts.
    """
    meant = np.eye(len(words), dtype=bool)
    for column, word in enumerate(words):
        for row, other in enumerate(words):
            part = word.is_class and other.class_name == word.name
            meant[row, column] |= part or other.name in word.includes
    return meant


def _word(entry: Any, where: str) -> Word:
    if not isinstance(entry, dict) or "name" not in entry or not set(entry) <= set(_FIELDS):
        raise ValueError(f"{where}: got {entry!r}, expected name and, of these, {_FIELDS[1:]}")
    name = checked_text(entry["name"], f"{where}: name")
    of = entry.get("class", "")
    if not isinstance(of, str):
        raise ValueError(f"{where}: class is {of!r}, expected the name of a class, or {SELF}")
    texts = {}
    for field in ("includes", "synonyms", "held_out"):
        value = entry.get(field, [])
        if not isinstance(value, list):
            raise ValueError(f"{where}: {field} is {value!r}, expected a list of words")
        texts[field] = tuple(checked_text(text, f"{where}: {field}") for text in value)
    trained = {comparable(text) for text in (name, *texts["synonyms"])}
    both = [text for text in texts["held_out"] if comparable(text) in trained]
    if both:
        raise ValueError(f"{where}: held_out has {both[0]!r}, which it is trained with as well")
    return Word(name, name if of == SELF else of, **texts)
