# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From features to labels: their source, the fusion over time, and what is familiar."""

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
from concerto_ros.ptv3.kernels.host_copies import fetched
from concerto_ros.segmentation.label_fusion import (
    LabelFusion,
    log_probabilities,
    normalised_entropy,
)
from concerto_ros.segmentation.label_source import LabelSource


class Labelling(NamedTuple):
    """Labels of V voxels.

    Attributes:
        label: (V,) uint8; 255 where unlabelled.
        confidence: (V,) float32 in [0, 1], the probability of the label; 0 where unlabelled.
        entropy: (V,) float32 in [0, 1]; 1 where unlabelled.
        no_word: (V,) bool, unlabelled because no word matches well enough.
    """

    label: np.ndarray
    confidence: np.ndarray
    entropy: np.ndarray
    no_word: np.ndarray

    def without(self, rows: np.ndarray) -> Labelling:
        """Return a copy in which the voxels of a mask (V,) have no label."""
        changed = Labelling(*(value.copy() for value in self))
        for value, nothing in zip(changed, _NO_LABEL, strict=True):
            value[rows] = nothing
        return changed


#: Label, confidence and entropy of a voxel without a label; nothing was compared with words.
_NO_LABEL = np.uint8(UNLABELLED), np.float32(0), np.float32(1), np.False_


class Labeller:
    """A source of labels, the recent labels of each voxel, and what is familiar.

    The source never changes: when a class is taught or words are set, a new labeller replaces this
    one, and the fusion restarts. A prediction uses the same labeller from beginning to end.

    Attributes:
        head: the linear head as it was loaded or taught; None: there is none.
        source: computes the labels: ``head``, or words; None: nothing is labelled.
        labels: the classes, in label order.
        fusion: fuses the labels over time; None: each prediction is independent.
    """

    def __init__(
        self,
        head: LinearHead | None,
        labels: LabelSet,
        encoder: Encoder,
        fusion_seconds: float,
        words: LabelSource | None = None,
    ):
        """Combine source and fusion.

        Args:
            head: trained on the features of ``encoder``; None: there is none.
            labels: its classes, in label order.
            encoder: the backbone that gives the features.
            fusion_seconds: the parameter ``fusion.seconds``; 0: each prediction is independent.
            words: takes the place of ``head`` as the source of labels; None: the head is it.
        """
        self.head = head
        self.source = words
        if words is None and head is not None:
            self.source = LabelSource.of_head(head, labels, encoder)
        self.labels = labels if self.source is None else self.source.labels
        self._seconds = fusion_seconds
        self._familiarity = None if head is None else head.familiarity
        self.forget()

    def forget(self) -> None:
        """Restart the fusion."""
        self.fusion = LabelFusion(self._seconds) if self._seconds else None

    def scores(self, pyramid: Pyramid, dtype: torch.dtype) -> torch.Tensor:
        """Return (V, K) logits of the source, for an encoder that computes in ``dtype``.

        Raises:
            ValueError: there is no source.
        """
        return self._labelling_source.logits(pyramid, dtype)

    @property
    def _labelling_source(self) -> LabelSource:
        if self.source is None:
            raise ValueError("there is no head to compute scores with; set the parameter head")
        return self.source

    def labelling(
        self,
        snapshot: MapSnapshot,
        scores: torch.Tensor,
        fusion: LabelFusion | None,
        rows: np.ndarray | None = None,
    ) -> Labelling:
        """Turn :meth:`scores` of the voxels of ``snapshot`` into labels, fused with earlier ones.

        Voxels whose scores are not finite are unlabelled: the highest of NaNs is the first class.

        Args:
            snapshot: the V voxels.
            scores: (n, K) logits of ``rows``.
            fusion: None where each prediction is independent.
            rows: (n,) the voxels that are labelled; None: all V.
        """
        source = self._labelling_source
        fused = fusion(snapshot, scores, rows) if fusion else log_probabilities(scores)
        unknown = ~finite_rows(fused)
        choice = source.choose(fused)
        no_word = choice.no_word & ~unknown
        without = unknown | no_word
        entropy = normalised_entropy(source.scoring.log_probabilities(fused))
        return Labelling(
            *fetched(
                choice.label.masked_fill(without, UNLABELLED).to(torch.uint8),
                choice.probability.masked_fill(without, 0.0),
                entropy.masked_fill_(without, 1.0),
                no_word,
            )
        )

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


def unlabelled(size: int) -> Labelling:
    """Return the labelling of ``size`` voxels without a label."""
    return Labelling(*(np.full(size, value) for value in _NO_LABEL))
