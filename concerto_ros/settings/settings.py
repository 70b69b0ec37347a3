# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Every parameter of the package: name, default, meaning, unit and range.

The ROS node declares its parameters from these fields, ``config/perception.yaml`` is checked
against them, ``docs/parameters.md`` is written from them, and
:class:`~concerto_ros.pipeline.SemanticPipeline` is built from the same object.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, replace
from pathlib import Path
from typing import Any

from concerto_ros.settings.clicks import SimilaritySettings, TeachSettings
from concerto_ros.settings.diagnostics import DiagnosticSettings
from concerto_ros.settings.field import Setting, SettingsError, setting
from concerto_ros.settings.group import settings_in
from concerto_ros.settings.inference import InferenceSettings
from concerto_ros.settings.inputs import INPUTS, InputNames, InputSettings
from concerto_ros.settings.objects import ObjectSettings
from concerto_ros.settings.outputs import (
    FeatureSettings,
    FilterSettings,
    FusionSettings,
    LabelSettings,
)
from concerto_ros.settings.parameter_file import read_parameters
from concerto_ros.settings.presets import PRESETS
from concerto_ros.settings.renamed import with_new_names
from concerto_ros.settings.words import WordSettings

_log = logging.getLogger(__name__)

PRECISIONS = ("auto", "float32", "bfloat16", "float16")
#: What a training may compute in: float16 needs scaled losses.
TRAINING_PRECISIONS = ("auto", "float32", "bfloat16")

#: Those of :mod:`concerto_ros.ptv3.kernels.backends`, which this package does not import.
BACKENDS = ("auto", "torch", "native", "triton", "spconv")


