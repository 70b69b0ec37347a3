# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes the table of words that comes with the package: ``assets/words.safetensors``.

    make words

Its words are those of ``config/words/``, the names of the label sets of ``config/labels/``, and
the documented words of the bundled language head.
"""

from __future__ import annotations

from pathlib import Path

from concerto_ros.files.shared_files import asset_path
from concerto_ros.labels.label_set import LabelSet
from concerto_ros.learning.language.word_list import documented_words
from concerto_ros.words.table import make_table, read_word_list
from concerto_ros.words.text_encoder import load_text_encoder
from concerto_ros.words.word_list import comparable, synonyms_of
from concerto_ros.words.word_vectors import SHIPPED

CONFIG = Path(__file__).resolve().parents[1] / "config"


def texts() -> list[str]:
    """Every text of the table once, in alphabetical order."""
    words = [word for path in CONFIG.glob("words/*.txt") for word in read_word_list(path)]
    for path in CONFIG.glob("labels/*.yaml"):
        words += [entry.name for entry in LabelSet.load(path).classes]
    for word in documented_words():
        words += [*word.texts, *word.held_out]
    return sorted({comparable(text) for word in words for text in synonyms_of(word)})


def main() -> None:
    table = make_table(texts(), load_text_encoder("minilm"))
    path = asset_path(SHIPPED)
    table.save(path, half=True)
    print(f"wrote {path}: {len(table.names)} words, {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
