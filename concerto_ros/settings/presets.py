# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Defaults that go together for one kind of environment."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """Defaults that go together for one kind of place; lengths in metres, durations in seconds.

    Points nearer to the sensor than ``min_range`` or farther than ``max_range`` are not used;
    the map keeps ``window_seconds`` and ``window_radius`` round the robot.
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
