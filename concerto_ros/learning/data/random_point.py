# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One random point of each voxel, as the published trainings sample grids."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from concerto_ros.learning.data.augment import select
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.mapping.voxel_grid import voxel_keys


@dataclass(frozen=True)
class RandomPoint:
    """Keep one random point of each voxel of ``voxel_size`` metres, with its label.

    A voxel is then this point instead of the mean of its points, which the node and evaluation
    always take. It has to be the last augmentation, because the others move points.
    """

    voxel_size: float

    def __call__(self, scan: Scan, random: np.random.Generator) -> Scan:
        """The scan with one point for each voxel, the points in their order."""
        keys = voxel_keys(scan.points, self.voxel_size)
        order = random.permutation(len(scan))
        _, first = np.unique(keys[order], return_index=True)
        return select(scan, np.sort(order[first]))
