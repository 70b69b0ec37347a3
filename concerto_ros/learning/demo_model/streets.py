# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Data set of the bundled outdoor model: scans of simulated streets."""

from __future__ import annotations

from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.learning.demo_model.scene_scans import SceneScans
from concerto_ros.learning.demo_model.street_scans import SCANS, street_scans_of
from concerto_ros.sim.library import FurnitureLibrary

#: Seeds of the streets for training, validation and test; they are disjoint.
TRAINING_STREETS = range(30_000, 30_400)
VALIDATION_STREETS = range(29_000, 29_010)
TEST_STREETS = range(20_000, 20_040)


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
