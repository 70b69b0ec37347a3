# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The results of the inference stage, for publishers and services."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from concerto_ros.labels.prediction import Prediction
from concerto_ros.mapping.map_snapshot import MapSnapshot


@dataclass(frozen=True, eq=False)
class LabelledMap:
    """A map snapshot and its prediction, row by row."""

    snapshot: MapSnapshot
    prediction: Prediction


@dataclass(frozen=True, eq=False)
class RowFeatures:
    """A labelled map with the features of some of its voxels.

    Attributes:
        labelled: The map and its labels.
        rows: (n,) rows of the map.
        features: (n, C) the features of these rows.
    """

    labelled: LabelledMap
    rows: np.ndarray
    features: torch.Tensor
