# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which topics of a bag to perceive, and how: found in the bag, or as a parameter file says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from concerto_ros.bags.reader import Bag, BagError
from concerto_ros.bags.topic_discovery import find_inputs, sees_near
from concerto_ros.settings.field import SettingsError
from concerto_ros.settings.inputs import INPUTS, InputSettings
from concerto_ros.settings.parameter_file import read_parameters
from concerto_ros.settings.settings import Settings, named

#: Of inputs that are found by themselves every frame is wanted, unless there are more than this.
FOUND_INPUT_RATE = 30.0


@dataclass(frozen=True)
class InputPlan:
    """What to perceive; ``settings`` with presets filled in, ``why``: sentences for a person."""

    settings: Settings
    inputs: tuple[InputSettings, ...]
    why: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """The inputs of a bag, and the settings that go with them."""

    inputs: tuple[InputSettings, ...]
    settings: dict[str, Any]
    why: tuple[str, ...]


def plan_for(bag: Bag, config: Path | None, overrides: Mapping[str, Any]) -> InputPlan:
    """The inputs of ``bag``: those of a ROS parameter file, or without one those found in it.

    ``overrides``: settings that have precedence over both. Raises ``SettingsError``, and BagError
    where the bag lacks a topic or has nothing to perceive.
    """
    if config is None:
        found = found_inputs(bag)
        settings = Settings.from_mapping(found.settings | overrides)
        return InputPlan(settings.with_preset(), found.inputs, found.why)
    settings = Settings.from_config(config).changed(overrides)
    if settings.labels.points != "voxels":
        raise SettingsError(
            f"labels.points: got {settings.labels.points!r} in {config}, expected voxels: a bag"
            " gets the labels of the map"
        )
    values = dict(read_parameters(config))
    inputs = tuple(
        named(group, name, values) for group in INPUTS for name in getattr(settings, group)
    )
    if not inputs:
        raise SettingsError(
            f"{config} names no {' and no '.join(INPUTS)}; name some, or leave --config out to"
            " have the inputs found in the bag"
        )
    for about in inputs:
        for parameter, topic in about.topics.items():
            if topic not in bag.topics:
                raise BagError(
                    f"{bag.path} has no topic {topic} ({parameter} of {about.name} in {config});"
                    f" its topics are: {', '.join(bag.topics)}"
                )
    return InputPlan(settings.with_preset(), inputs)


def found_inputs(bag: Bag) -> Found:
    """The inputs that the messages and the TF of ``bag`` show; BagError where there are none."""
    inputs = find_inputs(bag)
    near = sees_near(bag, inputs)
    preset = "indoor" if near else "outdoor"
    kind = "a depth camera" if near else "a LiDAR"
    return Found(
        inputs.inputs,
        {
            "fixed_frame": inputs.fixed_frame,
            "preset": preset,
            "input_rate": FOUND_INPUT_RATE,
        },
        (*inputs.why, f"preset {preset}, as the input is {kind}"),
    )
