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
        "WARN if labels are published later than this after the newest sensor stamp; 0: never",
        unit="s",
        low=0.0,
        high=3600.0,
        live=True,
    )
    free_memory: float = setting(
        0.05,
        "WARN if less than this share of the computer's memory is free",
        unit="(share)",
        low=0.0,
        high=1.0,
        live=True,
    )
    hardware_id: str = setting("", "hardware_id of every status; empty: the host name")
