# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From a map snapshot to a prediction: model input, features, labels, colours."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import torch

from concerto_ros.heads.similarity import FeatureQuery
from concerto_ros.labels.label_set import UNLABELLED
from concerto_ros.labels.prediction import Prediction
from concerto_ros.mapping.map_snapshot import MapSnapshot
from concerto_ros.segmentation.carried_state import CarriedState
from concerto_ros.segmentation.convention import Convention
from concerto_ros.segmentation.feature_encoder import FeatureEncoder
from concerto_ros.segmentation.labeller import Labeller, unlabelled
from concerto_ros.segmentation.model_input import build_model_input
from concerto_ros.settings.settings import Settings
from concerto_ros.stopwatch import Stopwatch


@dataclass(frozen=True, eq=False)
class Inference:
    """The steps of an inference.

    Attributes:
        settings: the parameters.
        convention: scale and centre of the coordinates that the encoder takes.
        feature_encoder: computes the features and reduces them to what is asked for.
    """

    settings: Settings
    convention: Convention
    feature_encoder: FeatureEncoder

    @torch.inference_mode()
    def __call__(
        self,
        snapshot: MapSnapshot,
        carried: CarriedState,
        labeller: Labeller,
        outputs: Collection[str],
        question: FeatureQuery | None,
        above: float = 0.0,
    ) -> Prediction:
        """Label a snapshot whose heights count from ``above``, metres, where they were moved."""
        stopwatch = Stopwatch()
        if self.settings.estimate_normals:
            with stopwatch("voxel_normals"):
                snapshot = snapshot.with_normals()
        with stopwatch("geometry"):
            model_input = build_model_input(
                snapshot,
                self.convention,
                carried.held,
                floor_height=self.settings.floor_height - above,
            )
        encoded = self.feature_encoder.encode(model_input, outputs, labeller, question, stopwatch)

        size = len(snapshot)
        labelled, pca_rgb = unlabelled(size), np.zeros((size, 3), np.uint8)
        unusable = ~encoded.finite.cpu().numpy()
        strays = np.zeros(size, bool) if model_input.strays is None else model_input.strays.numpy()
        if encoded.scores is not None:
            with stopwatch("labels"):
                labelled = labeller.labelling(snapshot, encoded.scores, carried.fusion)
            unusable |= (labelled.label == UNLABELLED) & ~labelled.no_word
        unfamiliar = None
        if encoded.unfamiliar is not None:
            unfamiliar = encoded.unfamiliar.cpu().numpy() & ~unusable
            if self.settings.unfamiliar == "unlabel":
                labelled = labelled.without(unfamiliar)
        if encoded.coarse is not None:
            with stopwatch("pca"):
                pca_rgb = carried.colors.colors(encoded.coarse, snapshot.keys, encoded.coarse_rows)
        return Prediction(
            points=snapshot.points,
            **labelled._asdict(),
            pca_rgb=pca_rgb,
            classes=labeller.labels.classes,
            model="",
            stamp=snapshot.stamp,
            stage_ms=stopwatch.milliseconds,
            similarity=encoded.similarity,
            match=encoded.match,
            features=encoded.features,
            floor_height=model_input.floor_height + above,
            unusable=unusable & ~strays,
            below_floor=strays,
            unfamiliar=unfamiliar,
        )
