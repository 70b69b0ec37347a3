# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""An encoder that does with the memory there is: graphs give way, then size, then the device."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from functools import partial
from typing import NamedTuple

import numpy as np
import torch

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
    """What is wanted of the features of V voxels; None where it is not.

    Attributes
    ----------
    scores: (V, K) logits of the classes.
    coarse: (M, C) features of a coarse level.
    coarse_rows: (V,) int64, which of these each voxel has.
    similarity: (V,) float32, see :class:`FeatureQuery`.
    features: (n, C) float32 on the CPU, of the rows that the question asks for.
    """

    scores: torch.Tensor | None
    coarse: torch.Tensor | None
    coarse_rows: torch.Tensor | None
    similarity: np.ndarray | None
    features: torch.Tensor | None


class FeatureEncoder:
    """Computes features and at once what is made of them: all rows at full width are too many.

    Where the device's memory is not enough, CUDA graphs give up theirs first; then the cloud is
    divided; and where not even small parts fit, the CPU goes on from then on, if that is allowed.

    Attributes
    ----------
    device, dtype: where and how precisely the encoder computes.
    backend: name of the kernels it computes by.
    """

    def __init__(self, encoder: Encoder, *, precision: str, cpu_fallback: bool):
        """``precision`` and ``cpu_fallback`` as the parameters."""
        self._encoder = encoder
        self._precision, self._cpu_fallback = precision, cpu_fallback
        weights = next(encoder.parameters())
        self.device, self.dtype = weights.device, weights.dtype
        self._moved = False
        self._start()

    def _start(self) -> None:
        self.backend = choose_backend(self._encoder.backend, self.device).name
        self._features = GraphedFeatures(self._encoder)
        self._halving = ChunkedInference()

    @property
    def trouble(self) -> str:
        """What the models do without for want of memory; empty while all is well."""
        if self._moved:
            return "the device has not enough memory: the CPU computes; configure anew to go back"
        if self._halving.most_rows is not None:
            return (
                f"the device has not enough memory: clouds are divided into parts of at most"
                f" {self._halving.most_rows} voxels, which costs accuracy where they meet"
            )
        return ""

    def encode(
        self,
        given: ModelInput,
        outputs: Collection[str],
        labeller: Labeller,
        question: FeatureQuery | None,
        watch: Stopwatch,
    ) -> Encoded:
        """What the ``outputs`` are made of and the answer to the ``question``, for one cloud.

        ``watch`` notes the time of each stage. Raises the error of the device where its memory is
        not enough and the CPU may not go on.
        """
        attempt = partial(self._encode, given, outputs, labeller, question, watch)
        try:
            return attempt()
        except Exception as error:
            allowed = self._cpu_fallback and self.device.type != "cpu"
            if not (allowed and is_out_of_memory(error)):
                raise
        self._move_to_cpu()  # only here has the exception let go of what the attempt held
        return attempt()

    def _encode(
        self,
        given: ModelInput,
        outputs: Collection[str],
        labeller: Labeller,
        question: FeatureQuery | None,
        watch: Stopwatch,
    ) -> Encoded:
        """:meth:`encode` on one device, the cloud whole or in parts."""
        coarse, answers = CoarseFeatures(), FeatureAnswers(question, labeller.concat_levels)

        def compute(rows: torch.Tensor | None) -> Values:
            pyramid, values = self._pyramid(given.part(rows), watch), {}
            if labeller.head is not None and "labels" in outputs:
                with watch("labels"):
                    values["scores"] = labeller.scores(pyramid, self.dtype)
            values |= answers.of(pyramid, rows)
            if "pca" in outputs:
                with watch("pca"):  # last, so that a pass that fails keeps nothing
                    values["pca"] = coarse.of(pyramid)
            return values

        values = self._halving(partial(self._with_or_without_graphs, compute), given.coord)
        return Encoded(
            scores=values.get("scores"),
            coarse=coarse.joined() if "pca" in outputs else None,
            coarse_rows=values.get("pca"),
            similarity=answers.similarity(values),
            features=answers.features,
        )

    def _pyramid(self, given: ModelInput, watch: Stopwatch) -> Pyramid:
        with watch("geometry"):
            given = given.to(self.device)
            hierarchy = self._encoder.hierarchy(given.grid_coord, given.coord, given.offset)
        with watch("features", self.device):
            return self._features(given.feat, hierarchy)

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
        _log.error("%s has not enough memory: the models move to the CPU", self.device)
        self.device = torch.device("cpu")
        auto = self._precision == "auto"
        self.dtype = automatic_precision(self.device) if auto else torch.float32
        self._encoder.to(self.device, self.dtype)
        self._encoder.backend = "auto"
        self._start()
        self._moved = True
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
