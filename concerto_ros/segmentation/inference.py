# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From a map snapshot to a prediction: model input, features, labels, colours."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
import torch

from concerto_ros.heads.similarity import FeatureQuery
from concerto_ros.labels.label_set import UNLABELLED
from concerto_ros.labels.prediction import Prediction
from concerto_ros.mapping.map_snapshot import MapSnapshot
from concerto_ros.ptv3.kernels.host_copies import fetched
from concerto_ros.segmentation.carried_state import CarriedState
from concerto_ros.segmentation.convention import Convention
from concerto_ros.segmentation.feature_encoder import FeatureEncoder
from concerto_ros.segmentation.labeller import Labeller, unlabelled
from concerto_ros.segmentation.model_input import build_model_input
from concerto_ros.segmentation.regions.selection import Region, whole_map
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
        memory = carried.memory
        if memory is None:
            whole = whole_map(len(snapshot))
            return self._predict(
                snapshot, whole, carried, labeller, outputs, question, above, stopwatch
            )
        with stopwatch("region"):
            asked = memory.asked(labeller, outputs, question, snapshot.stamp)
            due = memory.due(snapshot, asked)
        part = None
        if due.region.core is None or len(due.region.core):
            part = self._predict(
                snapshot, due.region, carried, labeller, asked.outputs, question, above, stopwatch
            )
        with stopwatch("region"):
            prediction = memory.updated(snapshot, due, asked, part)
            if "labels" not in outputs:
                nothing = unlabelled(len(snapshot))._asdict()
                prediction = replace(prediction, **nothing, unfamiliar=None)
            if "pca" not in outputs:
                prediction = replace(prediction, pca_rgb=np.zeros_like(prediction.pca_rgb))
        return replace(prediction, stage_ms=stopwatch.milliseconds)

    def _predict(
        self,
        snapshot: MapSnapshot,
        region: Region,
        carried: CarriedState,
        labeller: Labeller,
        outputs: Collection[str],
        question: FeatureQuery | None,
        above: float,
        stopwatch: Stopwatch,
    ) -> Prediction:
        """Predict the core of a region, row by row."""
        if self.settings.estimate_normals:
            with stopwatch("voxel_normals"):
                snapshot = snapshot.with_normals(region.rows)
        with stopwatch("geometry"):
            model_input = build_model_input(
                snapshot,
                self.convention,
                carried.held,
                floor_height=self.settings.floor_height - above,
                rows=region.rows,
            )
        encoded = self.feature_encoder.encode(model_input, outputs, labeller, question, stopwatch)
        strays = model_input.strays
        if region.inner is not None:
            encoded = encoded.of(region.inner)
            strays = None if strays is None else strays[torch.from_numpy(region.inner)]
        core = region.core
        points = snapshot.points if core is None else snapshot.points[core]

        size = len(points)
        labelled, pca_rgb = unlabelled(size), np.zeros((size, 3), np.uint8)
        (finite,) = fetched(encoded.finite)
        unusable = ~finite
        below_floor = np.zeros(size, bool) if strays is None else strays.numpy()
        if encoded.scores is not None:
            with stopwatch("labels", self.feature_encoder.device):
                labelled = labeller.labelling(snapshot, encoded.scores, carried.fusion, core)
            unusable |= (labelled.label == UNLABELLED) & ~labelled.no_word
        unfamiliar = None
        if encoded.unfamiliar is not None:
            (unfamiliar,) = fetched(encoded.unfamiliar)
            unfamiliar = unfamiliar & ~unusable
            if self.settings.unfamiliar == "unlabel":
                labelled = labelled.without(unfamiliar)
        if encoded.coarse is not None:
            with stopwatch("pca", self.feature_encoder.device):
                pca_rgb = carried.colors.colors(
                    encoded.coarse, snapshot.keys, encoded.coarse_rows, core
                )
        return Prediction(
            points=points,
            **labelled._asdict(),
            pca_rgb=pca_rgb,
            classes=labeller.labels.classes,
            model="",
            stamp=snapshot.stamp,
            stage_ms=stopwatch.milliseconds,
            similarity=encoded.similarity,
            match=encoded.match,
            components=encoded.components,
            features=encoded.features,
            floor_height=model_input.floor_height + above,
            unusable=unusable & ~below_floor,
            below_floor=below_floor,
            unfamiliar=unfamiliar,
        )
