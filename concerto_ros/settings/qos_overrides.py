# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters ``qos_overrides.<topic>.<publisher or subscription>.<policy>`` of rclpy.

rclpy reads them when it makes a publisher or subscription: there it says nothing of names that it
does not know, and raises an exception for values that it does not know.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from concerto_ros.settings.field import SettingsError

PREFIX = "qos_overrides."

ENTITIES = ("publisher", "subscription")

#: The policies that can be overridden, with their values; that of depth is a whole number.
POLICIES = {
    "history": ("keep_last", "keep_all", "system_default"),
    "depth": (),
    "reliability": ("reliable", "best_effort", "system_default", "best_available"),
    "durability": ("volatile", "transient_local", "system_default", "best_available"),
}

_NAME = re.compile(rf"{re.escape(PREFIX)}(?P<topic>/.+)\.(?P<entity>[^.]*)\.(?P<policy>[^.]*)")


def check_overrides(values: Mapping[str, Any]) -> None:
    """Check the values of overrides.

    Args:
        values: Parameters by full name; others than overrides are ignored.

    Raises:
        SettingsError: A value is not one of its policy.
    """
    for name, value in values.items():
        if not name.startswith(PREFIX) or ineffective_override(name):
            continue
        choices = POLICIES[name.rpartition(".")[2]]
        if not choices and (type(value) is not int or value < 0):
            raise SettingsError(f"{name}: got {value!r}, expected a whole number from 0 on")
        if choices and str(value).lower() not in choices:
            raise SettingsError(f"{name}: got {value!r}, expected one of {', '.join(choices)}")


def ineffective_override(name: str) -> str:
    """Return why an override has no effect, by its name; empty where it has one."""
    match = _NAME.fullmatch(name)
    if match is None:
        return "expected qos_overrides.</topic>.<publisher or subscription>.<policy>"
    for got, known in ((match["entity"], ENTITIES), (match["policy"], tuple(POLICIES))):
        if got not in known:
            near = get_close_matches(got, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            return f"got {got!r}, expected one of {', '.join(known)}{hint}"
    return ""
