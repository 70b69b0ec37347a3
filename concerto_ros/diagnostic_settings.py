# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of ``/diagnostics``, ``diagnostics.<key>`` in ROS, and the bounds of inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from concerto_ros.output_settings import check_group
from concerto_ros.setting import setting


@dataclass(frozen=True)
class DiagnosticSettings:
    """When ``/diagnostics`` warns."""

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

    def __post_init__(self) -> None:
        check_group("diagnostics", self)


def least_rate() -> Any:
    """The field ``min_rate`` of an input."""
    return _bound("fewer messages a second than this are a WARN in /diagnostics; 0: any", "Hz")


def most_rate() -> Any:
    """The field ``max_rate`` of an input."""
    return _bound("more messages a second than this are a WARN in /diagnostics; 0: any", "Hz")


def most_age() -> Any:
    """The field ``max_age`` of an input."""
    return _bound("messages that arrive older than this are a WARN in /diagnostics; 0: any", "s")


def _bound(text: str, unit: str) -> Any:
    return setting(0.0, text, unit=unit, low=0.0, high=10_000.0)
