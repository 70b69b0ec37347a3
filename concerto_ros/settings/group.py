# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Settings that belong together: a dataclass whose values are checked when it is made."""

from __future__ import annotations

from dataclasses import Field, fields
from typing import ClassVar


class SettingsGroup:
    """Base of the dataclasses of settings: a wrong value is refused by its full name."""

    #: What stands before the names of its parameters, with the dot.
    PREFIX: ClassVar[str] = ""

    def __post_init__(self) -> None:
        for entry in settings_in(type(self)):
            value = getattr(self, entry.name)
            name = self.parameter(entry.name)
            checked = entry.metadata["setting"].checked(name, value, entry.default)
            object.__setattr__(self, entry.name, checked)

    def parameter(self, key: str) -> str:
        """The full name of the parameter whose value is the field ``key``."""
        return self.PREFIX + key


def settings_in(kind: type) -> list[Field]:
    """The fields of the dataclass ``kind`` that are settings."""
    return [entry for entry in fields(kind) if "setting" in entry.metadata]
