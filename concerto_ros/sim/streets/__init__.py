# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Simulated streets and yards, and the LiDARs that are driven through them."""

from __future__ import annotations

from concerto_ros.sim.streets.kinds import KINDS
from concerto_ros.sim.streets.shapes import CLASSES
from concerto_ros.sim.streets.street import Street

__all__ = ["CLASSES", "KINDS", "Street"]
