# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Defaults that go together for one kind of environment."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """Defaults that go together for one kind of environment.

    Attributes:
        voxel_size: Metres, edge of a voxel.
        min_range: Metres; points nearer to the sensor are not used.
        max_range: Metres; points farther from the sensor are not used.
        window_seconds: Seconds that the map keeps a voxel after it was last seen.
        window_radius: Metres around the robot that the map keeps.
    """

    voxel_size: float
    min_range: float
    max_range: float
    window_seconds: float
    window_radius: float


PRESETS = {
    "indoor": Preset(
        voxel_size=0.02, min_range=0.2, max_range=8.0, window_seconds=10.0, window_radius=8.0
    ),
    "outdoor": Preset(
        voxel_size=0.05, min_range=1.0, max_range=60.0, window_seconds=1.0, window_radius=60.0
    ),
}
