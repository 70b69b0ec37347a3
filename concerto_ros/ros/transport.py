# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Settings of the middleware that large clouds need."""

from __future__ import annotations

import os

from concerto_ros.resources import share_path

PROFILE_VARIABLE = "FASTRTPS_DEFAULT_PROFILES_FILE"


def use_transport_profile() -> None:
    """Let Fast DDS carry large clouds in shared memory, unless a profile is already chosen.

    Must run before ``rclpy.init``. Its defaults lose clouds of 100,000 points. Every process that
    sends or receives large messages needs the profile.
    """
    os.environ.setdefault(PROFILE_VARIABLE, str(share_path("config/fastdds.xml")))
