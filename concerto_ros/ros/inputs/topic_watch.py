# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Watches a topic of an input: its messages, those that were lost, and its publishers."""

from __future__ import annotations

import difflib
import math
import time
from collections.abc import Callable
from typing import Any

from rclpy.event_handler import QoSMessageLostInfo, SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, qos_profile_sensor_data
from rclpy.subscription import Subscription
from rclpy.topic_endpoint_info import TopicEndpointInfo

from concerto_ros.intake.inputs import Input, InputTopic
from concerto_ros.ros.middleware.message_classes import message_class
from concerto_ros.ros.middleware.qos import LATCHED_QOS, overridable
from concerto_ros.ros.monitoring.recent_values import Recent
from concerto_ros.ros.monitoring.topic_state import TopicState, offers_latched

#: Most topics that are named in place of one that nobody publishes.
ALTERNATIVES = 5

#: The largest count of DDS, 32 bits with a sign. rmw_fastrtps was seen to give it for single lost
#: clouds of 1.3 MB: it says no more than that something was lost.
_LARGEST_COUNT = 0x7FFFFFFF


class TopicWatch:
    """The subscription to a topic of an input, and what is known about it.

    A camera_info that a driver publishes once, transient local, is received by a second, latched
    subscription: the first takes what volatile publishers send, which a latched one would refuse.

    Attributes:
        source: The input.
        topic: The topic.
    """

    def __init__(
        self,
        node: Node,
        source: Input,
        topic: InputTopic,
        receive: Callable[[TopicWatch, Any], None],
    ):
        """Subscribe to the topic.

        Args:
            node: The node.
            source: The input.
            topic: The topic.
            receive: Takes this watch and each message.

        Raises:
            ValueError: The package of its messages is not installed.
        """
        self.source = source
        self.topic = topic
        self._node = node
        self._receive = receive
        self._received, self._lost = Recent(), Recent()
        self._count, self._lost_count, self._size = 0, 0, 0
        self._newest = -math.inf
        self._publishers: tuple[TopicEndpointInfo, ...] = ()
        self._alternatives: tuple[str, ...] = ()
        self._latched: Subscription | None = None
        self._subscription = node.create_subscription(
            self._message_class(),
            topic.name,
            self._on_message,
            event_callbacks=SubscriptionEventCallbacks(message_lost=self._on_lost),
            **overridable(qos_profile_sensor_data),
        )

    def look(self) -> None:
        """Look up who publishes the topic; subscribe to latched messages where there are any."""
        name = self._subscription.topic_name
        self._publishers = tuple(self._node.get_publishers_info_by_topic(name))
        self._alternatives = () if self._publishers else self._others(name)
        volatile = self._subscription.qos_profile.durability != DurabilityPolicy.TRANSIENT_LOCAL
        latched = any(offers_latched(info.qos_profile) for info in self._publishers)
        if self._kept and volatile and latched and self._latched is None:
            self._latched = self._node.create_subscription(
                self._message_class(),
                self.topic.name,
                self._on_latched,
                LATCHED_QOS,
                # A volatile publisher of the same topic is heard by the other subscription.
                event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
            )

    def state(self) -> TopicState:
        """What is known now."""
        config = self.source.config
        return TopicState(
            topic=self.topic,
            parameter=f"{config.GROUP}.{config.name}.{self.topic.parameter}",
            name=self._subscription.topic_name,
            qos=self._subscription.qos_profile,
            publishers=self._publishers,
            kept=self._kept,
            received=self._count,
            age=time.monotonic() - self._newest,
            received_lately=len(self._received.window().values),
            lost_lately=round(sum(self._lost.window().values)),
            lost=self._lost_count,
            size=self._size,
            alternatives=self._alternatives,
        )

    def close(self) -> None:
        """Unsubscribe."""
        self._node.destroy_subscription(self._subscription)
        if self._latched is not None:
            self._node.destroy_subscription(self._latched)

    @property
    def _kept(self) -> bool:
        return self.topic.kind in self.source.held

    def _on_message(self, message: Any) -> None:
        self._count += 1
        self._newest = time.monotonic()
        self._received.add(1.0)
        self._size = max(self._size, len(getattr(message, "data", ())))
        self._receive(self, message)

    def _on_latched(self, message: Any) -> None:
        # What is published from now on is counted by the other subscription, which gets it too.
        self._count = max(self._count, 1)
        self._newest = time.monotonic()
        self._receive(self, message)

    def _on_lost(self, event: QoSMessageLostInfo) -> None:
        change = event.total_count_change
        count = change if change < _LARGEST_COUNT else 1
        self._lost.add(float(count))
        self._lost_count += count

    def _message_class(self) -> type:
        cls = message_class(self.topic.message_type)
        if cls is None:
            raise ValueError(
                f"topic {self.topic.name} has type {self.topic.message_type}, whose package is not"
                " installed; install it and source its setup file"
            )
        return cls

    def _others(self, name: str) -> tuple[str, ...]:
        """Topics of the same type that other nodes publish, the most similar names first."""
        own = f"{self._node.get_fully_qualified_name()}/"
        others = [
            other
            for other, types in self._node.get_topic_names_and_types()
            if self.topic.message_type in types
            and not other.startswith(own)
            and self._node.count_publishers(other)
        ]
        return tuple(difflib.get_close_matches(name, others, n=ALTERNATIVES, cutoff=0.0))
