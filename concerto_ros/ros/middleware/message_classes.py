# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The Python classes of messages, by the names of their types."""

from __future__ import annotations

import importlib


def message_class(name: str) -> type | None:
    """The Python class of e.g. ``sensor_msgs/msg/PointCloud2``, None where not installed."""
    package, _, kind = name.replace("/msg/", "/").partition("/")
    try:
        return getattr(importlib.import_module(f"{package}.msg"), kind)
    except (ImportError, AttributeError, TypeError):  # a TypeError for a name without a package
        return None
