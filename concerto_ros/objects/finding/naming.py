# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the objects of a cloud are, by an object encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from concerto_ros.objects.encoders.loading import load_object_encoder
from concerto_ros.objects.encoders.shared.base import NONE_OF_THESE, ObjectEncoder
from concerto_ros.objects.finding.instances import Instance, LabelledCloud
from concerto_ros.objects.words.zero_shot import SCANOBJECTNN_NAMES

#: At most so many objects go through the encoder together.
BATCH = 16

#: So many of the best answers are kept.
ANSWERS = 5

#: An encoder that may answer none of these has said so where no name is as likely as this. Of the
#: objects that the encoder in the box is tested on, it costs one right answer in a hundred.
MIN_SURE = 0.25


@dataclass(frozen=True, eq=False)
class Classification:
    """What an encoder says about one object.

    Attributes
    ----------
    hypotheses: (class name, softmax probability), best first, but none that is less likely than
        ``NONE_OF_THESE``; empty for an encoder without head, and where one that may say so is
        not sure.
    embedding: (F,) float32, None where not asked for.
    word_embedding: (D,) float32, to be compared with words; None where not asked for.
    """

    hypotheses: tuple[tuple[str, float], ...]
    embedding: np.ndarray | None
    word_embedding: np.ndarray | None = None


class ObjectClassifier:
    """An object encoder and the names of its classes."""

    def __init__(self, encoder: ObjectEncoder, names: Sequence[str] = ()):
        """``names``: of the encoder's classes in their order; see :func:`class_names`.

        Raises ValueError where there are not as many names as classes.
        """
        self.encoder = encoder
        self.names = class_names(encoder, names)
        #: Whether answers are to be compared with words.
        self.words = False
        self._device = next(encoder.parameters()).device

    @classmethod
    def load(cls, path: str, names: Sequence[str], device: torch.device) -> ObjectClassifier:
        """From a published file; ValueError names the parameter of the node that is wrong."""
        try:
            encoder = load_object_encoder(path)
        except ValueError as error:
            raise ValueError(f"objects.encoder: {error}") from error
        return cls(encoder.to(device), names)

    def prepare(self, cloud: LabelledCloud, instance: Instance) -> torch.Tensor:
        """One object as the encoder takes it; ValueError for one that says nothing."""
        rows = instance.rows
        colored = cloud.has_color is not None and cloud.has_color[rows].all()
        return self.encoder.prepare(cloud.points[rows], cloud.colors[rows] if colored else None)

    @torch.inference_mode()
    def answer(self, objects: Sequence[torch.Tensor], embeddings: bool) -> list[Classification]:
        """The answer to each prepared object, whatever the others are."""
        # An encoder whose answers depend on the others of a batch gets a batch of one.
        size = BATCH if self.encoder.per_object else 1
        answers = []
        for start in range(0, len(objects), size):
            batch = torch.stack(list(objects[start : start + size])).to(self._device)
            answers += self._answer_batch(batch, embeddings)
        return answers

    def _answer_batch(self, batch: torch.Tensor, embeddings: bool) -> list[Classification]:
        hypotheses: list = [()] * len(batch)
        embedded: list = [None] * len(batch)
        worded: list = [None] * len(batch)
        if self.names:
            scores = self.encoder.classify(batch).float().softmax(dim=1).cpu()
            best = scores.sort(dim=1, descending=True, stable=True)
            hypotheses = [
                self._told(*pair)
                for pair in zip(
                    best.indices[:, :ANSWERS].tolist(),
                    best.values[:, :ANSWERS].tolist(),
                    strict=True,
                )
            ]
        if embeddings:
            embedded = list(self.encoder.embed(batch).float().cpu().numpy())
        if self.words:
            worded = list(self.encoder.embed_words(batch).float().cpu().numpy())
        return [Classification(*parts) for parts in zip(hypotheses, embedded, worded, strict=True)]

    def _told(
        self, places: Sequence[int], scores: Sequence[float]
    ) -> tuple[tuple[str, float], ...]:
        """Names and scores, best first, as far as they are likelier than none of them."""
        if NONE_OF_THESE in self.names and scores[0] < MIN_SURE:
            return ()
        found = [(self.names[place], score) for place, score in zip(places, scores, strict=True)]
        known = [name != NONE_OF_THESE for name, _ in found]
        return tuple(found if all(known) else found[: known.index(False)])


def class_names(encoder: ObjectEncoder, names: Sequence[str]) -> tuple[str, ...]:
    """Names of the encoder's classes; () for one without head.

    Where none are given: those that its file tells, of ScanObjectNN for 15 classes, else class_0,
    class_1, ...
    """
    count = encoder.classes or 0
    if not names:
        if encoder.class_names:
            return encoder.class_names
        if count == len(SCANOBJECTNN_NAMES):
            return SCANOBJECTNN_NAMES
        return tuple(f"class_{place}" for place in range(count))
    if len(names) != count:
        raise ValueError(
            f"objects.encoder_classes: got {len(names)} names, expected {count} as the encoder has"
            " classes"
        )
    return tuple(names)
