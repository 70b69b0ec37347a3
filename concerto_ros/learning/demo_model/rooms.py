# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Data set of the bundled demo model: scans of simulated rooms, made once and kept on disk."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from concerto_ros.learning.data.augment import select
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.learning.demo_model.scene_scans import SceneScans
from concerto_ros.learning.demo_model.sensing.capture import SPACING
from concerto_ros.learning.demo_model.simulated_scans import SCANS, scans_of
from concerto_ros.sim.library import FurnitureLibrary

#: Seeds of the rooms for training, validation and test; they are disjoint. The live demo uses
#: room 0, a test room.
TRAINING_SEEDS = range(10_000, 10_282)
VALIDATION_SEEDS = range(9_000, 9_008)
TEST_SEEDS = range(0, 40)


class DemoRooms(SceneScans):
    """The scans of simulated rooms, one of each sort; a room takes about 3 MB."""

    scene = "room"
    label_set = "demo"
    scans_per_scene = SCANS
    units_per_metre = 1000
    training_seeds = TRAINING_SEEDS

    @staticmethod
    def simulate(seed: int, furniture: FurnitureLibrary | None) -> list[Scan]:
        """The scans of the room of ``seed``."""
        return scans_of(seed, furniture)


def thinned(scan: Scan, seed: int = 0) -> Scan:
    """A tenth of the points without colour: as sparse as the scan of a small LiDAR."""
    rng = np.random.default_rng(seed)
    rows = np.flatnonzero(rng.random(len(scan)) < 5 * SPACING)
    return replace(select(scan, rows), colors=None)
