# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Every parameter of the package: name, default, meaning, unit and range, in this one place.

The ROS node declares its parameters from these fields, ``config/perception.yaml`` is checked
against them, ``docs/parameters.md`` is written from them, and
:class:`~concerto_ros.pipeline.SemanticPipeline` is built from the same object.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, dataclass, field, replace
from pathlib import Path
from typing import Any

from concerto_ros.settings.clicks import SimilaritySettings, TeachSettings
from concerto_ros.settings.diagnostics import DiagnosticSettings
from concerto_ros.settings.field import Setting, SettingsError, setting
from concerto_ros.settings.group import settings_in
from concerto_ros.settings.inputs import INPUTS, InputNames
from concerto_ros.settings.objects import ObjectSettings
from concerto_ros.settings.outputs import FilterSettings, FusionSettings, LabelSettings
from concerto_ros.settings.parameter_file import read_parameters
from concerto_ros.settings.presets import PRESETS

PRECISIONS = ("auto", "float32", "bfloat16", "float16")

#: Those of :mod:`concerto_ros.ptv3.kernels.backends`: this room imports none of the others.
BACKENDS = ("auto", "torch", "triton", "spconv")


@dataclass(frozen=True)
class Settings(InputNames):
    """The parameters of the perception node and of the pipeline."""

    # Inputs
    fixed_frame: str = setting(
        "odom", "frame the map is kept in; continuous, as odom in REP-105", required=True
    )
    robot_frame: str = setting(
        "", "frame of the robot, the centre of the window; empty: the sensor's own origin"
    )
    sync_tolerance: float = setting(
        0.02, "largest stamp difference of colour and depth", unit="s", low=0.0, high=1.0
    )
    transform_timeout: float = setting(
        0.5, "how long a frame waits for its transform", unit="s", low=0.0, high=10.0, live=True
    )
    input_rate: float = setting(
        5.0,
        "most frames a second fused from each input",
        unit="Hz",
        low=0.1,
        high=100.0,
        live=True,
    )
    max_points: int = setting(
        2_000_000,
        "of a cloud with more points the nearest are used",
        low=1,
        high=100_000_000,
        live=True,
    )
    min_range: float = setting(
        0.0,
        "points nearer to the sensor are left out; 0: the preset's",
        unit="m",
        low=0.0,
        high=1000.0,
        live=True,
    )
    max_range: float = setting(
        0.0,
        "points farther from the sensor are left out; 0: the preset's",
        unit="m",
        low=0.0,
        high=1000.0,
        live=True,
    )

    # Map
    preset: str = setting(
        "indoor",
        "voxel size, ranges, and the input convention of models whose file does not say theirs",
        choices=tuple(PRESETS),
    )
    voxel_size: float = setting(
        0.0,
        "edge of a voxel; 0: what the checkpoint says it is trained on (demo: 0.04), else the"
        " preset's",
        unit="m",
        low=0.0,
        high=10.0,
    )
    window_seconds: float = setting(
        0.0,
        "a voxel leaves when it was last seen longer ago than this, by sensor stamps;"
        " 0: the preset's",
        unit="s",
        low=0.0,
        high=86400.0,
    )
    window_frames: int = setting(
        0,
        "a voxel leaves when it was last seen more frames ago than this; 0: no limit",
        low=0,
        high=1_000_000,
    )
    window_radius: float = setting(
        0.0,
        "a voxel leaves when it is farther from the robot than this; 0: the preset's",
        unit="m",
        low=0.0,
        high=10000.0,
    )
    max_voxels: int = setting(
        200_000, "ceiling of the map; the farthest voxels leave first", low=1, high=20_000_000
    )
    clear_after: int = setting(
        2,
        "a voxel leaves once so many frames saw through it since it was last seen; 0: never",
        low=0,
        high=255,
    )

    map_directory: str = setting(
        "", "where ~/save_map and ~/load_map keep maps; empty: they are refused"
    )

    # Model
    checkpoint: str = setting("demo", "encoder: demo, an official name or a file", required=True)
    head: str = setting(
        "", "linear head: an official name or a file; empty: none, no labels (demo brings its own)"
    )
    label_set: str = setting(
        "",
        "names and colours: scannet20, scannet200, s3dis, semantickitti, nuscenes or a file;"
        " empty: the one with as many classes as the head",
    )
    device: str = setting(
        "auto", "auto, cpu, cuda or cuda:N; auto: cuda where there is one", required=True
    )
    precision: str = setting(
        "auto",
        "auto: bfloat16 on a GPU or CPU with instructions for it, else float32",
        choices=PRECISIONS,
    )
    backend: str = setting(
        "auto",
        "what computes curves, neighbours and convolution;"
        " auto: triton on cuda where it can be had, else torch",
        choices=BACKENDS,
    )
    cpu_fallback: bool = setting(
        False,
        "where the device has no memory left even for small parts of a cloud, compute on the CPU"
        " from then on; else that map stays without labels",
    )
    estimate_normals: bool = setting(True, "fit normals to the voxels whose sensor gives none")

    # Inference
    rate: float = setting(
        5.0, "most inferences a second", unit="Hz", low=0.01, high=100.0, live=True
    )

    # Label fusion
    fusion: FusionSettings = field(default_factory=FusionSettings)

    # Outputs
    labels: LabelSettings = field(default_factory=LabelSettings)
    filters: tuple[str, ...] = setting(
        (), "names of the clouds under ~/filtered, each with the classes it holds; [''] means none"
    )

    # Clicks
    similarity: SimilaritySettings = field(default_factory=SimilaritySettings)
    teach: TeachSettings = field(default_factory=TeachSettings)
    head_directory: str = setting("", "where ~/save_head keeps heads; empty: it is refused")

    # Objects
    objects: ObjectSettings = field(default_factory=ObjectSettings)

    # Diagnostics
    diagnostics: DiagnosticSettings = field(default_factory=DiagnosticSettings)

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_names(", ".join(INPUTS), sum((getattr(self, group) for group in INPUTS), ()))
        _check_names("filters", self.filters)
        if self.max_range and self.max_range <= self.min_range:
            raise SettingsError(
                f"max_range: got {self.max_range:g} m, expected more than min_range,"
                f" {self.min_range:g} m"
            )

    def with_preset(self) -> Settings:
        """The same settings with every 0 that means "the preset's" replaced.

        Not that of ``voxel_size``, for which the encoder comes first: :meth:`with_voxel_size`.
        """
        preset = PRESETS[self.preset]
        return replace(
            self,
            min_range=self.min_range or preset.min_range,
            max_range=self.max_range or preset.max_range,
            window_seconds=self.window_seconds or preset.window_seconds,
            window_radius=self.window_radius or preset.window_radius,
        )

    def with_voxel_size(self, grid_size: float | None) -> Settings:
        """The same settings with a voxel size: its own, the encoder's, else the preset's.

        ``grid_size``: metres, the voxels that the encoder is trained on; None where it does not
        say.
        """
        preset = PRESETS[self.preset].voxel_size
        return replace(self, voxel_size=self.voxel_size or grid_size or preset)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Settings:
        """Settings from ``{name: value}``; unknown names are refused."""
        return cls().changed(values)

    def changed(self, values: Mapping[str, Any]) -> Settings:
        """The same settings with those of ``{name: value}`` changed; unknown names are refused."""
        own: dict[str, Any] = {}
        grouped: dict[str, dict[str, Any]] = {}
        for name, value in values.items():
            if name not in DEFAULTS:
                raise SettingsError(
                    f"{name}: unknown parameter, expected one of {sorted(DEFAULTS)}"
                )
            group, _, key = name.rpartition(".")
            (grouped.setdefault(group, {}) if group else own)[key] = value
        for group, changes in grouped.items():
            own[group] = replace(getattr(self, group), **changes)
        return replace(self, **own)

    @classmethod
    def from_config(cls, path: str | Path) -> Settings:
        """Settings from a ROS parameter file such as ``config/perception.yaml``.

        The topics of the inputs (``clouds.<name>.topic``) and the parameters that only the node
        has are left to it.
        """
        values = dict(read_parameters(path))
        return cls.from_mapping(
            {
                name: value
                for name, value in values.items()
                if (name in DEFAULTS or "." not in name) and name not in NODE_ONLY
            }
        )


