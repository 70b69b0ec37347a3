# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Zero-shot: classification by class names alone, by an encoder that was trained with words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from concerto_ros.learning.objects.data.object_set import ObjectSet
from concerto_ros.learning.objects.training.embedding import embed_words
from concerto_ros.learning.objects.training.recipes import benchmark_of
from concerto_ros.objects.encoders.shared.base import ObjectEncoder
from concerto_ros.objects.words.text_encoder import PUBLISHED, load_text_encoder
from concerto_ros.objects.words.zero_shot import SCANOBJECTNN_NAMES
from concerto_ros.words.vocabulary import Vocabulary, read_vocabulary


def zero_shot(
    encoder: ObjectEncoder,
    test: ObjectSet,
    layout: str,
    *,
    words: Path | None = None,
    device: torch.device | str = "cpu",
    progress: bool = False,
) -> np.ndarray:
    """Return (S, K) float32: how well each class's name matches each object, cosines.

    Args:
        encoder: An encoder that was trained with words.
        test: The objects.
        layout: Layout of the data set, for the published options.
        words: A file with vectors of the names; None to encode them with open_clip as published.
        device: Where the encoder runs.
        progress: Whether to show a progress bar.

    Raises:
        ValueError: If the encoder was not trained with words, or the file lacks a name.
    """
    options = encoder.word_options(benchmark_of(layout))
    embedded = embed_words(encoder, test, options=options, device=device, progress=progress)
    if words is not None:
        vocabulary = read_vocabulary(words, test.classes)
    else:
        text = PUBLISHED[encoder.name]
        names = text.scanobjectnn if test.classes == SCANOBJECTNN_NAMES else test.classes
        vocabulary = Vocabulary.of_words(names, load_text_encoder(encoder.name), text.sentences)
    return vocabulary.scores(encoder.cpu(), torch.from_numpy(embedded)).numpy()
