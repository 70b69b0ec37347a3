# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The models of a pipeline: the encoder, and what labels by its features, a head or words."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import cached_property

import torch

from concerto_ros.heads.linear import LinearHead
from concerto_ros.heads.similarity import FeatureQuery
from concerto_ros.heads.taught_classes import TaughtClasses
from concerto_ros.labels.label_set import LabelSet
from concerto_ros.labels.prediction import Prediction
from concerto_ros.mapping.map_snapshot import MapSnapshot
from concerto_ros.ptv3 import Encoder
from concerto_ros.ptv3.kernels.usable_device import why_unusable
from concerto_ros.segmentation.carried_state import CarriedState
from concerto_ros.segmentation.feature_encoder import FeatureEncoder
from concerto_ros.segmentation.inference import Inference
from concerto_ros.segmentation.label_source import WordSource
from concerto_ros.segmentation.labeller import Labeller
from concerto_ros.segmentation.loading import load_words
from concerto_ros.segmentation.model_options import (
    check_intensity,
    convention_of,
    grid_size_for,
    naming,
)
from concerto_ros.segmentation.point_words import PointWords
from concerto_ros.settings.settings import Settings


class Models:
    """An encoder, and the head or the words that label by its features.

    Attributes:
        settings: the parameters, with the values of the preset and the voxel size of the encoder.
        encoder: the backbone that computes the features.
        convention: scale and centre of the coordinates that the encoder takes.
        taught: the head or the words that label, and the classes, with those that were taught.
    """

    def __init__(
        self, settings: Settings, encoder: Encoder, head: LinearHead | None, labels: LabelSet
    ):
        grid_size = grid_size_for(encoder, settings.preset)
        self.settings = settings.with_preset().with_voxel_size(grid_size)
        self.encoder = encoder
        self._loaded = head, labels
        self.use(TaughtClasses(head, labels))
        self.convention = convention_of(encoder, self.settings.preset, head)
        check_intensity(head, self.settings.intensity_white)
        self._feature_encoder = FeatureEncoder(
            encoder, precision=settings.precision, cpu_fallback=settings.cpu_fallback
        )
        automatic = settings.device == "auto" and self.device.type == "cpu"
        self._why_cpu = why_unusable(torch.device("cuda")) if automatic else ""
        if self.settings.words.names:
            with naming("words.names"):
                self.set_words(self.settings.words.names)

    def use(self, taught: TaughtClasses) -> None:
        """Label with ``taught`` from the next prediction on; the fusion of labels restarts."""
        self.taught = taught
        self._labeller = self._labeller_of(taught)

    def set_words(
        self,
        names: Sequence[str] | None,
        threshold: float | None = None,
        colors: Sequence[tuple[int, int, int]] | None = None,
    ) -> None:
        """Label with words from the next prediction on; the fusion of labels restarts.

        Classes that were taught stay: those of the words are refined, others are added to them.

        Args:
            names: the words, each possibly with synonyms (``sofa|couch``), of which the first is
                the name of the class; None: label with the head again.
            threshold: the probability that a word must have to be the label of a point; None: the
                parameter ``words.threshold``.
            colors: (red, green, blue), 0..255, of each class; None: chosen.

        Raises:
            ValueError: a word is not accepted or has no vector, or the language head or the table
                cannot be loaded; the labels stay as they are.
        """
        self.use(self.classes_of(names, threshold, colors))

    def classes_of(
        self,
        names: Sequence[str] | None,
        threshold: float | None = None,
        colors: Sequence[tuple[int, int, int]] | None = None,
    ) -> TaughtClasses:
        """Return what :meth:`set_words` with the same arguments uses, for :meth:`use`."""
        if names is None:
            return self.taught.on(*self._loaded)
        words = self._words_source(names, threshold, colors)
        return self.taught.on(words, words.labels)

    @cached_property
    def words(self) -> PointWords:
        """The language head and the vectors of words, loaded at first use.

        Raises:
            SettingsError: (a ValueError) they cannot be loaded, or do not fit the encoder.
        """
        return load_words(self.settings, self.encoder)

    def text_vector(self, text: str) -> torch.Tensor:
        """Return the unit vector (D,) of a text in the text space of the language head.

        Raises:
            ValueError: the text is not accepted or has no vector, or the language head or the
                table cannot be loaded.
        """
        return self.words.vector(text)

    def text_query(self, text: str, threshold: float | None = None) -> FeatureQuery:
        """Return the query with which :meth:`infer` compares the voxels with a text.

        Args:
            text: what is looked for, possibly with synonyms (``sofa|couch``).
            threshold: the probability that a voxel must have; None: the parameter
                ``words.find_threshold``.

        Raises:
            ValueError: the text is not accepted or has no vector.
        """
        if threshold is None:
            threshold = self.settings.words.find_threshold
        return FeatureQuery(match=self.words.question(text, threshold))

    def _words_source(
        self,
        names: Sequence[str],
        threshold: float | None,
        colors: Sequence[tuple[int, int, int]] | None,
        field: str = "words",
    ) -> WordSource:
        if threshold is None:
            threshold = self.settings.words.threshold
        return self.words.source(names, field=field, threshold=threshold, colors=colors)

    def _labeller_of(self, taught: TaughtClasses) -> Labeller:
        words = taught.head if isinstance(taught.head, WordSource) else None
        head = taught.head if isinstance(taught.head, LinearHead) else self._loaded[0]
        return Labeller(head, taught.labels, self.encoder, self.settings.fusion.seconds, words)

    def _predict(
        self,
        snapshot: MapSnapshot,
        carried: CarriedState,
        labeller: Labeller,
        outputs: Collection[str],
        question: FeatureQuery | None,
        above: float = 0.0,
    ) -> Prediction:
        inference = Inference(self.settings, self.convention, self._feature_encoder)
        prediction = inference(snapshot, carried, labeller, outputs, question, above)
        return replace(prediction, model=self._model(labeller))

    @property
    def head(self) -> LinearHead | None:
        """The linear head as it was loaded or taught, which :meth:`set_words` sets aside."""
        return self._labeller.head

    @property
    def labels(self) -> LabelSet:
        """The classes, in label order."""
        return self._labeller.labels

    @property
    def labels_are_words(self) -> bool:
        """Whether the classes are those of :meth:`set_words`."""
        return isinstance(self.taught.head, WordSource)

    @property
    def model(self) -> str:
        """Names of encoder and head, for messages and logs."""
        return self._model(self._labeller)

    def _model(self, labeller: Labeller) -> str:
        if labeller.source is None:
            return f"{self.encoder.name}, no head"
        if labeller.source.name == self.encoder.name:
            return self.encoder.name
        return f"{self.encoder.name} + {labeller.source.name}"

    @property
    def trained(self) -> bool:
        """Whether encoder and head have trained weights, so that the labels are meaningful."""
        return self.encoder.trained and (self.head is None or self.head.trained)

    @property
    def device(self) -> torch.device:
        """The device that computes; the CPU after another device's memory was not enough."""
        return self._feature_encoder.device

    @property
    def why_cpu(self) -> str:
        """Why ``device: auto`` is no GPU, in PyTorch's words; empty where it is one or not set."""
        return self._why_cpu

    @property
    def dtype(self) -> torch.dtype:
        """The floating-point type of the models' weights."""
        return self._feature_encoder.dtype

    @property
    def backend(self) -> str:
        """Name of the kernels that compute: ``torch``, ``native``, ``triton`` or ``spconv``."""
        return self._feature_encoder.backend

    @property
    def degraded_reason(self) -> str:
        """Why the models run degraded because memory ran out; empty while they do not."""
        return self._feature_encoder.degraded_reason

    def capture_graphs(self) -> bool:
        """Prepare the GPU for clouds like the newest ones; returns whether that was due.

        A CUDA graph launches all kernels of a cloud at once. To capture one takes as long as
        several clouds, so :meth:`infer` and :meth:`segment` never do it: whoever calls them for
        cloud after cloud calls this in between, in the same thread, while nobody waits. Without a
        GPU it does nothing.
        """
        return self._feature_encoder.capture_graphs()