#: Parameters that a file may hold for the node and that are no business of the pipeline.
NODE_ONLY = frozenset({"autostart", "use_sim_time"})

_FIELDS: dict[str, Field] = {
    kind.PREFIX + entry.name: entry
    for kind in (
        Settings,
        DiagnosticSettings,
        FusionSettings,
        LabelSettings,
        ObjectSettings,
        SimilaritySettings,
        TeachSettings,
    )
    for entry in settings_in(kind)
}

#: Every parameter by its full name, but those of the things that :data:`NAMED` lists.
DEFAULTS: dict[str, Any] = {name: entry.default for name, entry in _FIELDS.items()}


def about(name: str) -> Setting:
    """The description of the parameter ``name``."""
    return _FIELDS[name].metadata["setting"]


#: Parameters that name things, and the kind of thing; each has ``<parameter>.<name>.<key>``.
NAMED: dict[str, type] = {**INPUTS, "filters": FilterSettings}


def settings_of(group: str) -> list[Field]:
    """The parameters of each thing that the parameter ``group`` names; [] where it names none."""
    return settings_in(NAMED[group]) if group in NAMED else []


def named(group: str, name: str, values: Mapping[str, Any]) -> Any:
    """The thing ``name`` of those that the parameter ``group`` lists.

    ``values``: parameters by their full names; those that are missing have their defaults. Raises
    :class:`SettingsError` for a value that cannot be used.
    """
    own = {}
    for entry in settings_of(group):
        full = f"{group}.{name}.{entry.name}"
        value = values.get(full, entry.default)
        own[entry.name] = entry.metadata["setting"].checked(full, value, entry.default)
    return NAMED[group](name, **own)


def _check_names(parameter: str, names: tuple[str, ...]) -> None:
    for name in names:
        if not (name.isidentifier() and name.isascii()):
            raise SettingsError(
                f"{parameter}: got the name {name!r}, expected letters, digits and _"
            )
    if len(set(names)) < len(names):
        raise SettingsError(f"{parameter}: got {list(names)}, expected each name only once")
