# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One setting: what it means, its unit, and which values are accepted."""

from __future__ import annotations

import math
import re
from array import array
from dataclasses import dataclass, field
from typing import Any

#: ``{node}`` in the name of a topic stands for the node's own, ``{ns}`` for its namespace.
_PART = r"(?:[A-Za-z_]|\{(?:node|ns|namespace)\})(?:[A-Za-z0-9_]|\{(?:node|ns|namespace)\})*"
#: Relative, absolute or private (``~/``), as ROS accepts them.
TOPIC_NAME = re.compile(rf"(?:/|~/)?{_PART}(?:/{_PART})*")


#: What the values of each type are called in messages.
TYPES = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    tuple: "a list of names",
}


class SettingsError(ValueError):
    """A setting that cannot be used; the text names it, the value got and what is expected."""


def setting(
    default: Any,
    text: str,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    live: bool = False,
    required: bool = False,
    topic: bool = False,
) -> Any:
    """Declare a dataclass field that is a parameter.

    Args:
        default: Its value where none is set; its type is the parameter's.
        text: What the value means, as ``ros2 param describe`` prints it.
        unit: Unit of a number, empty for a pure number.
        low: Smallest accepted number, of a list too; None: it is no number, or has no range.
        high: Largest accepted number.
        choices: The accepted texts; empty: any.
        live: Whether it may change while the node runs, and not only while it is unconfigured.
        required: Whether a text may not be empty.
        topic: Whether a text is the name of a topic.

    Returns:
        A ``dataclasses.field`` with the :class:`Setting` in its metadata.
    """
    about = Setting(type(default), text, unit, low, high, choices, live, required, topic)
    return field(default=default, metadata={"setting": about})


@dataclass(frozen=True)
class Setting:
    """What the value of a parameter means and which values are accepted.

    Attributes:
        kind: Type of the value.
        text: What the value means.
        unit: Unit of a number, empty for a pure number.
        low: Smallest accepted number, or None without a range.
        high: Largest accepted number, or None without a range.
        choices: The accepted texts; empty: any.
        live: Whether it may change while the node runs.
        required: Whether a text may not be empty.
        topic: Whether a text is the name of a topic.
    """

    kind: type[Any]
    text: str
    unit: str
    low: float | None
    high: float | None
    choices: tuple[str, ...]
    live: bool
    required: bool
    topic: bool

    @property
    def wanted(self) -> str:
        """The accepted values, for descriptions and error messages."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        if self.low is not None:
            return f"{self.low:g} to {self.high:g}" + (f" {self.unit}" if self.unit else "")
        if self.kind is float:  # without a range
            return f"a number, {self.unit}, or .nan"
        if self.kind in TYPES:
            return TYPES[self.kind]
        if self.topic:
            return "a name such as /points (letters, digits, _ and /, no part begins with a digit)"
        return "a name" if self.required else "text"

    @property
    def description(self) -> str:
        """Meaning, unit and range in one line."""
        notes = [self.wanted] if self.choices or self.low is not None else []
        if not self.live:
            notes.append("fixed once configured")
        return f"{self.text} [{'; '.join(notes)}]" if notes else self.text

    def checked(self, name: str, value: Any, default: Any) -> Any:
        """Check a value and convert it to the type of the default.

        Args:
            name: Full name of the parameter, for the error message.
            value: What was set; an integer will do for a float, a list for a tuple.
            default: The parameter's default.

        Returns:
            The value in the type of ``default``.

        Raises:
            SettingsError: The value has another type or is not accepted.
        """
        if value != value and default != default:
            return default  # the same NaN, so that settings that are alike are equal
        if self.kind is float and type(value) is int:
            value = float(value)
        if self.kind is tuple and default and type(default[0]) is float:
            return self._numbers(name, value)
        if self.kind is tuple:
            if not isinstance(value, (list, tuple)) or any(type(v) is not str for v in value):
                raise SettingsError(f"{name}: got {_shown(value)}, expected {self.wanted}")
            return tuple(text for text in value if text)
        if type(value) is not self.kind:
            wanted = self.wanted
            if self.low is not None:
                wanted = f"{TYPES[self.kind]}, {wanted}"
            raise SettingsError(f"{name}: got {_shown(value)}, expected {wanted}")
        outside = (self.low is not None and not value >= self.low) or (
            self.high is not None and not value <= self.high
        )
        outside |= value in (math.inf, -math.inf)
        if outside or (self.choices and value not in self.choices):
            raise SettingsError(f"{name}: got {value!r}, expected {self.wanted}")
        no_topic = self.topic and value and not TOPIC_NAME.fullmatch(value)
        if no_topic or (self.required and not value):
            raise SettingsError(f"{name}: got {value!r}, expected {self.wanted}")
        return value

    def _numbers(self, name: str, value: Any) -> tuple[float, ...]:
        """Check a list of numbers, each within the range."""
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        listed = isinstance(value, (list, tuple, array)) and all(
            type(number) in (int, float) and low <= number <= high for number in value
        )
        if not listed:
            raise SettingsError(
                f"{name}: got {_shown(value)}, expected a list of numbers {self.wanted}"
            )
        return tuple(float(number) for number in value)


def _shown(value: Any) -> str:
    """A value as messages show it; rclpy has arrays for lists of numbers."""
    if value is None:
        return "no value"
    return repr(value.tolist() if isinstance(value, array) else value)
