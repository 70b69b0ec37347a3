# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the labelled clouds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from concerto_ros.settings.field import SettingsError, setting
from concerto_ros.settings.group import SettingsGroup


@dataclass(frozen=True)
class FilterSettings(SettingsGroup):
    """Which points pass into a cloud under ``~/filtered``; ``filters.<name>.<key>`` in ROS.

    Attributes:
        name: Name of the filter, one of those in ``filter_names``.
    """

    #: Its parameters are ``<GROUP>.<name>.<key>``.
    GROUP: ClassVar[str] = "filters"

    name: str
    include: tuple[str, ...] = setting(
        (),
        "classes of the label set that pass; a|b: those of a and b that it has;"
        " ['']: all except those of exclude",
        live=True,
    )
    exclude: tuple[str, ...] = setting(
        (),
        "classes of the label set that do not pass; a|b: as for include; only where include is"
        " ['']",
        live=True,
    )
    min_confidence: float = setting(
        0.0,
        "labelled points with less confidence than this do not pass",
        unit="(probability)",
        low=0.0,
        high=1.0,
        live=True,
    )
    unlabelled: bool = setting(False, "points without a label pass as well", live=True)
    frame: str = setting("", "frame the cloud is sent in; empty: fixed_frame", live=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.include and self.exclude:
            raise SettingsError(
                f"filters.{self.name}: got include {list(self.include)} and exclude"
                f" {list(self.exclude)}, expected only one of the two"
            )

    def parameter(self, key: str) -> str:
        """Return the full parameter name, which contains the filter's name."""
        return f"{self.GROUP}.{self.name}.{key}"


@dataclass(frozen=True)
class LabelSettings(SettingsGroup):
    """How ``~/labels`` is written; ``labels.<key>`` in ROS."""

    PREFIX = "labels."

    layout: str = setting(
        "pcl",
        "fields of ~/labels and ~/filtered; pcl: x y z rgb label confidence;"
        " autoware: x y z class_id probability entropy, like autoware_ptv3;"
        " panoptic: x y z rgb panoptic confidence, where panoptic is (label << 16) | instance",
        choices=("pcl", "autoware", "panoptic"),
    )
    instances: bool = setting(
        False,
        "a last field instance in ~/labels and ~/filtered: the id of the object in ~/objects;"
        " 0: none, or none that is current",
    )
    instance_age: float = setting(
        3.0,
        "a search for objects gives its ids to labels that are newer by at most this, by stamps",
        unit="s",
        low=0.0,
        high=3600.0,
        live=True,
    )
    points: str = setting(
        "voxels",
        "points of ~/labels; voxels: those of the map; input: those of the newest message,"
        " in its own frame and order",
        choices=("voxels", "input"),
    )

    @property
    def need_objects(self) -> bool:
        """Whether the points are to have the ids of objects."""
        return self.instances or self.layout == "panoptic"


@dataclass(frozen=True)
class FeatureSettings(SettingsGroup):
    """How ``~/features`` is written; ``features.<key>`` in ROS."""

    PREFIX = "features."

    components: int = setting(
        32,
        "components of each feature in ~/features, the strongest first; their directions are in"
        " ~/features_projection",
        low=1,
        high=256,
    )
    encoding: str = setting(
        "float16",
        "numbers of ~/features; float16: their bits in fields of uint16; int8: with a scale for"
        " each point",
        choices=("float32", "float16", "int8"),
        live=True,
    )


@dataclass(frozen=True)
class FusionSettings(SettingsGroup):
    """How the labels of a voxel are fused over time; ``fusion.<key>`` in ROS."""

    PREFIX = "fusion."

    seconds: float = setting(
        2.0,
        "time constant of label fusion; 0: each prediction is independent",
        unit="s",
        low=0.0,
        high=3600.0,
    )
    always: bool = setting(
        False,
        "label even while nobody subscribes, so that the first labels are fused already",
        live=True,
    )
