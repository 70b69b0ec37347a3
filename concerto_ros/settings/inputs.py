# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of an input: ``clouds.<name>.<key>`` and ``cameras.<name>.<key>`` in ROS."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, fields
from typing import Any

from concerto_ros.settings.field import setting
from concerto_ros.settings.group import SettingsGroup


def _bound(text: str, unit: str) -> Any:
    return setting(0.0, text, unit=unit, low=0.0, high=10_000.0)


@dataclass(frozen=True)
class InputSettings:
    """What every input has."""

    name: str
    _: KW_ONLY
    min_rate: float = _bound(
        "fewer messages a second than this are a WARN in /diagnostics; 0: any", "Hz"
    )
    max_rate: float = _bound(
        "more messages a second than this are a WARN in /diagnostics; 0: any", "Hz"
    )
    max_age: float = _bound(
        "messages that arrive older than this are a WARN in /diagnostics; 0: any", "s"
    )

    @property
    def topics(self) -> dict[str, str]:
        """The topics it listens to, by the parameter that names each."""
        named = ((entry.name, getattr(self, entry.name)) for entry in fields(self))
        return {name: topic for name, topic in named if name.endswith("topic") and topic}


@dataclass(frozen=True)
class CloudInput(InputSettings):
    """A PointCloud2 topic."""

    topic: str = setting("", "PointCloud2 topic", required=True)
    clears: bool = setting(
        True,
        "take out of the map what this input sees through; false where the cloud is not in the"
        " frame of its sensor",
    )


@dataclass(frozen=True)
class CameraInput(InputSettings):
    """An RGB-D camera. A topic that ends in /compressed or /compressedDepth is read as such."""

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


@dataclass(frozen=True)
class InputNames(SettingsGroup):
    """The parameters that name the inputs; each has ``<parameter>.<name>.<key>``."""

    clouds: tuple[str, ...] = setting((), "names of the PointCloud2 inputs; [''] means none")
    cameras: tuple[str, ...] = setting((), "names of the RGB-D inputs; [''] means none")


#: The parameters that name inputs, and what those of each are.
INPUTS: dict[str, type[InputSettings]] = {"clouds": CloudInput, "cameras": CameraInput}
