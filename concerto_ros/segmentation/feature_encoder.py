# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Feature encoding within limited memory: give up CUDA graphs, split the cloud, or use the CPU."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Collection
from functools import partial
from typing import NamedTuple

import numpy as np
import torch

from concerto_ros.heads.finite_rows import finite_voxels
from concerto_ros.heads.pca import CoarseFeatures
from concerto_ros.heads.similarity import FeatureAnswers, FeatureQuery
from concerto_ros.ptv3.cuda_graphs.graphs import GraphedFeatures
from concerto_ros.ptv3.encoder import Encoder, Pyramid
from concerto_ros.ptv3.kernels.backends import choose_backend
from concerto_ros.ptv3.kernels.out_of_memory import is_out_of_memory
from concerto_ros.ptv3.precision import automatic_precision
from concerto_ros.segmentation.labeller import Labeller
from concerto_ros.segmentation.model_input import ModelInput
from concerto_ros.segmentation.out_of_memory_split import ChunkedInference, Values
from concerto_ros.stopwatch import Stopwatch

_log = logging.getLogger(__name__)


class Encoded(NamedTuple):
    """What was computed from the features of V voxels; None for what was not asked for.

    Attributes:
        scores: (V, K) logits of the columns of the labeller's source.
        coarse: (M, C) features of a coarse level.
        coarse_rows: (V,) int64, the row of ``coarse`` that each voxel has.
        similarity: (V,) float32 cosine, see :class:`FeatureQuery`.
        match: (V,) float32 probability of a text, see there.
        components: (V, K) float32, the features of all voxels, see there.
        features: (n, C) float32 on the CPU, of the rows that the query names.
        unfamiliar: (V,) bool, whether the features of each voxel are far from those of the
            training; None where the head does not know, too.
        finite: (V,) bool, whether the features of each voxel are finite; never None. Scores and
            similarity are NaN where they are not.
    """

    scores: torch.Tensor | None
    coarse: torch.Tensor | None
    coarse_rows: torch.Tensor | None
    similarity: np.ndarray | None
    match: np.ndarray | None
    components: np.ndarray | None
    features: torch.Tensor | None
    unfamiliar: torch.Tensor | None
    finite: torch.Tensor

    def of(self, rows: np.ndarray) -> Encoded:
        """Return what was computed of some of the voxels, (n,) int64 rows."""
        chosen = torch.from_numpy(rows)

        def at(value: torch.Tensor | None) -> torch.Tensor | None:
            return None if value is None else value.index_select(0, chosen.to(value.device))

        return self._replace(
            scores=at(self.scores),
            coarse_rows=at(self.coarse_rows),
            similarity=None if self.similarity is None else self.similarity[rows],
            match=None if self.match is None else self.match[rows],
            components=None if self.components is None else self.components[rows],
            unfamiliar=at(self.unfamiliar),
            finite=self.finite.index_select(0, chosen.to(self.finite.device)),
        )


