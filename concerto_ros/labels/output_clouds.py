# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The clouds that come out, one row for each topic, of the node as well as of a labelled bag."""

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

#: What a cloud may need of the pipeline. Labels and colours are asked for by name; a similarity
#: by the feature to compare with, which only a person at the running node gives.
LABELS, PCA, SIMILARITY = "labels", "pca", "similarity"


@dataclass(frozen=True)
class OutputCloud:
    """A topic of clouds.

    Attributes
    ----------
    topic: its name below ``~/``, and below the prefix in a bag.
    needs: what has to be computed for it: LABELS, PCA or SIMILARITY.
    pack: its bytes, made of a prediction.
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

#: Those that a labelled bag has.
RECORDED_CLOUDS = tuple(cloud for cloud in OUTPUT_CLOUDS if cloud.needs != SIMILARITY)


def needs_of(wanted: Collection[str]) -> set[str]:
    """What has to be computed where the outputs in ``wanted`` are to be made.

    Whatever is no topic of :data:`OUTPUT_CLOUDS` is made of labels: filtered clouds, objects,
    fused labels, answers of services.
    """
    needs = {cloud.topic: cloud.needs for cloud in OUTPUT_CLOUDS}
    return {needs.get(name, LABELS) for name in wanted}
