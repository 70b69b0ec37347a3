# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The settings as ROS parameters: declared with ranges, checked, changed atomically."""

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
from concerto_ros.settings.renamed import RENAMED, with_new_names
from concerto_ros.settings.settings import DEFAULTS, NAMED, Settings, about, listed, settings_of

AUTOSTART = "autostart"


class Parameters:
    """Declares every parameter on ``node`` and holds the resulting settings.

    A wrong value does not keep the node from starting: :meth:`read` refuses it by name, so that it
    can be corrected with ``ros2 param set`` before the node is configured again.
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
                dynamic_typing=True,  # another value is refused with the command line
            ),
        )
        replaced = self._values_under_old_names()
        for name, default in DEFAULTS.items():
            self._declare(name, replaced.get(name, default), about(name), name in replaced)
        for names in NAMED:
            self._declare_named(names, self._value(names))
        node.add_on_set_parameters_callback(self._on_set)
        node.add_post_set_parameters_callback(self._on_changed)

    @property
    def settings(self) -> Settings:
        """The current settings, with the values of the preset filled in."""
        return self._settings

    @property
    def filters(self) -> tuple[FilterSettings, ...]:
        """The current filters; a new tuple after each change."""
        return self._filters

    def freeze(self, pipeline: SemanticPipeline) -> None:
        """Refuse changes that need a configured node to be cleaned up first.

        Args:
            pipeline: Filters may name its classes, taught ones included.
        """
        self._pipeline = pipeline

    def thaw(self) -> None:
        """Allow all changes; the next :meth:`read` applies them."""
        self._pipeline = None

    def read(self) -> list[InputSettings]:
        """Apply the current values of all parameters.

        Returns:
            The inputs that the parameters name, clouds and cameras.

        Raises:
            SettingsError: Naming the parameter whose value is wrong.
        """
        settings = Settings.from_mapping({name: self._value(name) for name in DEFAULTS})
        named_groups = {}
        for names, kind in NAMED.items():
            self._declare_named(names, getattr(settings, names))
            named_groups[names] = listed(names, settings, self._values_of(kind.GROUP))
        self._settings = settings.with_preset()
        self._filters = named_groups["filter_names"]
        return [config for names in INPUTS for config in named_groups[names]]

    def _value(self, name: str) -> Any:
        return self._node.get_parameter(name).value

    def _values_under_old_names(self) -> dict[str, Any]:
        """The overrides under names of 0.1, by their present names, each with a notice.

        No parameter of an old name stays declared.
        """
        overrides = {}
        for name in (*RENAMED, *RENAMED.values()):
            any_type = ParameterDescriptor(dynamic_typing=True)
            overrides[name] = self._node.declare_parameter(name, None, any_type).value
            self._node.undeclare_parameter(name)
        present, notices = with_new_names(
            {name: value for name, value in overrides.items() if value is not None}
        )
        for notice in notices:
            self._node.get_logger().warning(notice)
        return {name: value for name, value in present.items() if value != overrides[name]}

    def _declare(
        self, name: str, default: Any, setting: Setting, ignore_override: bool = False
    ) -> None:
        value = list(default) or [""] if isinstance(default, tuple) else default
        descriptor = ParameterDescriptor(
            description=setting.description,
            additional_constraints=setting.wanted,
            # rclpy accepts any type, so that an integer can set a double; read() refuses others.
            dynamic_typing=True,
        )
        low, high = setting.low, setting.high
        if low is not None and high is not None:
            if isinstance(default, float):
                float_range = FloatingPointRange(from_value=low, to_value=high)
                descriptor.floating_point_range = [float_range]
            elif isinstance(default, int):
                integer_range = IntegerRange(from_value=int(low), to_value=int(high), step=1)
                descriptor.integer_range = [integer_range]
        try:
            declared = self._node.declare_parameter(name, value, descriptor, ignore_override)
        except InvalidParameterValueException:
            # An override is out of range: keep the value, so that read() can name it.
            descriptor.floating_point_range = []
            descriptor.integer_range = []
            declared = self._node.declare_parameter(name, value, descriptor, ignore_override)
        if declared.value is None:
            # An empty list in a parameter file arrives as an override without a value.
            self._node.undeclare_parameter(name)
            self._node.declare_parameter(name, value, descriptor, ignore_override=True)

    def _declare_named(self, names: str, values: Any) -> None:
        if not isinstance(values, (list, tuple)):
            return  # read() refuses it by name
        for name in values:
            if not isinstance(name, str) or not name.isidentifier():
                continue
            for pattern, field in settings_of(names).items():
                full_name = pattern.replace("<name>", name)
                if not self._node.has_parameter(full_name):
                    self._declare(full_name, field.default, field.metadata["setting"])

    def _values_of(self, group: str) -> dict[str, Any]:
        """The parameters ``<group>.<name>.<key>`` that are set, by their full names."""
        parameters: dict[str, Any] = self._node.get_parameters_by_prefix(group)
        return {parameter.name: parameter.value for parameter in parameters.values()}

    def _on_set(self, parameters: list[Parameter]) -> SetParametersResult:
        # A parameter that is being declared keeps its override; read() refuses a wrong one.
        declared = [
            parameter for parameter in parameters if self._node.has_parameter(parameter.name)
        ]
        try:
            for parameter in declared:
                if parameter.value is None:
                    raise SettingsError(
                        f"{parameter.name}: this parameter cannot be deleted; expected a value"
                    )
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
            if parameter.name in NAMED:  # its topics can be set next
                self._declare_named(parameter.name, parameter.value)

    def _filters_with(self, changed: dict[str, Any]) -> tuple[FilterSettings, ...]:
        """The filters after the changes; the same tuple if no change is about a filter."""
        filters = []
        for settings in self._filters:
            prefix = settings.parameter("")
            changes = {
                name.removeprefix(prefix): value
                for name, value in changed.items()
                if name.startswith(prefix)
            }
            filters.append(replace(settings, **changes) if changes else settings)
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
        group, _, rest = name.partition(".")
        pattern = f"{group}.<name>.{rest.rpartition('.')[2]}"
        for names in NAMED:
            if field := settings_of(names).get(pattern):
                return field.metadata["setting"], field.default
        return None, None
