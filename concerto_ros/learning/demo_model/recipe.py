# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How each bundled model is made: its data, shape, input and training, in one place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from concerto_ros.labels.label_set import LabelSet
from concerto_ros.learning.data.labelled_scan import LabelledScans, Scan
from concerto_ros.learning.data.named_scans import NamedScans
from concerto_ros.learning.demo_model.collate import RoomCollate, StreetCollate
from concerto_ros.learning.demo_model.rooms import (
    TEST_SEEDS,
    TRAINING_SEEDS,
    VALIDATION_SEEDS,
    DemoRooms,
)
from concerto_ros.learning.demo_model.streets import (
    TEST_STREETS,
    TRAINING_STREETS,
    VALIDATION_STREETS,
    DemoStreets,
)
from concerto_ros.learning.training.schedule import Schedule
from concerto_ros.learning.training.trainer import Collate
from concerto_ros.ptv3.bundled import BUNDLED
from concerto_ros.ptv3.config import PTv3Config
from concerto_ros.segmentation.convention import Convention, convention_for


@dataclass(frozen=True)
class Recipe:
    """All that determines a bundled model.

    Attributes:
        preset: Preset that the model is bundled for; with it its classes.
        scenes: Name of the scenes, and of the folder with their scans.
        open_scans: Opens the scans of scenes, called with a folder and the scenes' seeds; with
            ``furniture=`` the scenes have models of the library in that folder.
        training_seeds: Scenes to train on.
        validation_seeds: Scenes by which the weights are chosen and the head is calibrated.
        test_seeds: Scenes that are only used for the report.
        collate_type: Makes batches; called with ``convention``, ``voxel_size`` and, in the last
            part of the training, ``large=True``.
        config: Shape of the encoder.
        voxel_size: Metres.
        conventions: Scale and centre of the input by preset, where they are not those of the
            published models.
        steps: Steps of the training.
        schedule: Learning rate and weight decay.
        average: Decay of the moving average of the weights.
        batch_size: Scans in a batch.
        batches: Batches in a step; on a CPU each is computed by a process of its own.
        seed: Random seed of the weights and of the training.
        named: Whether its scenes have fine names, which the encoder can learn beside the classes.
    """

    preset: str
    scenes: str
    open_scans: Callable[..., Sequence[Scan]]
    training_seeds: range
    validation_seeds: range
    test_seeds: range
    collate_type: Callable[..., Collate]
    config: PTv3Config
    voxel_size: float
    conventions: Mapping[str, tuple[float, str]] = field(default_factory=dict)
    steps: int = 15_000
    # Muon and a linear fall, as tried on rooms: 1.2 points of mIoU more than along a cosine.
    schedule: Schedule = Schedule(learning_rate=2e-3, weight_decay=0.05, fall="linear")
    average: float = 0.999
    batch_size: int = 2
    batches: int = 2
    seed: int = 0
    named: bool = False

    @property
    def classes(self) -> LabelSet:
        """What the model tells apart."""
        return LabelSet.load(BUNDLED[self.preset])

    @property
    def convention(self) -> Convention:
        """Scale and centre of the input."""
        if self.preset in self.conventions:
            return Convention(*self.conventions[self.preset])
        return convention_for(self.preset, rotary=False)

    def collate(self, **options: Any) -> Collate:
        """What makes batches; without a generator it takes scans whole and as they are."""
        return self.collate_type(self.convention, self.voxel_size, **options)

    def scans(self, folder: Path, seeds: Sequence[int]) -> Sequence[Scan]:
        """The scans of scenes, simulated into ``folder`` if they are not there yet."""
        return self.open_scans(folder / self.scenes, seeds)

    def named_scans(self, folder: Path, seeds: Sequence[int], names: Sequence[str]) -> NamedScans:
        """The scans of scenes with their fine names as positions in ``names``."""
        scans = self.open_scans(folder / self.scenes, seeds, named=True)
        return NamedScans(cast("LabelledScans", scans), names)


def _encoder(depths: tuple[int, ...], channels: tuple[int, ...]) -> PTv3Config:
    """An encoder of five levels, with heads of 16 channels and patches of 128 voxels."""
    return PTv3Config(
        in_channels=9,
        order=("z", "z-trans", "hilbert", "hilbert-trans"),
        enc_depths=depths,
        enc_channels=channels,
        enc_num_head=tuple(width // 16 for width in channels),
        enc_patch_size=(128,) * len(depths),
        enc_mode=True,
    )


#: Narrow in fine levels with many voxels; wide and deep from 16 cm on, where few are left. Voxels
#: are twice as large as in the papers, so a quarter in number, for CPUs.
INDOOR = Recipe(
    preset="indoor",
    scenes="rooms",
    open_scans=DemoRooms,
    training_seeds=TRAINING_SEEDS,
    validation_seeds=VALIDATION_SEEDS,
    test_seeds=TEST_SEEDS,
    collate_type=RoomCollate,
    config=_encoder((1, 1, 3, 3, 1), (32, 64, 128, 160, 192)),
    voxel_size=0.04,
    steps=20_000,
    named=True,
)

#: Fewer classes, which differ more, and sweeps of few voxels: a smaller encoder. Coordinates are a
#: quarter of metres, so that streets have the size of rooms; height counts from the ground.
OUTDOOR = Recipe(
    preset="outdoor",
    scenes="streets",
    open_scans=DemoStreets,
    training_seeds=TRAINING_STREETS,
    validation_seeds=VALIDATION_STREETS,
    test_seeds=TEST_STREETS,
    collate_type=StreetCollate,
    config=_encoder((1, 1, 2, 3, 1), (32, 64, 96, 128, 192)),
    voxel_size=0.16,
    conventions={"outdoor": (0.25, "box")},
)

#: By preset.
RECIPES = {recipe.preset: recipe for recipe in (INDOOR, OUTDOOR)}
