# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The node's input topics: their subscriptions, and the hand-over to the intake thread."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

from rclpy.node import Node

from concerto_ros.intake.opening import open_input
from concerto_ros.intake.tally import Tally
from concerto_ros.ros.inputs.topic_watch import TopicWatch
from concerto_ros.ros.inputs.transforms import TransformListener
from concerto_ros.ros.monitoring.topic_state import TopicState
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
        self._tally: Tally | None = None
        self._wake = threading.Event()
        self._watches = [
            TopicWatch(node, source, topic, self._on_message)
            for source in self.inputs
            for topic in source.topics
        ]

    @property
    def configs(self) -> dict[str, InputSettings]:
        """The parameters of each input by its name."""
        return {source.name: source.config for source in self.inputs}

    @property
    def topics(self) -> dict[str, list[TopicState]]:
        """What is known about the topics of each input, by the input's name."""
        states: dict[str, list[TopicState]] = {source.name: [] for source in self.inputs}
        for watch in self._watches:
            states[watch.source.name].append(watch.state())
        return states

    def look(self) -> None:
        """Look up who publishes the topics; latched messages arrive from the first time on."""
        for watch in self._watches:
            watch.look()

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
        for watch in self._watches:
            watch.close()
        self._watches.clear()

    def _on_message(self, watch: TopicWatch, message: Any) -> None:
        source, kind, tally = watch.source, watch.topic.kind, self._tally
        if tally is not None and kind not in source.held and self.transforms.late.has(message):
            tally.received(source.name)
            tally.dropped(source.name, "restart", "its stamp is of before the clock went back")
        elif tally is not None:
            source.receive(kind, message, tally)
            self._wake.set()
        elif kind in source.held:
            # A driver may send camera_info only once, before the node is activated.
            source.hold(kind, message)
