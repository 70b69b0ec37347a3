# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The settings as ROS parameters: declared with range, checked, changed atomically."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.exceptions import InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from concerto_ros.labels.class_filter import check_filters
from concerto_ros.pipeline import SemanticPipeline
from concerto_ros.settings.field import Setting, SettingsError
from concerto_ros.settings.inputs import INPUTS, InputSettings
from concerto_ros.settings.outputs import FilterSettings
from concerto_ros.settings.settings import DEFAULTS, NAMED, Settings, about, named, settings_of

AUTOSTART = "autostart"


class Parameters:
    """Declares every parameter on ``node`` and holds the settings they add up to.

    A wrong value does not stop the node from coming up: :meth:`read` refuses it by name, so that
    it can be mended with ``ros2 param set`` and configured again.
    """

    def __init__(self, node: Node):
        self._node = node
        self._pipeline: SemanticPipeline | None = None
        self._filters: tuple[FilterSettings, ...] = ()
        self._settings = Settings().with_preset()
        node.declare_parameter(
            AUTOSTART,
            True,
            ParameterDescriptor(
                description="configure and activate at start, without a lifecycle manager",
                read_only=True,
            ),
        )
        for name, default in DEFAULTS.items():
            self._declare(name, default, about(name))
        for group in NAMED:
            self._declare_named(group, self._value(group))
        node.add_on_set_parameters_callback(self._on_set)
        node.add_post_set_parameters_callback(self._on_changed)

    @property
    def settings(self) -> Settings:
        """The settings in force, presets filled in."""
        return self._settings

    @property
    def filters(self) -> tuple[FilterSettings, ...]:
        """The filters in force; another tuple after each change."""
        return self._filters

    def freeze(self, pipeline: SemanticPipeline) -> None:
        """Refuse from now on what a configured node cannot change.

        Filters may name the classes of ``pipeline``, those that it is taught included.
        """
        self._pipeline = pipeline

    def thaw(self) -> None:
        """Let everything be changed, for the next :meth:`read`."""
        self._pipeline = None

    def read(self) -> list[InputSettings]:
        """Take over the present values; the inputs they name, or :class:`SettingsError`."""
        settings = Settings.from_mapping({name: self._value(name) for name in DEFAULTS})
        things = {}
        for group in NAMED:
            names = getattr(settings, group)
            self._declare_named(group, names)
            given = self._given(group)
            things[group] = [named(group, name, given) for name in names]
        self._settings = settings.with_preset()
        self._filters = tuple(things["filters"])
        return [config for group in INPUTS for config in things[group]]

    def _value(self, name: str) -> Any:
        value = self._node.get_parameter(name).value
        # An empty list in a parameter file arrives as a parameter that is not set.
        return DEFAULTS[name] if value is None else value

    def _declare(self, name: str, default: Any, setting: Setting) -> None:
        value = list(default) or [""] if isinstance(default, tuple) else default
        descriptor = ParameterDescriptor(
            description=setting.description,
            additional_constraints=setting.wanted,
            # Integers are welcome where a double is meant, and a wrong type is refused by name.
            dynamic_typing=True,
        )
        if setting.low is not None and isinstance(default, float):
            descriptor.floating_point_range = [
                FloatingPointRange(from_value=setting.low, to_value=setting.high)
            ]
        elif setting.low is not None:
            descriptor.integer_range = [
                IntegerRange(from_value=int(setting.low), to_value=int(setting.high), step=1)
            ]
        try:
            self._node.declare_parameter(name, value, descriptor)
        except InvalidParameterValueException:
            # Given out of range from outside: keep the value, so that read() can name it.
            descriptor.floating_point_range = []
            descriptor.integer_range = []
            self._node.declare_parameter(name, value, descriptor)

    def _declare_named(self, group: str, names: Any) -> None:
        if not isinstance(names, (list, tuple)):
            return  # read() refuses it by name
        for name in names:
            if not isinstance(name, str) or not name.isidentifier():
                continue
            for entry in settings_of(group):
                full = f"{group}.{name}.{entry.name}"
                if not self._node.has_parameter(full):
                    self._declare(full, entry.default, entry.metadata["setting"])

    def _given(self, group: str) -> dict[str, Any]:
        """The parameters ``<group>.<name>.<key>`` that are set, by their full names."""
        parameters = self._node.get_parameters_by_prefix(group).values()
        return {one.name: one.value for one in parameters if one.value is not None}

    def _on_set(self, parameters: list[Parameter]) -> SetParametersResult:
        # What is only declared has the value that came from outside, and read() refuses it.
        declared = [one for one in parameters if self._node.has_parameter(one.name)]
        try:
            for parameter in declared:
                if parameter.value is None:
                    raise SettingsError(f"{parameter.name}: cannot be deleted, expected a value")
            changed = dict(self._checked(parameter) for parameter in declared)
            if self._pipeline is not None:
                self._with(changed)
                check_filters(self._filters_with(changed), self._pipeline.labels)
        except SettingsError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _on_changed(self, parameters: list[Parameter]) -> None:
        if self._pipeline is not None:
            changed = dict(self._checked(parameter) for parameter in parameters)
            self._settings = self._with(changed)
            self._filters = self._filters_with(changed)
            return
        for parameter in parameters:
            if parameter.name in NAMED:  # so that what is named can be given its topics
                self._declare_named(parameter.name, parameter.value)

    def _filters_with(self, changed: dict[str, Any]) -> tuple[FilterSettings, ...]:
        """The filters after what has changed; the same tuple where that is none of theirs."""
        filters = []
        for entry in self._filters:
            prefix = f"filters.{entry.name}."
            own = {
                name.removeprefix(prefix): value
                for name, value in changed.items()
                if name.startswith(prefix)
            }
            filters.append(replace(entry, **own) if own else entry)
        if all(new is old for new, old in zip(filters, self._filters, strict=True)):
            return self._filters
        return tuple(filters)

    def _with(self, changed: dict[str, Any]) -> Settings:
        known = {name: value for name, value in changed.items() if name in DEFAULTS}
        return self._settings.changed(known).with_preset()

    def _checked(self, parameter: Parameter) -> tuple[str, Any]:
        name = parameter.name
        setting, default = self._setting(name)
        if setting is None:
            return name, parameter.value
        if self._pipeline is not None and not setting.live:
            raise SettingsError(
                f"{name}: read_only once configured; deactivate and clean up the node first"
            )
        return name, setting.checked(name, parameter.value, default)

    @staticmethod
    def _setting(name: str) -> tuple[Setting | None, Any]:
        if name in DEFAULTS:
            return about(name), DEFAULTS[name]
        group, _, key = name.partition(".")
        for entry in settings_of(group):
            if entry.name == key.rpartition(".")[2]:
                return entry.metadata["setting"], entry.default
        return None, None
