# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Classification of objects by an object encoder."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch

from concerto_ros.objects.encoders.loading import load_object_encoder
from concerto_ros.objects.encoders.shared.base import NONE_OF_THESE, ObjectEncoder
from concerto_ros.objects.finding.instances import Instance, LabelledCloud
from concerto_ros.objects.words.zero_shot import SCANOBJECTNN_NAMES
from concerto_ros.ptv3.kernels.host_copies import sent

#: At most this many objects go through the encoder together.
BATCH = 16

#: At most this many hypotheses are kept, the best ones.
ANSWERS = 5

#: Where no class is at least this likely, an encoder with ``NONE_OF_THESE`` has rejected the
#: object. On the objects that the bundled encoder is tested on, the limit costs one right result
#: in a hundred.
MIN_SURE = 0.25


@dataclass(frozen=True, eq=False)
class Classification:
    """The encoder's result for one object.

    Attributes:
        hypotheses: (class name, softmax probability), best first, only those more likely than
            ``NONE_OF_THESE``; empty for an encoder without a head, and for one with that class
            that is not sure.
        embedding: (F,) float32, None where not asked for.
        word_embedding: (D,) float32, to be compared with words; None where not asked for.
    """

    hypotheses: tuple[tuple[str, float], ...]
    embedding: np.ndarray | None
    word_embedding: np.ndarray | None = None


class ObjectClassifier:
    """An object encoder and the names of its classes.

    Args:
        encoder: The encoder.
        names: Of its classes in their order; see :func:`class_names`.

    Raises:
        ValueError: If the numbers of names and classes differ.
    """

    def __init__(self, encoder: ObjectEncoder, names: Sequence[str] = ()):
        self.encoder = encoder
        self.names = class_names(encoder, names)
        #: Whether to compute embeddings that can be compared with words.
        self.words = False
        self._device = next(encoder.parameters()).device
        self._stream = _own_stream(self._device)

    @classmethod
    def load(cls, path: str, names: Sequence[str], device: torch.device) -> ObjectClassifier:
        """Load from a published file.

        Args:
            path: The file, or ``demo``.
            names: Of the encoder's classes; see :func:`class_names`.
            device: Where the encoder runs.

        Raises:
            ValueError: If the file or the names are wrong; it names the node's parameter.
        """
        try:
            encoder = load_object_encoder(path)
        except ValueError as error:
            raise ValueError(f"objects.encoder: {error}") from error
        return cls(encoder.to(device), names)

    def prepare(self, cloud: LabelledCloud, instance: Instance) -> torch.Tensor:
        """Prepare one object as the encoder takes it.

        Raises:
            ValueError: If it has too few points.
        """
        rows = instance.rows
        colors = None
        if cloud.colors is not None and cloud.has_color is not None:
            # Bytes, whose unit need not be told by their values.
            means = np.rint(cloud.colors[rows]).astype(np.uint8)
            colors = means if cloud.has_color[rows].all() else None
        return self.encoder.prepare(cloud.points[rows], colors)

    @torch.inference_mode()
    def answer(
        self, objects: Sequence[torch.Tensor], embeddings: bool
    ) -> list[Classification | None]:
        """Classify prepared objects, each independently of the others.

        Returns:
            One for each object; None where scores or embeddings are not finite.
        """
        # An encoder whose results depend on the rest of the batch gets a batch of one.
        size = BATCH if self.encoder.per_object else 1
        answers: list[Classification | None] = []
        with nullcontext() if self._stream is None else torch.cuda.stream(self._stream):
            for start in range(0, len(objects), size):
                batch = sent(torch.stack(list(objects[start : start + size])), self._device)
                answers += self._answer_batch(batch, embeddings)
        return answers

    def _answer_batch(self, batch: torch.Tensor, embeddings: bool) -> list[Classification | None]:
        hypotheses: list = [()] * len(batch)
        embedded: list = [None] * len(batch)
        worded: list = [None] * len(batch)
        finite = np.ones(len(batch), bool)
        if self.names:
            scores = self.encoder.classify(batch).float().cpu()
            finite &= scores.isfinite().all(dim=1).numpy()
            best = scores.softmax(dim=1).sort(dim=1, descending=True, stable=True)
            hypotheses = [
                self._hypotheses(*pair)
                for pair in zip(
                    best.indices[:, :ANSWERS].tolist(),
                    best.values[:, :ANSWERS].tolist(),
                    strict=True,
                )
            ]
        if embeddings:
            embedded = list(self.encoder.embed(batch).float().cpu().numpy())
            finite &= [np.isfinite(vector).all() for vector in embedded]
        if self.words:
            worded = list(self.encoder.embed_words(batch).float().cpu().numpy())
            finite &= [np.isfinite(vector).all() for vector in worded]
        return [
            Classification(*parts) if known else None
            for known, *parts in zip(finite, hypotheses, embedded, worded, strict=True)
        ]

    def _hypotheses(
        self, labels: Sequence[int], scores: Sequence[float]
    ) -> tuple[tuple[str, float], ...]:
        """Name the results, best first, as far as they are more likely than ``NONE_OF_THESE``."""
        if NONE_OF_THESE in self.names and scores[0] < MIN_SURE:
            return ()
        named = [(self.names[label], score) for label, score in zip(labels, scores, strict=True)]
        known = [name != NONE_OF_THESE for name, _ in named]
        return tuple(named if all(known) else named[: known.index(False)])


def _own_stream(device: torch.device) -> torch.cuda.Stream | None:
    """Return a stream on which objects are no part of the queue that labels wait for.

    None on a CPU.
    """
    if device.type != "cuda":
        return None
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))  # for the weights
    return stream


def class_names(encoder: ObjectEncoder, names: Sequence[str]) -> tuple[str, ...]:
    """Return names of the encoder's classes; () for one without a head.

    Args:
        encoder: The encoder.
        names: Names to use; empty for those in the encoder's file, else ScanObjectNN's for 15
            classes, else class_0, class_1, ...

    Raises:
        ValueError: If the numbers of names and classes differ.
    """
    count = encoder.classes or 0
    if not names:
        if encoder.class_names:
            return encoder.class_names
        if count == len(SCANOBJECTNN_NAMES):
            return SCANOBJECTNN_NAMES
        return tuple(f"class_{label}" for label in range(count))
    if len(names) != count:
        raise ValueError(
            f"objects.encoder_classes: got {len(names)} names, expected {count}, one for each"
            " class of the encoder"
        )
    return tuple(names)
