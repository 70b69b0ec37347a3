# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the inference, ``inference.<name>`` in ROS."""

from __future__ import annotations

from dataclasses import dataclass

from concerto_ros.settings.field import setting
from concerto_ros.settings.group import SettingsGroup


@dataclass(frozen=True)
class InferenceSettings(SettingsGroup):
    """What a prediction covers, and when it has to wait for others."""

    PREFIX = "inference."

    region: str = setting(
        "changed",
        "what a prediction covers; map: the whole map; changed: what changed since its last"
        " prediction, and in turn the rest, every 10 s: faster where sensors see a small part of"
        " the map",
        choices=("map", "changed"),
    )
    nice: int = setting(
        0,
        "niceness of the thread that computes predictions above that of the node: with a higher"
        " one the intake of messages and other processes come first where cores are few",
        low=0,
        high=19,
    )
