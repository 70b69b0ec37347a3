# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The table of output clouds, one row for each topic, for the node and for labelled bags."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from concerto_ros.labels.packed_cloud import (
    CloudStyle,
    PackedCloud,
    pack_pca,
    pack_prediction,
    pack_similarity,
)

if TYPE_CHECKING:  # it would load PyTorch
    from concerto_ros.labels.prediction import Prediction

#: What a cloud may need of the pipeline. Labels and colours are requested by name; a similarity by
#: the reference feature, which only a person at the running node chooses; features by what they
#: are projected on.
LABELS, PCA, SIMILARITY, FEATURES = "labels", "pca", "similarity", "features"


@dataclass(frozen=True)
class OutputCloud:
    """An output topic of type PointCloud2.

    Attributes:
        topic: its name below ``~/``, and below the prefix in a bag.
        needs: what has to be computed for it: LABELS, PCA or SIMILARITY.
        pack: makes its bytes from a prediction.
        of_input: whether ``labels.points: input`` moves it to the points of the newest message.
    """

    topic: str
    needs: str
    pack: Callable[[Prediction, CloudStyle], PackedCloud]
    of_input: bool = False


OUTPUT_CLOUDS = (
    OutputCloud("labels", LABELS, pack_prediction, of_input=True),
    OutputCloud("pca", PCA, pack_pca),
    OutputCloud("similarity", SIMILARITY, pack_similarity),
)

#: The output clouds that a labelled bag has.
RECORDED_CLOUDS = tuple(cloud for cloud in OUTPUT_CLOUDS if cloud.needs != SIMILARITY)


def needs_of(wanted: Collection[str]) -> set[str]:
    """Return what has to be computed for the outputs in ``wanted``.

    Outputs that are no topic of :data:`OUTPUT_CLOUDS` need labels: filtered clouds, objects, fused
    labels, answers of services.
    """
    needs = {cloud.topic: cloud.needs for cloud in OUTPUT_CLOUDS} | {FEATURES: FEATURES}
    return {needs.get(name, LABELS) for name in wanted}
