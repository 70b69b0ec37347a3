# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The Fast DDS profile that large clouds need."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import rclpy

from concerto_ros.files.shared_files import share_path

#: Environment variables with the path of Fast DDS's profile: of Jazzy, and of later releases, in
#: which the first one is deprecated.
PROFILE_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")


def use_transport_profile() -> None:
    """Let Fast DDS send large clouds through shared memory, unless the user chose a profile.

    Must run before ``rclpy.init``. With Fast DDS's defaults, clouds of 100,000 points get lost.
    Every process that sends or receives large messages needs the profile.
    """
    if not any(os.environ.get(name) for name in PROFILE_VARIABLES):
        os.environ.update(dict.fromkeys(PROFILE_VARIABLES, str(profile_path())))


def profile_path() -> Path:
    """Return the path of the profile."""
    return share_path("config/fastdds.xml")


@contextmanager
def ros_session() -> Iterator[None]:
    """Initialise ``rclpy`` with the transport profile, and shut it down afterwards."""
    use_transport_profile()
    rclpy.init()
    try:
        yield
    finally:
        rclpy.try_shutdown()
