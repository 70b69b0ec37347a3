# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Labels without a person: what another encoder and its head are sure of.

Pseudo-labels (Lee, "Pseudo-Label", ICML workshop 2013): a head for an adapted encoder learns from
the confident predictions of the encoder before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from concerto_ros.files.digest import weights_digest
from concerto_ros.labels.label_set import UNLABELLED, LabelSet
from concerto_ros.learning.adaptation.scenes import SomeScenes
from concerto_ros.learning.data.batch import make_batch
from concerto_ros.learning.data.label_map import DataError
from concerto_ros.learning.data.labelled_scan import Scan, Scans
from concerto_ros.learning.data.lazy_sequence import LazySequence
from concerto_ros.learning.methods.segmenter import Segmenter, pyramid_of
from concerto_ros.segmentation.convention import Convention


@dataclass(frozen=True, eq=False)
class Predictor:
    """An encoder with its head, and when they are believed.

    Attributes:
        model: Encoder and head, in evaluation mode.
        convention: Scale and centre of the encoder's coordinates.
        voxel_size: Of the encoder, metres.
        confidence: Probability that a label must have, 0 to 1.

    Raises:
        ValueError: The confidence is out of range.
    """

    model: Segmenter
    convention: Convention
    voxel_size: float
    confidence: float

    def __post_init__(self) -> None:
        if not 0 <= self.confidence <= 1:
            raise ValueError(f"confidence is {self.confidence}, expected 0 to 1")

    def identity(self) -> str:
        """What decides the labels of a scan."""
        parts = self.model.encoder, self.model.head
        weights = " ".join(weights_digest(part, "") for part in parts)
        return f"{weights} {self.convention} {self.voxel_size} {self.confidence}"

    @torch.inference_mode()
    def labels(self, scan: Scan) -> np.ndarray:
        """Label the points of a scan, (N,) uint8; 255 where the model is not sure.

        It is not sure either of what is unfamiliar to it, or where its scores are not finite.
        """
        model = self.model
        batch = make_batch([scan], self.convention, self.voxel_size)
        pyramid = pyramid_of(model.encoder, batch.to(next(model.parameters()).device))
        scores = model.head.scores(pyramid, model.concat_levels).float() / model.head.temperature
        probability, label = scores.softmax(dim=1).max(dim=1)
        sure = torch.isfinite(scores).all(dim=1) & (probability >= self.confidence)
        if model.head.familiarity is not None:
            sure &= ~model.head.familiarity.unfamiliar(pyramid)
        voxels = label.masked_fill(~sure, UNLABELLED).to("cpu", torch.uint8).numpy()
        return batch.at_points(voxels, UNLABELLED)


class PredictedScans(LazySequence[Scan]):
    """Scenes as scans with the labels of a predictor; labels of their own are not read.

    Args:
        scenes: The scenes.
        predictor: Gives the labels.
        classes: Their label set.

    Attributes:
        classes: The label set, in label order.
    """

    def __init__(self, scenes: SomeScenes, predictor: Predictor, classes: LabelSet):
        self._scenes, self._predictor, self.classes = scenes, predictor, classes

    def __len__(self) -> int:
        return len(self._scenes)

    def identity(self) -> dict[str, Any]:
        """By name, what must be equal for a training to resume with these scans."""
        return self._scenes.identity() | {"predictions": self._predictor.identity()}

    def read_item(self, index: int) -> Scan:
        """The scan at ``index``, labelled."""
        scan = self._scenes[index].scan
        return replace(scan, labels=self._predictor.labels(scan))


def require_predictions(scans: Scans, confidence: float) -> float:
    """Check that some point has a label, and return the share of points that have one.

    Raises:
        DataError: None has; says what to change.
    """
    sure = points = 0
    for index in range(len(scans)):
        labelled = scans[index].labelled
        sure, points = sure + int(labelled.sum()), points + len(labelled)
    if not sure:
        raise DataError(
            f"no point of {len(scans)} scans has a prediction of probability {confidence:g} or"
            " more to learn from; lower --confidence, or check that the former encoder and head"
            " fit these recordings"
        )
    return sure / points


def same_classes(own: LabelSet, other: LabelSet) -> None:
    """Check that labelled scans have the classes of the predictions.

    Raises:
        DataError: They do not; names both.
    """
    names: Sequence[list[str]] = [
        [entry.name for entry in labels.classes] for labels in (own, other)
    ]
    if names[0] != names[1]:
        raise DataError(
            f"--validation has the classes {', '.join(names[1])}, expected those of the former"
            f" head: {', '.join(names[0])}; --label-map maps labels to classes"
        )
