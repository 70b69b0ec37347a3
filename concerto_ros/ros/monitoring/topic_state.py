# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What came on a topic of an input and who publishes it, in words for ``/diagnostics``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import rclpy
from rclpy.qos import (
    DurabilityPolicy,
    QoSCompatibility,
    QoSProfile,
    ReliabilityPolicy,
    qos_check_compatible,
)
from rclpy.topic_endpoint_info import TopicEndpointInfo

from concerto_ros.intake.inputs import InputTopic
from concerto_ros.ros.middleware.fastdds_profile import PROFILE_VARIABLES, profile_path
from concerto_ros.ros.middleware.socket_buffer import largest_socket_buffer
from concerto_ros.ros.monitoring.recent_values import WINDOW

#: Seconds without a message after which a topic counts as silent.
SILENT_AFTER = 5.0

#: Of the messages of the last seconds, the share that may be lost, and the number.
TOLERATED_LOSS, TOLERATED_LOST = 0.05, 2

#: Bytes of the largest datagram: larger messages travel in fragments, and one lost is all lost.
DATAGRAM = 65_507


@dataclass(frozen=True)
class TopicState:
    """A topic of an input.

    Attributes:
        topic: The topic as the parameters name it.
        parameter: Full name of the parameter that names it.
        name: The topic after remapping, fully qualified.
        qos: What the node requests.
        publishers: Who publishes it.
        kept: Whether its newest message stays valid until the next.
        received: Number of messages since the node was configured.
        age: Seconds since the newest of them; infinite before the first.
        received_lately: Number of messages in the last seconds.
        lost_lately: Number of messages that the middleware lost in these seconds.
        lost: Number of messages that it lost since the node was configured.
        size: Bytes of the data of the largest message.
        alternatives: Other topics of the type that somebody publishes, the most similar first;
            looked up only where nobody publishes this one.
    """

    topic: InputTopic
    parameter: str
    name: str
    qos: QoSProfile
    publishers: tuple[TopicEndpointInfo, ...] = ()
    kept: bool = False
    received: int = 0
    age: float = math.inf
    received_lately: int = 0
    lost_lately: int = 0
    lost: int = 0
    size: int = 0
    alternatives: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Everything in one line, the value of its parameter in ``/diagnostics``."""
        lost = f" ({self.lost} lost before the node)" if self.lost else ""
        return (
            f"{self.name}: {self.received} messages{lost}, {self._publishers}; the node requests"
            f" {in_words(self.qos)}"
        )

    @property
    def refusals(self) -> Iterator[str]:
        """A sentence on each publisher from which nothing can arrive."""
        for info in self.publishers:
            if info.topic_type != self.topic.message_type:
                yield (
                    f"{self.name} ({self.parameter}): {_node(info)} publishes {info.topic_type},"
                    f" expected {self.topic.message_type}"
                )
            elif qos_check_compatible(info.qos_profile, self.qos)[0] == QoSCompatibility.ERROR:
                yield (
                    f"{self.name} ({self.parameter}): {_node(info)} offers"
                    f" {in_words(info.qos_profile)}, but the node requests {in_words(self.qos)}:"
                    f" no message arrives; remove qos_overrides.{self.name}.subscription from the"
                    " parameters, or set it to the offered QoS"
                )

    @property
    def silence(self) -> str:
        """A sentence on why nothing came, or nothing lately; empty where all is well."""
        role = self.topic.role
        if self.received and (self.kept or self.age < SILENT_AFTER):
            return ""
        if refused := list(self.refusals):
            return "; ".join(refused)
        when = f"for {self.age:.0f} s" if self.received else "yet"
        if self.publishers:
            return (
                f"no {role} {when} on {self.name} ({self.parameter}), {self._publishers}; the node"
                f" requests {in_words(self.qos)}{self._hint}"
            )
        others = ", ".join(self.alternatives) or "none"
        return (
            f"no {role} {when}: nobody publishes {self.name} ({self.parameter}); topics of type"
            f" {self.topic.message_type} that somebody publishes: {others}"
        )

    @property
    def loses(self) -> bool:
        """Whether many of the messages that matter are lost before the node."""
        total = self.received_lately + self.lost_lately
        tolerated = max(TOLERATED_LOST, TOLERATED_LOSS * total)
        return not self.kept and self.lost_lately > tolerated

    @property
    def _publishers(self) -> str:
        count = len(self.publishers)
        who = "; ".join(f"{_node(info)}: {in_words(info.qos_profile)}" for info in self.publishers)
        return f"{count} publisher{'' if count == 1 else 's'}" + (f" ({who})" if who else "")

    @property
    def _hint(self) -> str:
        """What may help where a publisher is there, and nothing came."""
        if self.received:
            return ""
        if self.topic.kind.endswith("info"):
            return "; check that the driver sends it"
        latched = any(offers_latched(info.qos_profile) for info in self.publishers)
        if latched and self.qos.durability != DurabilityPolicy.TRANSIENT_LOCAL:
            return (
                "; if it was sent before the node started, set"
                f" qos_overrides.{self.name}.subscription.durability to transient_local and"
                " .reliability to reliable"
            )
        return f"; if its messages are large, {large_messages()}"


def loss(topics: Sequence[TopicState]) -> str:
    """Return a sentence on messages that are lost before the node; empty where few are."""
    losing = [topic for topic in topics if topic.loses]
    if not losing:
        return ""
    counts = ", ".join(
        f"{topic.lost_lately} of {topic.received_lately + topic.lost_lately} on {topic.name} of"
        f" {topic.size / 1e6:.3g} MB each"
        for topic in losing
    )
    large = any(topic.size > DATAGRAM for topic in losing)
    remedy = large_messages() if large else "the computer or the network is too busy"
    return f"messages lost between publisher and node in the last {WINDOW:g} s: {counts}; {remedy}"


def offers_latched(qos: QoSProfile) -> bool:
    """Return whether a publisher of this QoS repeats its last messages for late subscribers."""
    return (
        qos.durability == DurabilityPolicy.TRANSIENT_LOCAL
        and qos.reliability == ReliabilityPolicy.RELIABLE
    )


def in_words(qos: QoSProfile) -> str:
    """Return reliability and durability as ``ros2 topic info -v`` names them, in lower case."""
    return f"{qos.reliability.name.lower()}, {qos.durability.name.lower()}"


def large_messages() -> str:
    """Return what large messages need to arrive."""
    buffer = f"raise net.core.rmem_max of this computer, now {largest_socket_buffer()} bytes"
    if "fastrtps" not in rclpy.get_rmw_implementation_identifier():
        return buffer
    return (
        f"start the publisher with {PROFILE_VARIABLES[0]}={profile_path()}, which gives Fast DDS"
        f" enough shared memory; if it runs on another computer, {buffer}"
    )


def _node(info: TopicEndpointInfo) -> str:
    return f"{info.node_namespace.rstrip('/')}/{info.node_name}"
