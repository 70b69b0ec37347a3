# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From scans of simulated rooms to the batches of the bundled model's training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from concerto_ros.learning.data.batch import Batch, make_batch
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.learning.demo_model.augmentation import augment, floor_lift, overlaid
from concerto_ros.learning.demo_model.crops import crop
from concerto_ros.segmentation.convention import Convention

#: For most of the training a batch has two crops with this number of voxels together; the smaller
#: one has at least the minimum. Small crops show more rooms in the same time.
PAIR_VOXELS, MIN_CROP_VOXELS = 5_400, 1_000
#: At the end of the training a batch has one crop of this number of voxels: a model that was
#: trained on small crops only labels whole scans worse than crops of them (compare Touvron et al.,
#: NeurIPS 2019, on the size of images).
LARGE_CROP_VOXELS = 7_000
#: Share of the batches with voxels of another size, and the range of that size in voxels of the
#: model: 2 to 6 cm for 4 cm.
OTHER_VOXELS_SHARE, OTHER_VOXELS = 0.5, (0.5, 1.5)
#: Share of the pairs of crops that are overlaid (Nekrasov et al., "Mix3D", 3DV 2021).
MIX_SHARE = 0.1


@dataclass(frozen=True)
class RoomCollate:
    """Grid-samples scans; with a generator, for training, it crops and augments them first.

    Training batches have about the same number of voxels, whatever their size, so that processes
    that compute one batch each do not wait for each other.

    Attributes:
        convention: Scale and centre of the coordinates.
        voxel_size: Metres; in training, of about half of the batches.
        large: Whether a batch is one crop of ``LARGE_CROP_VOXELS`` voxels, of the first scan,
            instead of two crops with ``PAIR_VOXELS`` voxels together.
    """

    convention: Convention
    voxel_size: float
    large: bool = False

    def __call__(self, scans: Sequence[Scan], generator: np.random.Generator | None) -> Batch:
        """The batch of ``scans``; without a generator they are neither cropped nor augmented."""
        if generator is None:
            return make_batch(scans, self.convention, self.voxel_size)
        voxel_size = self._drawn_voxel_size(generator)
        sizes = (LARGE_CROP_VOXELS,) if self.large else two_sizes(generator)
        scans = [
            augment(crop(scan, size, voxel_size, generator), voxel_size, generator)
            for scan, size in zip(scans, sizes, strict=False)
        ]
        if len(scans) == 2 and generator.random() < MIX_SHARE:
            scans = [overlaid(*scans)]
        lifts = [floor_lift(generator) for _ in scans]
        return make_batch(scans, self.convention, voxel_size, lifts)

    def _drawn_voxel_size(self, rng: np.random.Generator) -> float:
        """The model's voxel size, or in a share of the batches another one, log-uniform."""
        if rng.random() >= OTHER_VOXELS_SHARE:
            return self.voxel_size
        return self.voxel_size * float(np.exp(rng.uniform(*np.log(OTHER_VOXELS))))


def two_sizes(rng: np.random.Generator) -> tuple[int, int]:
    """Numbers of voxels of two crops, the smaller one log-uniform."""
    size = int(np.exp(rng.uniform(np.log(MIN_CROP_VOXELS), np.log(PAIR_VOXELS // 2))))
    return size, PAIR_VOXELS - size
