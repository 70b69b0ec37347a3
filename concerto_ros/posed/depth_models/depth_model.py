# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a depth model is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from concerto_ros.posed.geometry import Geometry


class DepthModel(Protocol):
    """Predicts depth from colour images.

    Attributes:
        name: As a person named it.
        metric: Whether its depth is in metres.
        predicts_poses: Whether it sees several images together and predicts their poses.
    """

    name: str
    metric: bool
    predicts_poses: bool

    def __call__(
        self,
        images: Sequence[np.ndarray],
        intrinsics: np.ndarray | None = None,
        poses: np.ndarray | None = None,
    ) -> Geometry:
        """Predict the depth of N images.

        Args:
            images: (H, W, 3) uint8 RGB each, all of one size.
            intrinsics: (N, 3, 3), pixels of the images; None: not known.
            poses: (N, 4, 4), camera to world, metres; None: not known. A model that predicts poses
                returns depth in the unit of these.

        Returns:
            Depth, and where no poses are given and it predicts them, poses and intrinsics.
        """