@dataclass(frozen=True)
class Settings(InputNames):
    """The parameters of the perception node and of the pipeline."""

    # Inputs
    fixed_frame: str = setting(
        "odom", "TF frame of the map; it must be continuous, like odom in REP-105", required=True
    )
    robot_frame: str = setting(
        "", "TF frame of the robot, the centre of the map; empty: the frame of the sensor"
    )
    sync_tolerance: float = setting(
        0.02, "largest stamp difference of colour and depth", unit="s", low=0.0, high=1.0
    )
    transform_timeout: float = setting(
        0.5, "how long a frame waits for its transform", unit="s", low=0.0, high=10.0, live=True
    )
    input_rate: float = setting(
        5.0,
        "maximum fused frames per second and input",
        unit="Hz",
        low=0.1,
        high=100.0,
        live=True,
    )
    max_points: int = setting(
        2_000_000,
        "maximum points per cloud; of a larger cloud only the nearest points are used",
        low=1,
        high=100_000_000,
        live=True,
    )
    min_range: float = setting(
        0.0,
        "points nearer to the sensor than this are ignored; 0: the preset's",
        unit="m",
        low=0.0,
        high=1000.0,
        live=True,
    )
    max_range: float = setting(
        0.0,
        "points farther from the sensor than this are ignored; 0: the preset's",
        unit="m",
        low=0.0,
        high=1000.0,
        live=True,
    )

    intensity_white: float = setting(
        0.0,
        "for models that were trained with intensity: the intensity of a cloud takes the place of"
        " its colours, as grey, and this value and all above are white; 0: clouds have their"
        " own colours",
        unit="(intensity)",
        low=0.0,
        high=1e6,
    )

    # Map
    preset: str = setting(
        "indoor",
        "defaults of voxel size, ranges and map window; which bundled model demo is; and the input"
        " convention (scale and origin of coordinates) of encoders whose file does not store it",
        choices=tuple(PRESETS),
    )
    voxel_size: float = setting(
        0.0,
        "voxel size; 0: the checkpoint's training value (of demo indoors 0.04), else the preset's",
        unit="m",
        low=0.0,
        high=10.0,
    )
    window_seconds: float = setting(
        0.0,
        "a voxel is removed when it was last seen longer ago than this, by sensor stamps;"
        " 0: the preset's",
        unit="s",
        low=0.0,
        high=86400.0,
    )
    window_frames: int = setting(
        0,
        "a voxel is removed when it was last seen more frames ago than this; 0: no limit",
        low=0,
        high=1_000_000,
    )
    window_radius: float = setting(
        0.0,
        "a voxel is removed when it is farther from the robot than this; 0: the preset's",
        unit="m",
        low=0.0,
        high=10000.0,
    )
    max_voxels: int = setting(
        200_000,
        "maximum voxels in the map; the farthest are removed first",
        low=1,
        high=20_000_000,
    )
    clear_after: int = setting(
        2,
        "a voxel is removed once this many frames observed it as free since it was last seen;"
        " 0: never",
        low=0,
        high=255,
    )

    map_directory: str = setting(
        "",
        "directory for the maps of ~/save_map and ~/load_map; empty: both services are disabled",
    )

    # Model
    checkpoint: str = setting(
        "demo",
        "encoder: demo (the bundled model of the preset), an official name or a file",
        required=True,
    )
    head: str = setting(
        "", "linear head: an official name or a file; empty: no labels (demo includes a head)"
    )
    exported: str = setting(
        "",
        "file of concerto-ros export (.onnx or .pt2), made of the checkpoint, that computes the"
        " features on the CPU; empty: PyTorch computes them",
    )
    label_set: str = setting(
        "",
        "label set (names and colours): scannet20, scannet200, s3dis, semantickitti, nuscenes,"
        " scannetpp, structured3d, hm3d or a file; empty: the head's own, else the one of the"
        " first five with as many classes",
    )
    device: str = setting(
        "auto", "auto, cpu, cuda or cuda:N; auto: cuda where available", required=True
    )
    precision: str = setting(
        "auto",
        "auto: bfloat16 on a GPU or CPU that has instructions for it, else float32",
        choices=PRECISIONS,
    )
    backend: str = setting(
        "auto",
        "kernels for space-filling curves, neighbour search and sparse convolution;"
        " auto: where available, native on the CPU (compiled once by its C++ compiler) and triton"
        " on cuda, else torch",
        choices=BACKENDS,
    )
    cpu_fallback: bool = setting(
        False,
        "move to the CPU when the device runs out of memory even for small chunks of the map;"
        " false: such a map gets no labels",
    )
    floor_height: float = setting(
        math.nan,
        "height of the floor in fixed_frame; .nan: that of the lowest surface is estimated",
        unit="m",
    )
    unfamiliar: str = setting(
        "keep",
        "voxels whose features are far from those that the model was trained on, which the"
        " bundled models know; keep: they are labelled and counted; unlabel: they get no label",
        choices=("keep", "unlabel"),
    )
    estimate_normals: bool = setting(
        True, "estimate the normals of voxels whose sensor provides none"
    )

    # Inference
    rate: float = setting(
        5.0, "maximum inferences per second", unit="Hz", low=0.01, high=100.0, live=True
    )
    inference: InferenceSettings = field(default_factory=InferenceSettings)

    # Label fusion
    fusion: FusionSettings = field(default_factory=FusionSettings)

    # Outputs
    labels: LabelSettings = field(default_factory=LabelSettings)
    features: FeatureSettings = field(default_factory=FeatureSettings)
    filter_names: tuple[str, ...] = setting(
        (), "names of the clouds under ~/filtered, one for each filter of classes; [''] means none"
    )

    # Clicks
    similarity: SimilaritySettings = field(default_factory=SimilaritySettings)
    teach: TeachSettings = field(default_factory=TeachSettings)
    head_directory: str = setting(
        "", "directory for the heads of ~/save_head; empty: the service is disabled"
    )

    # Words
    words: WordSettings = field(default_factory=WordSettings)

    # Objects
    objects: ObjectSettings = field(default_factory=ObjectSettings)

    # Diagnostics
    diagnostics: DiagnosticSettings = field(default_factory=DiagnosticSettings)

    def __post_init__(self) -> None:
        super().__post_init__()
        for names in NAMED:
            _check_names(names, getattr(self, names))
        inputs = [name for names in INPUTS for name in getattr(self, names)]
        if len(set(inputs)) < len(inputs):
            raise SettingsError(
                f"{' or '.join(INPUTS)}: got {inputs}, expected each name only once in both"
            )
        if self.max_range and self.max_range <= self.min_range:
            raise SettingsError(
                f"max_range: got {self.max_range:g} m, expected more than min_range,"
                f" {self.min_range:g} m"
            )

    def with_preset(self) -> Settings:
        """Return the settings with every 0 that means "the preset's" replaced.

        ``voxel_size`` stays, as the encoder's precedes the preset's: :meth:`with_voxel_size`.
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
        """Return the settings with a voxel size: the one set, the encoder's, or the preset's.

        Args:
            grid_size: Metres, the voxel size that the encoder is trained on; None if unknown.

        Raises:
            SettingsError: ``grid_size`` is not an accepted voxel size.
        """
        preset = PRESETS[self.preset].voxel_size
        return replace(self, voxel_size=self.voxel_size or grid_size or preset)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Settings:
        """Make settings of ``{full name: value}``, with the defaults for all others.

        Raises:
            SettingsError: A name is unknown or a value is not accepted.
        """
        return cls().changed(values)

    def changed(self, values: Mapping[str, Any]) -> Settings:
        """Return the settings with the values of ``{full name: value}`` replaced.

        Names of :data:`~concerto_ros.settings.renamed.RENAMED` are read with a notice.

        Raises:
            SettingsError: A name is unknown or a value is not accepted.
        """
        own: dict[str, Any] = {}
        grouped: dict[str, dict[str, Any]] = {}
        values, notices = with_new_names(values)
        for notice in notices:
            _log.warning(notice)
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
        """Read settings from a ROS parameter file such as ``config/perception.yaml``.

        The parameters of single inputs and filters (``clouds.<name>.topic``), which :func:`named`
        reads, and those that only the node has are ignored.

        Raises:
            SettingsError: The file is not a ROS parameter file, a name is unknown or a value is
                not accepted.
            OSError: The file cannot be read.
        """
        values = dict(read_parameters(path))
        return cls.from_mapping(
            {
                name: value
                for name, value in values.items()
                if (name in DEFAULTS or "." not in name) and name not in NODE_ONLY
            }
        )


#: Parameters of the node alone, which the pipeline ignores.
NODE_ONLY = frozenset({"autostart", "use_sim_time"})

_FIELDS: dict[str, Field] = {
    group.PREFIX + parameter.name: parameter
    for group in (
        Settings,
        DiagnosticSettings,
        FeatureSettings,
        FusionSettings,
        InferenceSettings,
        LabelSettings,
        ObjectSettings,
        SimilaritySettings,
        TeachSettings,
        WordSettings,
    )
    for parameter in settings_in(group)
}

#: Every parameter by its full name, except those of single inputs and filters (:data:`NAMED`).
DEFAULTS: dict[str, Any] = {name: parameter.default for name, parameter in _FIELDS.items()}


def about(name: str) -> Setting:
    """Return the description of the parameter with the full name ``name``."""
    return _FIELDS[name].metadata["setting"]


#: Parameters that list names, and the class of each name's own ``<GROUP>.<name>.<key>``.
NAMED: dict[str, type[InputSettings] | type[FilterSettings]] = {
    **INPUTS,
    "filter_names": FilterSettings,
}


def settings_of(names: str) -> dict[str, Field]:
    """Return the parameters of each input or filter that the parameter ``names`` lists.

    Args:
        names: A key of :data:`NAMED`; other parameters list nothing.

    Returns:
        Each parameter by its full name, in which the input or filter is ``<name>``.
    """
    if names not in NAMED:
        return {}
    return {
        f"{NAMED[names].GROUP}.<name>.{field.name}": field for field in settings_in(NAMED[names])
    }


def named(names: str, name: str, values: Mapping[str, Any]) -> Any:
    """Return the settings of one input or filter.

    Args:
        names: Parameter that lists its name, a key of :data:`NAMED`.
        name: Its name.
        values: Parameters by full name; those that are missing have their defaults.

    Returns:
        An instance of ``NAMED[names]``.

    Raises:
        SettingsError: A value is not accepted.
    """
    own = {}
    for pattern, parameter in settings_of(names).items():
        full = pattern.replace("<name>", name)
        value = values.get(full, parameter.default)
        own[parameter.name] = parameter.metadata["setting"].checked(full, value, parameter.default)
    return NAMED[names](name, **own)


def listed(names: str, settings: Settings, values: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the settings of every input or filter that the parameter ``names`` lists.

    Args:
        names: A key of :data:`NAMED`.
        settings: Their ``names`` are read.
        values: Parameters by full name; those that are missing have their defaults.

    Raises:
        SettingsError: A value is not accepted.
    """
    return tuple(named(names, name, values) for name in getattr(settings, names))


def _check_names(parameter: str, names: tuple[str, ...]) -> None:
    for name in names:
        if not (name.isidentifier() and name.isascii()):
            raise SettingsError(
                f"{parameter}: got the name {name!r}, expected letters, digits and _"
            )
    if len(set(names)) < len(names):
        raise SettingsError(f"{parameter}: got {list(names)}, expected each name only once")
