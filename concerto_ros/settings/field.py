# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One setting: what it means, its unit, and which values are accepted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


class SettingsError(ValueError):
    """A setting that cannot be used: the text names it, the value got and what is wanted."""


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
) -> Any:
    """A dataclass field that knows what a person needs to set it.

    ``live`` settings may change while the node runs, the others only while it is unconfigured.
    ``required`` ones may not be left empty.
    """
    about = Setting(text, unit, low, high, choices, live, required)
    return field(default=default, metadata={"setting": about})


@dataclass(frozen=True)
class Setting:
    """What a value means and which values are accepted."""

    text: str
    unit: str
    low: float | None
    high: float | None
    choices: tuple[str, ...]
    live: bool
    required: bool

    @property
    def wanted(self) -> str:
        """The accepted values in words."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        if self.low is not None:
            return f"{self.low:g} to {self.high:g}" + (f" {self.unit}" if self.unit else "")
        return "a name" if self.required else "text"

    @property
    def description(self) -> str:
        """Meaning, unit and range in one line."""
        notes = [self.wanted] if self.choices or self.low is not None else []
        if not self.live:
            notes.append("fixed once configured")
        return f"{self.text} [{'; '.join(notes)}]" if notes else self.text

    def checked(self, name: str, value: Any, default: Any) -> Any:
        """``value`` in the type of ``default``, or :class:`SettingsError`."""
        kind = type(default)
        if kind is float and type(value) is int:
            value = float(value)
        if kind is tuple:
            if not isinstance(value, (list, tuple)) or any(type(v) is not str for v in value):
                raise SettingsError(f"{name}: got {value!r}, expected a list of names")
            return tuple(entry for entry in value if entry)
        if type(value) is not kind:
            raise SettingsError(
                f"{name}: got {value!r} of type {type(value).__name__}, expected {kind.__name__}"
                f" ({self.wanted})"
            )
        outside = self.low is not None and not self.low <= value <= self.high
        if outside or (self.choices and value not in self.choices):
            raise SettingsError(f"{name}: got {value!r}, expected {self.wanted}")
        if self.required and not value:
            raise SettingsError(f"{name}: got {value!r}, expected {self.wanted}")
        return value
