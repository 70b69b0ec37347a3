# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Python classes of messages by the name of their type."""

from __future__ import annotations

import importlib


def message_class(name: str) -> type | None:
    """Import the Python class of a message type.

    Args:
        name: E.g. ``sensor_msgs/msg/PointCloud2``; ``/msg`` may be left out.

    Returns:
        The class, or None if the package is not installed or has no such message.
    """
    package, _, class_name = name.replace("/msg/", "/").partition("/")
    try:
        return getattr(importlib.import_module(f"{package}.msg"), class_name)
    except (ImportError, AttributeError, TypeError):  # a TypeError for a name without a package
        return None
