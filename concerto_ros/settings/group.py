# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Settings that belong together: a dataclass whose values are checked on construction."""

from __future__ import annotations

from dataclasses import Field, fields
from typing import ClassVar


class SettingsGroup:
    """Base of the dataclasses of settings.

    A value that is not accepted raises :class:`~concerto_ros.settings.field.SettingsError` with
    the parameter's full name.
    """

    #: Prefix of the names of its parameters, with the dot.
    PREFIX: ClassVar[str] = ""

    def __post_init__(self) -> None:
        for field in settings_in(type(self)):
            name, value = self.parameter(field.name), getattr(self, field.name)
            checked = field.metadata["setting"].checked(name, value, field.default)
            object.__setattr__(self, field.name, checked)

    def parameter(self, key: str) -> str:
        """Return the full parameter name of the field ``key``."""
        return self.PREFIX + key


def settings_in(group: type) -> list[Field]:
    """Return the fields of the dataclass ``group`` that are settings."""
    return [field for field in fields(group) if "setting" in field.metadata]
