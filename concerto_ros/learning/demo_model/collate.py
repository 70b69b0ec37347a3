# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From scans of simulated scenes to the batches of a bundled model's training."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from concerto_ros.learning.data.batch import Batch, make_batch
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.learning.demo_model.augmentation import MOTION, augment, floor_lift
from concerto_ros.learning.demo_model.crops import crop
from concerto_ros.learning.demo_model.scan_changes import overlaid
from concerto_ros.learning.demo_model.street_augmentation import augment_street, crop_street
from concerto_ros.segmentation.convention import Convention

#: For most of the training a batch has two crops with this number of voxels together; the smaller
#: one has at least the minimum. Small crops show more rooms in the same time.
PAIR_VOXELS, MIN_CROP_VOXELS = 5_400, 1_000
#: At the end of the training a batch has one crop of this number of voxels: a model that was
#: trained on small crops only labels whole scans worse than crops of them (compare Touvron et al.,
#: NeurIPS 2019, on the size of images).
LARGE_CROP_VOXELS = 7_000
#: Share of the batches with voxels of another size, scaled scans and tilted scans that are left
#: then: the last steps, whose rate is small, see scans more like those that are labelled.
LATE_SHARE = 0.5
#: Share of the pairs of crops that are overlaid (Nekrasov et al., "Mix3D", 3DV 2021).
MIX_SHARE = 0.1


@dataclass(frozen=True)
class SceneCollate(ABC):
    """Grid-samples scans; with a generator, for training, it crops and augments them first.

    Training batches have about the same number of voxels, whatever their size, so that processes
    that compute one batch each do not wait for each other. A kind of scenes is a subclass that
    says how one of their scans is cropped and augmented.

    Attributes:
        convention: Scale and centre of the coordinates.
        voxel_size: Metres; in training, of the other batches.
        large: Whether a batch is one crop of ``LARGE_CROP_VOXELS`` voxels, of the first scan,
            instead of two crops with ``PAIR_VOXELS`` voxels together.
        other_voxels_share: Share of the batches with voxels of another size.
        other_voxels: Range of that size, in voxels of the model.
    """

    convention: Convention
    voxel_size: float
    large: bool = False

    other_voxels_share: ClassVar[float]
    other_voxels: ClassVar[tuple[float, float]]

    def __call__(self, scans: Sequence[Scan], generator: np.random.Generator | None) -> Batch:
        """The batch of ``scans``; without a generator they are neither cropped nor augmented."""
        if generator is None:
            return make_batch(scans, self.convention, self.voxel_size)
        voxel_size = self._drawn_voxel_size(generator)
        sizes = (LARGE_CROP_VOXELS,) if self.large else _two_sizes(generator)
        scans = [
            self.cropped(scan, size, voxel_size, generator)
            for scan, size in zip(scans, sizes, strict=False)
        ]
        if len(scans) == 2 and generator.random() < MIX_SHARE:
            scans = [overlaid(*scans)]
        lifts = [self.floor_lift(generator) for _ in scans]
        return make_batch(scans, self.convention, voxel_size, lifts)

    @abstractmethod
    def cropped(self, scan: Scan, size: int, voxel_size: float, rng: np.random.Generator) -> Scan:
        """An augmented crop of about ``size`` voxels."""

    @staticmethod
    def floor_lift(rng: np.random.Generator) -> float:
        """An error of the estimated floor's height, metres; none unless a subclass has one."""
        return 0.0

    def _drawn_voxel_size(self, rng: np.random.Generator) -> float:
        """The model's voxel size, or in a share of the batches another one, log-uniform."""
        share = self.other_voxels_share * (LATE_SHARE if self.large else 1)
        if rng.random() >= share:
            return self.voxel_size
        return self.voxel_size * float(np.exp(rng.uniform(*np.log(self.other_voxels))))


@dataclass(frozen=True)
class RoomCollate(SceneCollate):
    """Batches of rooms; two fifths of those for training have voxels of 2 to 6 cm instead of 4."""

    other_voxels_share = 0.4
    other_voxels = (0.5, 1.5)

    def cropped(self, scan: Scan, size: int, voxel_size: float, rng: np.random.Generator) -> Scan:
        """An augmented crop of about ``size`` voxels."""
        motion = MOTION.milder(LATE_SHARE) if self.large else MOTION
        return augment(crop(scan, size, voxel_size, rng), voxel_size, rng, motion)

    @staticmethod
    def floor_lift(rng: np.random.Generator) -> float:
        """An error of the estimated floor's height, metres; mostly none."""
        return floor_lift(rng)


@dataclass(frozen=True)
class StreetCollate(SceneCollate):
    """Batches of streets; some of those for training have voxels of 10 to 30 cm instead of 16."""

    other_voxels_share = 0.3
    other_voxels = (0.62, 1.9)

    def cropped(self, scan: Scan, size: int, voxel_size: float, rng: np.random.Generator) -> Scan:
        """An augmented crop of about ``size`` voxels."""
        return augment_street(crop_street(scan, size, voxel_size, rng), rng)


def _two_sizes(rng: np.random.Generator) -> tuple[int, int]:
    """Numbers of voxels of two crops, the smaller one log-uniform."""
    size = int(np.exp(rng.uniform(np.log(MIN_CROP_VOXELS), np.log(PAIR_VOXELS // 2))))
    return size, PAIR_VOXELS - size
