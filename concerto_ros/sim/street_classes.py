# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The classes of simulated streets, which furniture libraries name as well."""

from __future__ import annotations

#: A label is a position in this tuple.
STREET_CLASSES = (
    "ground",
    "building",
    "fence",
    "vegetation",
    "vehicle",
    "person",
    "pole",
    "other",
)
