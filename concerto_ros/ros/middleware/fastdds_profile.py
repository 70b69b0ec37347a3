# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Settings of the middleware that large clouds need."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import rclpy

from concerto_ros.files.shared_files import share_path

#: Either names the profile that Fast DDS reads, the second in its newer releases alone.
PROFILE_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")


def use_transport_profile() -> None:
    """Let Fast DDS carry large clouds in shared memory, unless a profile is already chosen.

    Must run before ``rclpy.init``. Its defaults lose clouds of 100,000 points. Every process that
    sends or receives large messages needs the profile.
    """
    if not any(os.environ.get(name) for name in PROFILE_VARIABLES):
        os.environ[PROFILE_VARIABLES[0]] = str(share_path("config/fastdds.xml"))


@contextmanager
def ros_session() -> Iterator[None]:
    """``rclpy`` with the transport profile for the length of a command."""
    use_transport_profile()
    rclpy.init()
    try:
        yield
    finally:
        rclpy.try_shutdown()
