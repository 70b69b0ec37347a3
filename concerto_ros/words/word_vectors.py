# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Vectors of words from tables, from the disk, or from a text encoder, whichever knows them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch.nn.functional import normalize

from concerto_ros.files.error_text import one_line
from concerto_ros.files.shared_files import asset_path
from concerto_ros.words.prompts import checked_template, prompt, template_of
from concerto_ros.words.text_encoder import TextEncoder, load_text_encoder
from concerto_ros.words.vector_cache import VectorCache
from concerto_ros.words.vocabulary import Vocabulary, read_vocabulary
from concerto_ros.words.word_list import checked_words, comparable, name_of, synonyms_of

#: The table that comes with the package.
SHIPPED = "words.safetensors"


class WordVectors:
    """The vectors of any words in the space of one text encoder, with one prompt template.

    A text is looked up in the tables, then in the cache on the disk; where neither has it, the
    text encoder is loaded, if it is installed, and the cache filled. Nothing is downloaded. An
    instance may be used by several threads.

    Args:
        encoder: Name of the text encoder, as of
            :func:`~concerto_ros.words.text_encoder.load_text_encoder`.
        tables: Tables of its vectors, asked in this order and before the package's own.
        template: The prompt template, with ``{name}`` in it; None or empty for the encoder's own.
        cache: Where vectors are kept; None for the package's cache folder.

    Attributes:
        encoder: Name of the text encoder of all vectors.
        template: Prompt template of all vectors.

    Raises:
        ValueError: If there is no such encoder, the template lacks its place for the name, or a
            table is of another encoder, template or width.
    """

    def __init__(
        self,
        encoder: str,
        tables: Sequence[Vocabulary] = (),
        template: str | None = None,
        *,
        cache: VectorCache | None = None,
    ):
        self.encoder = encoder
        self.template = checked_template(template or template_of(encoder))
        shipped = _shipped_table()
        given, tables = tables, (*tables, *([shipped] if self._fits(shipped) else []))
        for table in given:
            self._check(table, tables[-1].width)
        self._width = tables[0].width if tables else None
        self._known = {
            comparable(name): vector
            for table in reversed(tables)
            for name, vector in zip(table.names, normalize(table.vectors), strict=True)
        }
        self._in_tables = len(self._known)
        self._cache = VectorCache() if cache is None else cache
        self._loaded: TextEncoder | None = None
        self._lock = threading.Lock()

    def of(self, words: Sequence[str]) -> Vocabulary:
        """Return the unit vectors of words; the mean of several synonyms is normalised again.

        Args:
            words: Texts, or synonyms with ``|`` between them, of which the first is the name:
                ``sofa|couch|settee``.

        Raises:
            ValueError: If the list of words is wrong, or nothing knows the vector of one.
        """
        words = checked_words(words, most=None, distinct=False)
        texts = [tuple(map(comparable, synonyms_of(word))) for word in words]
        with self._lock:
            asked = dict.fromkeys(text for word in texts for text in word)
            self._learn([text for text in asked if text not in self._known])
            rows = [torch.stack([self._known[text] for text in word]).mean(0) for word in texts]
        vectors = normalize(torch.stack(rows))
        return Vocabulary(tuple(map(name_of, words)), vectors, self.encoder, self.template)

    def _learn(self, texts: Sequence[str]) -> None:
        """Make the vectors of texts known that no table has."""
        missing = []
        for text in texts:
            vector = self._cache.get(self.encoder, self.template, text)
            if vector is None or len(vector) != (self._width or len(vector)):
                missing.append(text)
            else:
                self._add(text, vector)
        if not missing:
            return
        encode = self._text_encoder(missing)
        vectors = encode([prompt(self.template, text) for text in missing])
        if vectors.shape[1] != (self._width or vectors.shape[1]):
            raise ValueError(
                f"the tables of words have {self._width} channels, expected {vectors.shape[1]}:"
                f" they are not of the text encoder {self.encoder}"
            )
        for text, vector in zip(missing, vectors, strict=True):
            if not vector.isfinite().all() or not vector.any():
                raise ValueError(
                    f"word {text!r}: its vector by {self.encoder} is zero or not finite"
                )
            self._cache.put(self.encoder, self.template, text, vector)
            self._add(text, vector)

    def _add(self, text: str, vector: torch.Tensor) -> None:
        self._width = len(vector)
        self._known[text] = normalize(vector, dim=0)

    def _text_encoder(self, missing: Sequence[str]) -> TextEncoder:
        if self._loaded is None:
            try:
                self._loaded = load_text_encoder(self.encoder)
            except (ImportError, ValueError, OSError) as error:
                more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
                raise ValueError(
                    f"word {missing[0]!r}{more}: not among the {self._in_tables} of the tables of"
                    f" {self.encoder}, nor in {self._cache.folder}, and {one_line(error)}; or"
                    " write a table where the encoder runs: concerto-ros words encode"
                    f" {missing[0]!r} --encoder {self.encoder} -o words.safetensors"
                ) from error
        return self._loaded

    def _check(self, table: Vocabulary, width: int) -> None:
        """Refuse a table of another text encoder, template or width."""
        if not self._fits(table):
            raise ValueError(
                f"the table of {', '.join(table.names[:3])}, ... is of the text encoder"
                f" {table.encoder!r} with the template {table.template!r}, expected"
                f" {self.encoder!r} with {self.template!r}"
            )
        if table.width != width:
            raise ValueError(
                f"the tables of {self.encoder} have {width} and {table.width} channels, expected"
                " one width"
            )

    def _fits(self, table: Vocabulary) -> bool:
        """Whether a table is of this encoder and template, as far as it says."""
        return table.encoder in ("", self.encoder) and table.template in ("", self.template)


@lru_cache
def _shipped_table() -> Vocabulary:
    return read_vocabulary(asset_path(SHIPPED))
