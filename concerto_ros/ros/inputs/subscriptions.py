# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The inputs of the node: their subscriptions, and the lock between callbacks and the intake."""

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
    """Everything the intake listens to: the topics of all inputs, and the transforms.

    Executor callbacks only hand messages to the inputs; the intake thread does the rest.
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
        self._wake: threading.Event | None = None
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
        """The parameters of each input, by its name."""
        return {source.name: source.config for source in self.inputs}

    def open(self, tally: Tally, wake: threading.Event) -> None:
        """Accept messages from now on: ``wake`` is set for each."""
        for source in self.inputs:
            source.clear()
        self._wake, self._tally = wake, tally

    def close(self) -> None:
        """Ignore messages from now on."""
        self._tally = None

    def unsubscribe(self) -> None:
        """Listen no more."""
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
    found = message_class(topic.message_type)
    if found is None:
        raise ValueError(
            f"topic {topic.name} needs {topic.message_type}, whose package is not installed;"
            " install and source it"
        )
    return found