class FeatureEncoder:
    """Encodes a cloud and reduces its features at once to what the outputs need.

    The features of all rows at full width would not fit into memory. Where the device's memory is
    still not enough, the CUDA graphs are released first; then the cloud is split; and where not
    even small parts fit, the encoder moves to the CPU for good, if that is allowed.

    Attributes:
        device: where the encoder computes.
        dtype: the floating-point type of its weights.
        backend: name of the kernels it uses.
    """

    def __init__(self, encoder: Encoder, *, precision: str, cpu_fallback: bool):
        """Take over ``encoder``, whose device and weight type may change later.

        Args:
            encoder: the backbone.
            precision: the parameter ``precision``.
            cpu_fallback: the parameter ``cpu_fallback``.
        """
        self._encoder = encoder
        self._precision, self._cpu_fallback = precision, cpu_fallback
        weights = next(encoder.parameters())
        self.device, self.dtype = weights.device, weights.dtype
        self._moved = False
        self._start()

    def _start(self) -> None:
        self.backend = choose_backend(self._encoder.backend, self.device).name
        self._features = GraphedFeatures(self._encoder)
        self._chunked = ChunkedInference()

    @property
    def degraded_reason(self) -> str:
        """Why the models run degraded because memory ran out; empty while they do not."""
        if self._moved:
            return "the device ran out of memory: the models run on the CPU until configured again"
        if self._chunked.max_rows is not None:
            return (
                f"the device ran out of memory: the map is divided into chunks of at most"
                f" {self._chunked.max_rows} voxels, which costs accuracy where they meet"
            )
        return ""

    def capture_graphs(self) -> bool:
        """Capture a CUDA graph for clouds like the newest ones, if one is due; whether it was.

        To be called between clouds, by the thread that encodes them.
        """
        return self._features.capture()

    def encode(
        self,
        model_input: ModelInput,
        outputs: Collection[str],
        labeller: Labeller,
        question: FeatureQuery | None,
        stopwatch: Stopwatch,
    ) -> Encoded:
        """Encode one cloud and compute what ``outputs`` and ``question`` need.

        Args:
            model_input: the voxels of the cloud.
            outputs: ``labels`` and ``pca`` or one of them.
            labeller: computes the scores; without a source there are none.
            question: a query about the features; None: no query.
            stopwatch: takes the time of each stage.

        Raises:
            RuntimeError: the device's memory is not enough and the CPU may not be used instead.
        """
        attempt = partial(self._encode, model_input, outputs, labeller, question, stopwatch)
        try:
            return attempt()
        except Exception as error:
            allowed = self._cpu_fallback and self.device.type != "cpu"
            if not (allowed and is_out_of_memory(error)):
                raise
        self._move_to_cpu()  # only here has the exception released what the attempt held
        return attempt()

    def _encode(
        self,
        model_input: ModelInput,
        outputs: Collection[str],
        labeller: Labeller,
        question: FeatureQuery | None,
        stopwatch: Stopwatch,
    ) -> Encoded:
        """:meth:`encode` on one device, the cloud whole or in parts."""
        coarse, answers = CoarseFeatures(), FeatureAnswers(question)
        kept = None if model_input.strays is None else torch.nonzero(~model_input.strays)[:, 0]
        # Encoders take no empty cloud: of a part of a map that is nothing but strays they see
        # these, and what they say of them is not told.
        untold = kept is not None and not len(kept)
        seen = model_input if untold else model_input.part(kept)

        def compute(rows: torch.Tensor | None) -> Values:
            pyramid = self._pyramid(seen.part(rows), stopwatch)
            finite = finite_voxels(pyramid)
            values = {"finite": finite}
            if labeller.source is not None and "labels" in outputs:
                with stopwatch("labels", self.device):
                    scores = labeller.scores(pyramid, self.dtype)
                    values["scores"] = scores.masked_fill(~finite[:, None], math.nan)
                    unfamiliar = labeller.unfamiliar(pyramid)
                    if unfamiliar is not None:
                        values["unfamiliar"] = unfamiliar
            values |= answers.of(pyramid, rows if untold else _of(kept, rows))
            if "pca" in outputs:
                # Last, so that a pass that fails keeps nothing.
                with stopwatch("pca", self.device):
                    values["pca"] = coarse.of(pyramid)
            return values

        values = self._chunked(partial(self._with_or_without_graphs, compute), seen.coord)
        if untold:
            values = {name: value[:0] for name, value in values.items()}
        if kept is not None:
            values = _spread(values, kept, len(model_input))
        return Encoded(
            scores=values.get("scores"),
            coarse=coarse.joined() if "pca" in outputs and not untold else None,
            coarse_rows=values.get("pca"),
            similarity=answers.named("similarity", values),
            match=answers.named("match", values),
            components=answers.named("components", values),
            features=answers.features,
            unfamiliar=values.get("unfamiliar"),
            finite=values["finite"],
        )

    def _pyramid(self, model_input: ModelInput, stopwatch: Stopwatch) -> Pyramid:
        with stopwatch("geometry", self.device):
            model_input = model_input.to(self.device)
            hierarchy = self._encoder.hierarchy(
                model_input.grid_coord, model_input.coord, model_input.offset
            )
        with stopwatch("features", self.device):
            return self._features(model_input.feat, hierarchy)

    def _with_or_without_graphs(
        self, compute: Callable[[torch.Tensor | None], Values], rows: torch.Tensor | None
    ) -> Values:
        try:
            return compute(rows)
        except Exception as error:
            if not (is_out_of_memory(error) and self._features.release()):
                raise
        return compute(rows)  # outside the handler, as above

    def _move_to_cpu(self) -> None:
        """Compute on the CPU from now on: a device that is too small will be so again."""
        _log.error("out of memory on %s: the models are moved to the CPU", self.device)
        self.device = torch.device("cpu")
        auto = self._precision == "auto"
        self.dtype = automatic_precision(self.device) if auto else torch.float32
        self._encoder.to(self.device, self.dtype)
        self._encoder.backend = "auto"
        self._start()
        self._moved = True
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _of(kept: torch.Tensor | None, rows: torch.Tensor | None) -> torch.Tensor | None:
    """Return the ``rows`` of the ``kept`` rows of a cloud, as rows of the cloud; None: all."""
    return rows if kept is None else kept if rows is None else kept[rows]


def _spread(values: Values, kept: torch.Tensor, size: int) -> Values:
    """Return the values of the ``kept`` rows as those of ``size`` rows; others: NaN or 0."""
    spread: Values = {}
    for name, value in values.items():
        unknown = math.nan if value.is_floating_point() else 0
        spread[name] = value.new_full((size, *value.shape[1:]), unknown)
        spread[name].index_copy_(0, kept.to(value.device), value)
    return spread
