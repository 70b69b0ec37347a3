# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The quality of service to play a recorded topic with: that of its publishers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, LivelinessPolicy, QoSProfile, ReliabilityPolicy
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability

#: Messages that are kept for subscribers that are slow, or late where the topic is latched.
DEPTH = 100

#: Seconds from which on a duration is infinite, as the middlewares write it.
INFINITE = 2_147_483_647


def recorded_qos(profiles: Sequence[Qos], *, count: int, static_transforms: bool) -> QoSProfile:
    """Return the QoS that serves whom the publishers of a topic served.

    Where they differ it is the strongest: reliable rather than best effort, latched rather than
    volatile, the shortest deadline and lease, the longest lifespan.

    Args:
        profiles: What the publishers offered; empty where it was not recorded: then reliable.
        count: Number of messages of the topic.
        static_transforms: Whether they are static transforms. These are always latched, as they
            are sent once; all are kept, as in a recording they come from several publishers.
    """
    qos = QoSProfile(depth=DEPTH, reliability=ReliabilityPolicy.RELIABLE)
    if profiles and all(each.reliability == QosReliability.BEST_EFFORT for each in profiles):
        qos.reliability = ReliabilityPolicy.BEST_EFFORT
    if any(each.durability == QosDurability.TRANSIENT_LOCAL for each in profiles):
        qos.durability = DurabilityPolicy.TRANSIENT_LOCAL
        qos.depth = _latched_depth(profiles, count)
    if any(each.liveliness == QosLiveliness.MANUAL_BY_TOPIC for each in profiles):
        qos.liveliness = LivelinessPolicy.MANUAL_BY_TOPIC
    for policy, choose in (
        ("deadline", min),
        ("liveliness_lease_duration", min),
        ("lifespan", max),
    ):
        duration = _duration([getattr(each, policy) for each in profiles], choose)
        if duration is not None:
            setattr(qos, policy, duration)
    if static_transforms:
        qos.reliability = ReliabilityPolicy.RELIABLE
        qos.durability = DurabilityPolicy.TRANSIENT_LOCAL
        qos.depth = max(DEPTH, count)
    return qos


def _latched_depth(profiles: Sequence[Qos], count: int) -> int:
    """Return how many messages late subscribers get: as many as all publishers kept."""
    if any(each.history == QosHistory.KEEP_ALL for each in profiles):
        return max(DEPTH, count)
    if any(each.depth <= 0 for each in profiles):  # DDS does not tell it
        return DEPTH
    return sum(each.depth for each in profiles)


def _duration(times: list[Any], choose: Callable) -> Duration | None:
    """Return the shortest or longest of some durations; None where it is infinite or not known."""
    finite = [time for time in times if 0 <= time.sec < INFINITE and (time.sec or time.nsec)]
    if not finite or (choose is max and len(finite) < len(times)):
        return None
    return Duration(nanoseconds=choose(time.sec * 10**9 + time.nsec for time in finite))
