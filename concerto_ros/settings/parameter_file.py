# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""ROS parameter files as ``{dotted name: value}``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from concerto_ros.settings.field import SettingsError


def read_parameters(path: str | Path) -> Iterator[tuple[str, Any]]:
    """Read a ROS parameter file.

    Args:
        path: A YAML file; the parameters of every node name in it are read.

    Yields:
        ``(dotted name, value)`` of each parameter.

    Raises:
        SettingsError: The file is not a ROS parameter file.
        OSError: The file cannot be read.
    """
    import yaml  # only here: the command's --help does not need it

    with open(path, encoding="utf-8") as file:
        tree = yaml.safe_load(file)
    if not isinstance(tree, dict):
        raise SettingsError(f"{path}: got no mapping, expected a ROS parameter file")
    for node, body in tree.items():
        if not isinstance(body, dict) or "ros__parameters" not in body:
            raise SettingsError(
                f"{path}: {node} has no ros__parameters, expected a mapping of that name"
            )
        yield from _flatten(body["ros__parameters"] or {})


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
