# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the inference stage makes of a map, for those who publish it and for services."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from concerto_ros.labels.prediction import Prediction
from concerto_ros.mapping.map_snapshot import MapSnapshot


@dataclass(frozen=True, eq=False)
class LabelledMap:
    """A map and its labels."""

    snapshot: MapSnapshot
    prediction: Prediction


@dataclass(frozen=True, eq=False)
class RowFeatures:
    """A labelled map with the features (n, C) of some of its voxels, ``rows`` (n,)."""

    labelled: LabelledMap
    rows: np.ndarray
    features: torch.Tensor
