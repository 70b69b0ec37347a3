# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Data set of the bundled outdoor model: scans of simulated streets, and batches of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from concerto_ros.learning.data.batch import Batch, make_batch
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.learning.demo_model.augmentation import overlaid
from concerto_ros.learning.demo_model.collate import (
    LARGE_CROP_VOXELS,
    MIX_SHARE,
    two_sizes,
)
from concerto_ros.learning.demo_model.scene_scans import SceneScans
from concerto_ros.learning.demo_model.street_augmentation import augment_street, crop_street
from concerto_ros.learning.demo_model.street_scans import SCANS, street_scans_of
from concerto_ros.segmentation.convention import Convention
from concerto_ros.sim.library import FurnitureLibrary

#: Seeds of the streets for training, validation and test; they are disjoint.
TRAINING_STREETS = range(30_000, 30_400)
VALIDATION_STREETS = range(29_000, 29_010)
TEST_STREETS = range(20_000, 20_040)

#: Share of the batches with voxels of another size, and the range of that size in voxels of the
#: model: 10 to 30 cm for 16 cm.
OTHER_VOXELS_SHARE, OTHER_VOXELS = 0.3, (0.62, 1.9)


class DemoStreets(SceneScans):
    """The scans of simulated streets, five of each; a street takes about 2 MB."""

    scene = "street"
    label_set = "demo_outdoor"
    scans_per_scene = SCANS
    units_per_metre = 250
    training_seeds = TRAINING_STREETS

    @staticmethod
    def simulate(seed: int, furniture: FurnitureLibrary | None) -> list[Scan]:
        """The scans of the street of ``seed``."""
        return street_scans_of(seed, furniture)


@dataclass(frozen=True)
class StreetCollate:
    """Grid-samples scans; with a generator, for training, it crops and augments them first.

    The street's counterpart of :class:`~concerto_ros.learning.demo_model.collate.RoomCollate`,
    with batches of the same size.

    Attributes:
        convention: Scale and centre of the coordinates.
        voxel_size: Metres; in training, of most of the batches.
        large: Whether a batch is one crop, of the first scan, instead of two.
    """

    convention: Convention
    voxel_size: float
    large: bool = False

    def __call__(self, scans: Sequence[Scan], generator: np.random.Generator | None) -> Batch:
        """The batch of ``scans``; without a generator they are neither cropped nor augmented."""
        if generator is None:
            return make_batch(scans, self.convention, self.voxel_size)
        voxel_size = self.voxel_size
        if generator.random() < OTHER_VOXELS_SHARE:
            voxel_size *= float(np.exp(generator.uniform(*np.log(OTHER_VOXELS))))
        sizes = (LARGE_CROP_VOXELS,) if self.large else two_sizes(generator)
        scans = [
            augment_street(crop_street(scan, size, voxel_size, generator), generator)
            for scan, size in zip(scans, sizes, strict=False)
        ]
        if len(scans) == 2 and generator.random() < MIX_SHARE:
            scans = [overlaid(*scans)]
        return make_batch(scans, self.convention, voxel_size)
