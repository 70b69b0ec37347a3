# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From features to labels: the head, the names of its classes, and the fusion over time."""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np
import torch

from concerto_ros.heads.linear import LinearHead
from concerto_ros.labels.label_set import UNLABELLED, LabelSet
from concerto_ros.mapping.map_snapshot import MapSnapshot
from concerto_ros.ptv3.encoder import Encoder, Pyramid
from concerto_ros.segmentation.label_fusion import (
    LabelFusion,
    log_probabilities,
    normalised_entropy,
)


class Labelling(NamedTuple):
    """Per voxel: (V,) uint8 ``label``, (V,) float32 ``confidence`` and ``entropy`` in [0, 1]."""

    label: np.ndarray
    confidence: np.ndarray
    entropy: np.ndarray


class Labeller:
    """A head with its classes and what was said of each voxel lately.

    The head and the classes stay as they are: where classes are taught, another labeller takes
    this one's place as a whole. One prediction uses one labeller from its beginning to its end.

    Attributes
    ----------
    head: as it was loaded or taught; None: nothing is labelled.
    labels: the classes, in label order.
    concat_levels: levels of the pyramid that the head takes; all of them without a head.
    """

    def __init__(
        self, head: LinearHead | None, labels: LabelSet, encoder: Encoder, fusion_seconds: float
    ):
        """``fusion_seconds`` as the parameter; 0: each prediction stands by itself."""
        self.head = head
        self.labels = labels
        levels = len(encoder.channels) - 1
        self.concat_levels = levels if head is None else head.concat_levels(encoder)
        self._seconds = fusion_seconds
        self._working = head  # ``head`` itself keeps the device and the precision of its file
        self.forget()

    def forget(self) -> None:
        """Begin the fusion anew."""
        self.fusion = LabelFusion(self._seconds) if self._seconds else None

    def scores(self, pyramid: Pyramid, dtype: torch.dtype) -> torch.Tensor:
        """(V, K) logits, computed in ``dtype`` where the features are; only with a head."""
        device, weight = pyramid.feats[0].device, next(self._working.parameters())
        if (weight.device, weight.dtype) != (device, dtype):
            self._working = copy.deepcopy(self.head).to(device, dtype)
        return self._working.scores(pyramid, self.concat_levels)


def labelling(
    snapshot: MapSnapshot, scores: torch.Tensor, fusion: LabelFusion | None
) -> Labelling:
    """What ``scores`` (V, K) say of the voxels of ``snapshot``, with what was said before."""
    chance = fusion(snapshot, scores) if fusion else log_probabilities(scores)
    best = chance.max(dim=1)
    return Labelling(
        best.indices.to(torch.uint8).cpu().numpy(),
        best.values.exp().cpu().numpy(),
        normalised_entropy(chance).cpu().numpy(),
    )


def unlabelled(size: int) -> Labelling:
    """What is said of voxels about which nothing is."""
    return Labelling(
        np.full(size, UNLABELLED, np.uint8),
        np.zeros(size, np.float32),
        np.ones(size, np.float32),
    )
