# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Lists of words: how synonyms are written, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

#: Between the synonyms of one word; the first of them is the name of the class.
SEPARATOR = "|"

#: At most this many words are looked for at once: labels are bytes, and 255 means no label.
MOST_WORDS = 255

#: At most this many synonyms has one word.
MOST_SYNONYMS = 32

#: Characters of one text at most. The text encoders read some 60 pieces of a text, no more.
LONGEST_TEXT = 200

#: At most this many characters of a wrong value are shown.
_SHOWN = 60


def checked_words(
    words: Sequence[str],
    field: str = "words",
    most: int | None = MOST_WORDS,
    *,
    distinct: bool = True,
) -> tuple[str, ...]:
    """Check a list of words, each a text or several synonyms: ``sofa|couch|settee``.

    Args:
        words: The list.
        field: What errors call it, such as the name of a parameter.
        most: How many words are allowed; None for any number.
        distinct: Whether the words are classes, of which each text names one.

    Returns:
        The words without superfluous blanks.

    Raises:
        ValueError: If there is no word or too many, or one is no text, empty, too long, not
            printable, or there twice.
    """
    if isinstance(words, (str, bytes)) or not isinstance(words, Sequence):
        raise ValueError(f"{field}: got {_shown(words)}, expected a list of texts")
    if not words or (most is not None and len(words) > most):
        expected = "at least one" if most is None else f"1 to {most}"
        raise ValueError(f"{field}: got {len(words)} words, expected {expected}")
    checked = tuple(
        SEPARATOR.join(_checked_texts(word, f"{field}[{row}]")) for row, word in enumerate(words)
    )
    if not distinct:
        return checked
    owners: dict[str, str] = {}
    for row, word in enumerate(checked):
        for text in synonyms_of(word):
            if comparable(text) in owners:
                raise ValueError(
                    f"{field}[{row}]: {_shown(text)} is there twice, in"
                    f" {_shown(owners[comparable(text)])} and {_shown(word)}; expected each text"
                    " once"
                )
            owners[comparable(text)] = word
    return checked


def checked_text(text: str, field: str = "text") -> str:
    """Check one text that is asked for, and return it without superfluous blanks.

    Raises:
        ValueError: If it is no text, empty, too long, or not printable.
    """
    if not isinstance(text, str):
        raise ValueError(f"{field}: got {_shown(text)}, expected a text")
    if len(text) > LONGEST_TEXT:
        raise ValueError(
            f"{field}: got {len(text)} characters ({_shown(text)}), expected at most"
            f" {LONGEST_TEXT}"
        )
    if not text.isprintable():
        raise ValueError(f"{field}: got {_shown(text)}, expected printable characters only")
    text = " ".join(text.split())
    if not any(character.isalnum() for character in text):
        raise ValueError(f"{field}: got {_shown(text)}, expected a text with letters")
    return text


def synonyms_of(word: str) -> tuple[str, ...]:
    """Return the texts of a word, the name of its class first."""
    return tuple(text.strip() for text in word.split(SEPARATOR))


def name_of(word: str) -> str:
    """Return the name of the class of a word: the first of its synonyms."""
    return synonyms_of(word)[0]


def comparable(text: str) -> str:
    """Return what is encoded for a text, in lower case: ``night stand`` for ``Night_stand``.

    The text encoders were trained in lower case, or make no difference.
    """
    return " ".join(text.replace("_", " ").split()).lower()


def split_words(text: str) -> list[str]:
    """Return the words of a text with commas between them: ``sofa|couch, potted plant``."""
    return [word.strip() for word in text.split(",")]


def _checked_texts(word: str, field: str) -> Iterator[str]:
    if not isinstance(word, str):
        raise ValueError(f"{field}: got {_shown(word)}, expected a text")
    if word.count(SEPARATOR) >= MOST_SYNONYMS:
        raise ValueError(
            f"{field}: got {word.count(SEPARATOR) + 1} synonyms ({_shown(word)}), expected at most"
            f" {MOST_SYNONYMS}"
        )
    return (checked_text(text, field) for text in word.split(SEPARATOR))


def _shown(value: object) -> str:
    text = repr(value[:_SHOWN] if isinstance(value, (str, bytes)) else value)
    cut = len(text) > 2 * _SHOWN or (isinstance(value, (str, bytes)) and len(value) > _SHOWN)
    return f"{text[: 2 * _SHOWN]}..." if cut else text
