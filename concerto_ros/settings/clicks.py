# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of clicks: finding similar regions, and teaching classes."""

from __future__ import annotations

from dataclasses import dataclass

from concerto_ros.settings.field import setting
from concerto_ros.settings.group import SettingsGroup


@dataclass(frozen=True)
class SimilaritySettings(SettingsGroup):
    """How long ``~/similarity`` follows a click; ``similarity.<key>`` in ROS."""

    PREFIX = "similarity."

    seconds: float = setting(
        0.0,
        "how long ~/similarity is published after a click or a call of ~/find, by sensor stamps;"
        " 0: until the next",
        unit="s",
        low=0.0,
        high=86400.0,
        live=True,
    )


@dataclass(frozen=True)
class TeachSettings(SettingsGroup):
    """Which voxels a click teaches; ``teach.<key>`` in ROS."""

    PREFIX = "teach."

    radius: float = setting(
        0.1,
        "voxels within this distance of a clicked point become examples of its class",
        unit="m",
        low=0.001,
        high=100.0,
        live=True,
    )
