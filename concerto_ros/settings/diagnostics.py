# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of ``/diagnostics``, ``diagnostics.<key>`` in ROS."""

from __future__ import annotations

from dataclasses import dataclass

from concerto_ros.settings.field import setting
from concerto_ros.settings.group import SettingsGroup


@dataclass(frozen=True)
class DiagnosticSettings(SettingsGroup):
    """When ``/diagnostics`` warns."""

    PREFIX = "diagnostics."

    deadline: float = setting(
        1.0,
        "labels that come later than this after the newest reading in them are a WARN; 0: none",
        unit="s",
        low=0.0,
        high=3600.0,
        live=True,
    )
    free_memory: float = setting(
        0.05,
        "less of the computer's memory left than this share is a WARN",
        unit="(share)",
        low=0.0,
        high=1.0,
        live=True,
    )
    hardware_id: str = setting("", "hardware_id of every status; empty: the name of the computer")
