# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The transport profile is chosen for every release of Fast DDS, unless somebody chose another."""

from __future__ import annotations

import os

import pytest

pytest.importorskip("rclpy")

from concerto_ros.ros.middleware.fastdds_profile import profile_path, use_transport_profile

OF_JAZZY, OF_KILTED = "FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"


def test_old_and_new_releases_find_the_profile(monkeypatch):
    monkeypatch.setattr(os, "environ", {})
    use_transport_profile()
    assert os.environ == dict.fromkeys((OF_JAZZY, OF_KILTED), str(profile_path()))
    assert profile_path().is_file()


@pytest.mark.parametrize("name", [OF_JAZZY, OF_KILTED])
def test_a_profile_that_was_chosen_stays(monkeypatch, name):
    monkeypatch.setattr(os, "environ", {name: "/mine.xml"})
    use_transport_profile()
    assert os.environ == {name: "/mine.xml"}
