# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How well objects match words that are known only when a service call asks for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import torch

from concerto_ros.objects.encoders.shared.base import ObjectEncoder
from concerto_ros.objects.words.text_encoder import PUBLISHED, load_text_encoder
from concerto_ros.words.vocabulary import Vocabulary, read_vocabulary

#: Replaces a path for the text encoder that the object encoder was trained with.
OPEN_CLIP = "open_clip"

#: Size of the cache of word vectors: a text encoder takes long.
CACHE_SIZE = 1024


class WordSearch:
    """An object encoder, and the source of vectors for words.

    Args:
        encoder: Embedded the objects that are searched.
        vocabulary_of: Returns the vectors of words; raises ValueError for a word that it lacks.
    """

    def __init__(
        self, encoder: ObjectEncoder, vocabulary_of: Callable[[Sequence[str]], Vocabulary]
    ):
        self._encoder = encoder
        self._vocabulary_of = vocabulary_of
        self._device = next(encoder.parameters()).device

    @classmethod
    def load(cls, source: str, encoder: ObjectEncoder) -> WordSearch:
        """Load a file of :func:`read_vocabulary`, whose names are all the words, or ``open_clip``.

        Nothing is downloaded.

        Args:
            source: The file, or ``open_clip`` for the text encoder that ``encoder`` was trained
                with.
            encoder: The object encoder.

        Raises:
            ValueError: If the file is wrong, or the encoder was not trained with texts; it names
                the node's parameter.
        """
        if not encoder.knows_words:
            raise ValueError(
                f"objects.words: the {encoder.name} file of objects.encoder was not trained with"
                " words; expected a pre-trained file of recon, or one of mixcon3d"
            )
        try:
            of = read_vocabulary(source).of if source != OPEN_CLIP else _asker(encoder.name)
            return cls(encoder, of)
        except (ValueError, OSError, ImportError) as error:
            raise ValueError(f"objects.words: {error}") from error

    @torch.inference_mode()
    def similarities(self, words: Sequence[str], embedded: Sequence[np.ndarray]) -> np.ndarray:
        """Compute (B,) float32 cosines of B objects, each with the word that matches it best.

        Args:
            words: The words to search for.
            embedded: B vectors (D,) float32 of the encoder's ``embed_words``.

        Raises:
            ValueError: If there are no words, one is empty or has no vector, or vectors have
                another width than D.
        """
        words = [word.strip() for word in words]
        if not words or not all(words):
            raise ValueError(f"words: got {words}, expected at least one word, and none empty")
        vocabulary = self._vocabulary_of(words)
        if not len(embedded):
            return np.zeros(0, np.float32)
        objects = torch.from_numpy(np.stack(embedded)).to(self._device)
        return vocabulary.scores(self._encoder, objects).amax(1).cpu().numpy()


def _asker(model: str) -> Callable[[Sequence[str]], Vocabulary]:
    """Return what encodes any words with the text encoder of ``model``."""
    # The node starts the same with and without a network.
    encode = load_text_encoder(model, download=False)

    @lru_cache(CACHE_SIZE)
    def vector(word: str) -> torch.Tensor:
        return Vocabulary.of_words([word], encode, PUBLISHED[model].sentences).vectors[0]

    return lambda words: Vocabulary(tuple(words), torch.stack([vector(word) for word in words]))
