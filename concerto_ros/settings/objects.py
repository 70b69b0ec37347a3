# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the object stage, ``objects.<name>`` in ROS."""

from __future__ import annotations

from dataclasses import dataclass

from concerto_ros.settings.field import setting
from concerto_ros.settings.group import SettingsGroup


@dataclass(frozen=True)
class ObjectSettings(SettingsGroup):
    """Which objects are found, how often, and how they are classified."""

    PREFIX = "objects."

    enabled: bool = setting(
        False,
        "find objects even while nobody subscribes to them, so that their ids are kept",
        live=True,
    )
    rate: float = setting(
        1.0,
        "maximum searches for objects per second",
        unit="Hz",
        low=0.01,
        high=100.0,
        live=True,
    )
    classes: tuple[str, ...] = setting(
        (),
        "classes of the label set that are objects; ['']: all except walls, floors and similar",
    )
    supports: tuple[str, ...] = setting(
        (),
        "support classes: what stands on them is an object whatever its label;"
        " ['']: tables, desks, cabinets and similar",
    )
    min_voxels: int = setting(
        20, "minimum number of voxels of an object", low=1, high=1_000_000, live=True
    )
    memory: float = setting(
        30.0,
        "an object that left the map keeps its id for this long, by sensor stamps",
        unit="s",
        low=0.0,
        high=86400.0,
    )
    encoder: str = setting(
        "demo",
        "object encoder: demo (bundled) or a file; empty: objects are named by their labels",
    )
    encoder_classes: tuple[str, ...] = setting(
        (),
        "names of the encoder's classes in order; ['']: those stored in its file, else those of"
        " ScanObjectNN if it has 15 classes, else class_0, class_1, ...",
    )
    words: str = setting(
        "",
        "text embeddings for ~/find_objects, which ~/find replaces: a file, or open_clip; empty:"
        " the service is disabled",
    )
    embeddings: bool = setting(
        False, "send the encoder's feature vector with each object", live=True
    )
    text_vectors: bool = setting(
        False,
        "send with each object its vector in the text space of words.head, as ~/embed gives it for"
        " a text",
        live=True,
    )
