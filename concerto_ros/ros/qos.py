# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What of the quality of service of a topic is left to the user."""

from __future__ import annotations

from rclpy.qos import QoSPolicyKind
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
