# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The node's input topics: their subscriptions, and the hand-over to the intake thread."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from functools import partial
from typing import Any

from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data

from concerto_ros.intake.inputs import Input, InputTopic, open_input
from concerto_ros.intake.tally import Tally
from concerto_ros.ros.inputs.transforms import TransformListener
from concerto_ros.ros.middleware.message_classes import message_class
from concerto_ros.ros.middleware.qos import overridable
from concerto_ros.settings.inputs import InputSettings
from concerto_ros.settings.settings import Settings


class Subscriptions:
    """The subscriptions of all inputs, and the transforms they need.

    Executor callbacks only store messages in the inputs; the intake thread does the rest.

    Attributes:
        inputs: One for each cloud and camera that the parameters name.
        transforms: The transforms from /tf and /tf_static.
        clock: The node's ROS clock.
    """

    def __init__(
        self,
        node: Node,
        configs: Iterable[InputSettings],
        settings: Settings,
        transforms: TransformListener,
    ):
        self.inputs = [open_input(config, settings, threading.Lock) for config in configs]
        self.transforms = transforms
        self.clock = node.get_clock()
        self._node = node
        self._tally: Tally | None = None
        self._wake = threading.Event()
        self._subscriptions = [
            node.create_subscription(
                _class_of(topic),
                topic.name,
                partial(self._on_message, source, topic.kind),
                **overridable(qos_profile_sensor_data),
            )
            for source in self.inputs
            for topic in source.topics
        ]

    @property
    def configs(self) -> dict[str, InputSettings]:
        """The parameters of each input by its name."""
        return {source.name: source.config for source in self.inputs}

    def open(self, tally: Tally, wake: threading.Event) -> None:
        """Accept messages from now on, and forget older ones.

        Args:
            tally: Counts the messages.
            wake: Is set for each message.
        """
        for source in self.inputs:
            source.clear()
        self._wake, self._tally = wake, tally

    def close(self) -> None:
        """Ignore messages from now on."""
        self._tally = None

    def unsubscribe(self) -> None:
        """Destroy the subscriptions."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions.clear()

    def _on_message(self, source: Input, kind: str, message: Any) -> None:
        tally = self._tally
        if tally is not None:
            source.receive(kind, message, tally)
            self._wake.set()
        elif kind in source.held:
            # A driver may send camera_info only once, before the node is activated.
            source.hold(kind, message)


def _class_of(topic: InputTopic) -> type:
    cls = message_class(topic.message_type)
    if cls is None:
        raise ValueError(
            f"topic {topic.name} has type {topic.message_type}, whose package is not installed;"
            " install it and source its setup file"
        )
    return cls
