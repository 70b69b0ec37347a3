# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Quality of service of the topics, and which of its policies the user may override."""

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
    """Keyword arguments for a publisher or subscription whose QoS the user may override.

    They have a copy of the profile: rclpy writes the overrides into the profile it gets, which
    would apply them to every topic that shares it.

    Args:
        profile: The default QoS, or a queue depth.
    """
    return {"qos_profile": copy(profile), "qos_overriding_options": OVERRIDABLE}


#: RViz subscribes as RELIABLE. One cloud is enough: the next one replaces it.
CLOUD_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)

#: The last message is sent to late subscribers, as by a latched topic of ROS 1.
LATCHED_QOS = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)
