# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How well objects suit words that are only known when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import torch

from concerto_ros.objects.encoders.shared.base import ObjectEncoder
from concerto_ros.objects.words.text_encoder import PUBLISHED, load_text_encoder
from concerto_ros.objects.words.vocabulary import Vocabulary, read_vocabulary

#: Stands in place of a path for the text encoder that the object encoder was trained with.
OPEN_CLIP = "open_clip"

#: So many words keep their vectors: a text encoder takes long.
KEPT = 1024


class WordSearch:
    """An object encoder, and what turns words into vectors that it compares."""

    def __init__(
        self, encoder: ObjectEncoder, vocabulary_of: Callable[[Sequence[str]], Vocabulary]
    ):
        """``vocabulary_of`` gives the vectors of words, ValueError for one that it lacks."""
        self._encoder = encoder
        self._vocabulary_of = vocabulary_of
        self._device = next(encoder.parameters()).device

    @classmethod
    def load(cls, source: str, encoder: ObjectEncoder) -> WordSearch:
        """By a file of :func:`read_vocabulary`, whose names are all the words, or ``open_clip``.

        Nothing is downloaded. Raises ValueError naming the parameter of the node that is wrong,
        also for an encoder that knows no words.
        """
        if not encoder.knows_words:
            raise ValueError(
                f"objects.words: this file of {encoder.name} knows no words; expected recon as"
                " pre-trained for zero-shot, or mixcon3d, for objects.encoder"
            )
        try:
            of = read_vocabulary(source).of if source != OPEN_CLIP else _asker(encoder.name)
            return cls(encoder, of)
        except (ValueError, OSError, ImportError) as error:
            raise ValueError(f"objects.words: {error}") from error

    @torch.inference_mode()
    def similarities(self, words: Sequence[str], embedded: Sequence[np.ndarray]) -> np.ndarray:
        """(B,) float32 cosines of B objects, (D,) each, with the word that suits each best.

        embedded: float32, of the encoder's ``embed_words``. Raises ValueError for no words, empty
        ones, words without a vector, and vectors of another width than D.
        """
        words = [word.strip() for word in words]
        if not words or not all(words):
            raise ValueError(f"words: got {words}, expected at least one, and none empty")
        vocabulary = self._vocabulary_of(words)
        if not len(embedded):
            return np.zeros(0, np.float32)
        objects = torch.from_numpy(np.stack(embedded)).to(self._device)
        return vocabulary.scores(self._encoder, objects).amax(1).cpu().numpy()


def _asker(model: str) -> Callable[[Sequence[str]], Vocabulary]:
    """What asks the text encoder that goes with ``model`` about any words."""
    # The node starts the same with and without a network.
    encode = load_text_encoder(model, download=False)

    @lru_cache(KEPT)
    def vector(word: str) -> torch.Tensor:
        return Vocabulary.of_words([word], encode, PUBLISHED[model].sentences).vectors[0]

    return lambda words: Vocabulary(tuple(words), torch.stack([vector(word) for word in words]))
