# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of an input: ``clouds.<name>.<key>`` and ``cameras.<name>.<key>`` in ROS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from concerto_ros.settings.field import setting


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


@dataclass(frozen=True)
class CloudInput:
    """A PointCloud2 topic."""

    name: str
    topic: str = setting("", "PointCloud2 topic", required=True)
    clears: bool = setting(
        True,
        "take out of the map what this input sees through; false where the cloud is not in the"
        " frame of its sensor",
    )
    min_rate: float = least_rate()
    max_rate: float = most_rate()
    max_age: float = most_age()


@dataclass(frozen=True)
class CameraInput:
    """An RGB-D camera. A topic that ends in /compressed or /compressedDepth is read as such."""

    name: str
    color_topic: str = setting("", "colour image topic; empty: depth only")
    depth_topic: str = setting(
        "", "depth image topic (REP-118), best aligned to colour", required=True
    )
    info_topic: str = setting(
        "",
        "camera_info of the colour image (of the depth image where there is no colour)",
        required=True,
    )
    depth_info_topic: str = setting(
        "", "camera_info of the depth image, needed only where depth is not aligned to colour"
    )
    clears: bool = setting(True, "take out of the map what this input sees through")
    min_rate: float = least_rate()
    max_rate: float = most_rate()
    max_age: float = most_age()
