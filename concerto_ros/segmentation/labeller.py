# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From features to labels: the head, the names of its classes, and the fusion over time."""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np
import torch

from concerto_ros.heads.finite_rows import finite_rows
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
    """Labels of V voxels.

    Attributes:
        label: (V,) uint8; 255 where unlabelled.
        confidence: (V,) float32 in [0, 1], the probability of the label; 0 where unlabelled.
        entropy: (V,) float32 in [0, 1]; 1 where unlabelled.
    """

    label: np.ndarray
    confidence: np.ndarray
    entropy: np.ndarray

    def without(self, rows: np.ndarray) -> Labelling:
        """Return a copy in which the voxels of a mask (V,) have no label."""
        changed = Labelling(*(value.copy() for value in self))
        for value, nothing in zip(changed, _NO_LABEL, strict=True):
            value[rows] = nothing
        return changed


#: Label, confidence and entropy of a voxel without a label.
_NO_LABEL = np.uint8(UNLABELLED), np.float32(0), np.float32(1)


class Labeller:
    """A head with its classes and the recent labels of each voxel.

    Head and classes never change: when a class is taught, a new labeller replaces this one. A
    prediction uses the same labeller from beginning to end.

    Attributes:
        head: as it was loaded or taught; None: nothing is labelled.
        labels: the classes, in label order.
        concat_levels: levels of the pyramid that the head takes; all of them without a head.
        fusion: fuses the labels over time; None: each prediction is independent.
    """

    def __init__(
        self, head: LinearHead | None, labels: LabelSet, encoder: Encoder, fusion_seconds: float
    ):
        """Combine head, classes and fusion.

        Args:
            head: trained on the features of ``encoder``; None: nothing is labelled.
            labels: the classes, in label order.
            encoder: the backbone that gives the features.
            fusion_seconds: the parameter ``fusion.seconds``; 0: each prediction is independent.
        """
        self.head = head
        self.labels = labels
        levels = len(encoder.channels) - 1
        self.concat_levels = levels if head is None else head.concat_levels(encoder)
        self._seconds = fusion_seconds
        self._working = head  # ``head`` itself keeps the device and the precision of its file
        self._familiarity = None if head is None else head.familiarity
        self.forget()

    def forget(self) -> None:
        """Restart the fusion."""
        self.fusion = LabelFusion(self._seconds) if self._seconds else None

    def scores(self, pyramid: Pyramid, dtype: torch.dtype) -> torch.Tensor:
        """Return (V, K) logits, computed in ``dtype`` on the device of the features.

        Raises:
            ValueError: there is no head.
        """
        if self.head is None or self._working is None:
            raise ValueError("there is no head to compute scores with; set the parameter head")
        device, weight = pyramid.feats[0].device, next(self._working.parameters())
        if (weight.device, weight.dtype) != (device, dtype):
            self._working = copy.deepcopy(self.head).to(device, dtype)
        return self._working.scores(pyramid, self.concat_levels)

    def unfamiliar(self, pyramid: Pyramid) -> torch.Tensor | None:
        """Return which voxels do not look like the training, (V,) bool; None: not known.

        It is computed in float32 on the device of the features. Voxels without finite features are
        not among them.
        """
        if self._familiarity is None:
            return None
        device = pyramid.top.feat.device
        if self._familiarity.mean.device != device:
            self._familiarity = copy.deepcopy(self._familiarity).to(device)
        return self._familiarity.unfamiliar(pyramid)

    @property
    def temperature(self) -> float:
        """That of the head; 1 without a head."""
        return 1.0 if self.head is None else self.head.temperature


def labelling(
    snapshot: MapSnapshot,
    scores: torch.Tensor,
    fusion: LabelFusion | None,
    temperature: float = 1.0,
) -> Labelling:
    """Turn ``scores`` (V, K) of the voxels of ``snapshot`` into labels, fused with earlier ones.

    Voxels whose scores are not finite are unlabelled: the highest of NaNs is the first class.

    Args:
        snapshot: the V voxels.
        scores: (V, K) logits.
        fusion: None where each prediction is independent.
        temperature: that of the head; labels do not depend on it.
    """
    log_probability = fusion(snapshot, scores) if fusion else log_probabilities(scores)
    unknown = ~finite_rows(log_probability)
    label = log_probability.max(dim=1).indices
    if temperature != 1:
        # After the fusion: the mean of log-probabilities differs from that of scores by the same
        # number for all classes of a voxel. So labels and carried state are as without it.
        log_probability = log_probabilities(log_probability / temperature)
    return Labelling(
        label.to(torch.uint8).masked_fill_(unknown, UNLABELLED).cpu().numpy(),
        log_probability.amax(dim=1).exp().masked_fill_(unknown, 0.0).cpu().numpy(),
        normalised_entropy(log_probability).masked_fill_(unknown, 1.0).cpu().numpy(),
    )


def unlabelled(size: int) -> Labelling:
    """Return the labelling of ``size`` voxels without a label."""
    return Labelling(*(np.full(size, value) for value in _NO_LABEL))
