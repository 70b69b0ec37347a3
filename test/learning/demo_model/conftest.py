# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The simulated room whose scans several modules look at: making them takes seconds."""

from __future__ import annotations

import pytest

from concerto_ros.learning.demo_model.rooms import DemoRooms


@pytest.fixture(scope="session")
def rooms(tmp_path_factory) -> DemoRooms:
    """The scans of one room, with fine names; its files are not to be changed."""
    return DemoRooms(tmp_path_factory.mktemp("rooms"), [12], processes=1, named=True)
