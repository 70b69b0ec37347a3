# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which topics of a bag are inputs: detected in the bag, or set by a parameter file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from concerto_ros.bags.reader import Bag, BagError
from concerto_ros.bags.topic_discovery import find_inputs
from concerto_ros.settings.field import SettingsError
from concerto_ros.settings.inputs import INPUTS, InputSettings
from concerto_ros.settings.parameter_file import read_parameters
from concerto_ros.settings.settings import Settings, listed

#: Hz, ``input_rate`` of detected inputs: practically every frame.
FOUND_INPUT_RATE = 30.0


@dataclass(frozen=True)
class InputPlan:
    """The inputs and settings for a bag.

    Attributes:
        settings: The settings, presets filled in.
        inputs: The parameters of each input.
        why: Sentences that explain detected inputs.
    """

    settings: Settings
    inputs: tuple[InputSettings, ...]
    why: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """The inputs detected in a bag.

    Attributes:
        inputs: The parameters of each input.
        settings: The settings that follow from them, by parameter name.
        why: Sentences that explain the choice.
    """

    inputs: tuple[InputSettings, ...]
    settings: dict[str, Any]
    why: tuple[str, ...]


def plan_for(bag: Bag, config: Path | None, overrides: Mapping[str, Any]) -> InputPlan:
    """Choose inputs and settings for a bag.

    Args:
        bag: The bag.
        config: A ROS parameter file that names the inputs; None: they are detected in the bag.
        overrides: Settings by parameter name that have precedence over both.

    Raises:
        SettingsError: A parameter is unknown or not accepted, or the file names no inputs.
        BagError: The bag lacks a topic of the file, or no input was detected.
    """
    if config is None:
        found = found_inputs(bag)
        settings = Settings.from_mapping({**found.settings, **overrides})
        return InputPlan(settings.with_preset(), found.inputs, found.why)
    settings = Settings.from_config(config).changed(overrides)
    if settings.labels.points != "voxels":
        raise SettingsError(
            f"labels.points: got {settings.labels.points!r} in {config}, expected voxels:"
            " only the labels of the map are written to a bag"
        )
    values = dict(read_parameters(config))
    inputs = tuple(source for names in INPUTS for source in listed(names, settings, values))
    if not inputs:
        raise SettingsError(
            f"{config} has no {' and no '.join(INPUTS)}, expected at least one input; name one, or"
            " leave --config out to detect the inputs in the bag"
        )
    for source in inputs:
        for parameter, topic in source.topics.items():
            if topic not in bag.topics:
                raise BagError(
                    f"{bag.path} has no topic {topic} ({parameter} of {source.name} in {config});"
                    f" its topics are: {', '.join(bag.topics)}"
                )
    return InputPlan(settings.with_preset(), inputs)


def found_inputs(bag: Bag) -> Found:
    """Detect the inputs from the messages and the TF of a bag.

    Raises:
        BagError: The bag has no input that can be used.
    """
    inputs = find_inputs(bag)
    preset = "indoor" if inputs.near else "outdoor"
    sensor = "a depth camera" if inputs.near else "a LiDAR"
    return Found(
        inputs.inputs,
        {
            "fixed_frame": inputs.fixed_frame,
            "preset": preset,
            "input_rate": FOUND_INPUT_RATE,
        },
        (*inputs.why, f"preset {preset}, as the input is {sensor}"),
    )
