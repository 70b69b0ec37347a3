# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the object stage, ``objects.<name>`` in ROS."""

from __future__ import annotations

from dataclasses import dataclass

from concerto_ros.settings.field import setting
from concerto_ros.settings.group import SettingsGroup


@dataclass(frozen=True)
class ObjectSettings(SettingsGroup):
    """What becomes an object, how often, and what names it."""

    PREFIX = "objects."

    enabled: bool = setting(
        False,
        "find objects also while nobody subscribes to them, so that their ids go on",
        live=True,
    )
    rate: float = setting(
        1.0,
        "most times a second that objects are looked for",
        unit="Hz",
        low=0.01,
        high=100.0,
        live=True,
    )
    classes: tuple[str, ...] = setting(
        (),
        "classes of the label set that are objects; ['']: all but walls, floors and the like",
    )
    supports: tuple[str, ...] = setting(
        (),
        "classes on which things stand, which are objects whatever their label;"
        " ['']: tables, desks, cabinets and the like",
    )
    min_voxels: int = setting(
        20, "an object has at least this many voxels", low=1, high=1_000_000, live=True
    )
    memory: float = setting(
        30.0,
        "an object that is out of the map keeps its id for this long, by sensor stamps",
        unit="s",
        low=0.0,
        high=86400.0,
    )
    encoder: str = setting(
        "demo",
        "what says what an object is: demo, or the file of an object encoder; empty: its labels",
    )
    encoder_classes: tuple[str, ...] = setting(
        (),
        "names of the encoder's classes in their order; ['']: those its file tells, of"
        " ScanObjectNN where it has 15, else class_0, class_1, ...",
    )
    words: str = setting(
        "",
        "what gives ~/find_objects the vectors of words: a file of them, or open_clip;"
        " empty: it is refused",
    )
    embeddings: bool = setting(
        False, "send the encoder's feature of each object with it", live=True
    )
