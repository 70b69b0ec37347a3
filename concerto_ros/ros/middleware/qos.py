# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What of the quality of service of a topic is left to the user."""

from __future__ import annotations

from copy import copy
from typing import Any

from rclpy.qos import DurabilityPolicy, QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions

#: The QoS policies a user may override for every topic, as
#: ``qos_overrides.<topic>.<publisher or subscription>.<policy>``.
OVERRIDABLE = QoSOverridingOptions(
    (
        QoSPolicyKind.HISTORY,
        QoSPolicyKind.DEPTH,
        QoSPolicyKind.RELIABILITY,
        QoSPolicyKind.DURABILITY,
    )
)


def overridable(profile: QoSProfile | int) -> dict[str, Any]:
    """Keywords of one publisher or subscription of this quality, which a user may override.

    With a copy of the profile: rclpy writes overrides into the one it is given, and they would
    hold for every topic that shares it.
    """
    return {"qos_profile": copy(profile), "qos_overriding_options": OVERRIDABLE}


#: RViz asks for RELIABLE; one cloud is enough, the next one replaces it.
CLOUD_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)


LATCHED_QOS = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)
