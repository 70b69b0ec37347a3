# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Tables of words: a text encoder's vectors of a list, for robots that do without the encoder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch.nn.functional import normalize

from concerto_ros.files.error_text import one_line
from concerto_ros.words.prompts import checked_template, prompt, template_of
from concerto_ros.words.text_encoder import TextEncoder
from concerto_ros.words.vocabulary import Vocabulary
from concerto_ros.words.word_list import checked_words, comparable, synonyms_of

#: What begins the rest of a line that is no word.
COMMENT = "#"

#: Bytes of a file with a list of words at most.
LARGEST_LIST = 1 << 20


def make_table(
    words: Sequence[str], encoder: TextEncoder, template: str | None = None
) -> Vocabulary:
    """Encode every text of a list of words, each synonym by itself.

    Args:
        words: Any number of words, with ``|`` between synonyms.
        encoder: The text encoder.
        template: The prompt template; None or empty for the encoder's own.

    Returns:
        Unit vectors of the texts in lower case, each once, in the order of the list.

    Raises:
        ValueError: If the list or the template is wrong, or a vector is not finite.
    """
    template = checked_template(template or template_of(encoder.name))
    words = checked_words(words, most=None, distinct=False)
    texts = tuple(dict.fromkeys(comparable(text) for word in words for text in synonyms_of(word)))
    vectors = encoder([prompt(template, text) for text in texts])
    return Vocabulary(texts, normalize(vectors), encoder.name, template)


def read_word_list(path: Path) -> tuple[str, ...]:
    """Read a file with one word per line, ``|`` between its synonyms, and ``#`` before comments.

    Raises:
        ValueError: If a line is no word, the file is no text or too large, or has no word.
        OSError: If the file cannot be read.
    """
    if path.stat().st_size > LARGEST_LIST:
        raise ValueError(
            f"{path}: got {path.stat().st_size} bytes, expected a list of words of at most"
            f" {LARGEST_LIST}"
        )
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: expected a list of words, but {one_line(error)}") from error
    words: list[str] = []
    for number, line in enumerate(lines, 1):
        word = line.partition(COMMENT)[0].strip()
        if word:
            words += checked_words([word], f"{path}: line {number}")
    if not words:
        raise ValueError(f"{path}: got no word, expected one per line")
    return tuple(words)
