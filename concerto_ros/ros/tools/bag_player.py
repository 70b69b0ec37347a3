# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Publishes a rosbag2 or MCAP file with its recorded timing, as ``ros2 bag play`` does."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from rclpy.duration import Duration
from rclpy.exceptions import InvalidTopicNameException
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rosbags.interfaces import ConnectionExtRosbag2, Qos
from rosgraph_msgs.msg import Clock

from concerto_ros.bags.reader import Topic, open_bag
from concerto_ros.bags.transforms import transform_topics
from concerto_ros.ros.middleware.message_classes import message_class
from concerto_ros.ros.middleware.recorded_qos import recorded_qos
from concerto_ros.ros.outputs.messages import make_time

#: How often ``/clock`` is published between messages, in Hz of wall time.
CLOCK_RATE = 100.0


class Player(Node):
    """Publishes the messages of a bag as they were recorded, without decoding them.

    Each topic has the quality of service that its publishers offered, so that whoever subscribed
    to them can subscribe to the player; static transforms are always latched.

    Topics whose message type is not installed, whose messages are not CDR, as of the JSON channels
    of MCAP files, and whose name ROS does not accept are skipped with a warning.

    Args:
        path: Folder of a rosbag2, or a .db3 or .mcap file.
        rate: Multiple of the recorded speed.
        clock: Whether to publish the log time of the bag on ``/clock``, for nodes with
            ``use_sim_time``.

    Attributes:
        topics: The topics of the bag by name.
        message_count: Number of messages in the bag.

    Raises:
        ValueError: If ``rate`` is not positive, or no topic of the bag can be published.
    """

    def __init__(self, path: str | Path, *, rate: float = 1.0, clock: bool = False):
        super().__init__("concerto_player")
        if not rate > 0:
            raise ValueError(f"rate: got {rate}, expected a factor above 0")
        self._path = path
        self._rate = rate
        with open_bag(path) as bag:
            self.topics = dict(bag.topics)
            self.message_count = sum(topic.count for topic in self.topics.values())
            static = {name for name, is_static in transform_topics(bag).items() if is_static}
            offered: dict[str, list[Qos]] = defaultdict(list)
            encodings: dict[str, set[str]] = defaultdict(set)
            for connection in bag.connections:
                assert isinstance(connection.ext, ConnectionExtRosbag2)
                offered[connection.topic] += connection.ext.offered_qos_profiles
                encodings[connection.topic].add(connection.ext.serialization_format)
        self._outputs: dict[str, Publisher] = {}
        for name, topic in self.topics.items():
            qos = recorded_qos(offered[name], count=topic.count, static_transforms=name in static)
            try:
                self._outputs[name] = self._publisher(name, topic, encodings[name], qos)
            except ValueError as error:
                self.get_logger().warning(f"{name!r} is skipped: {error}")
        if not self._outputs:
            raise ValueError(
                f"{path}: no topic of it can be published, for the reasons above; expected one"
                " whose messages are installed"
            )
        self._clock_output = self.create_publisher(Clock, "/clock", 10) if clock else None

    def _publisher(
        self, name: str, topic: Topic, encodings: set[str], qos: QoSProfile
    ) -> Publisher:
        """Make the publisher of a topic; ValueError, without its name, where it cannot be one."""
        cls = message_class(topic.type)
        if cls is None:
            raise ValueError(f"its type {topic.type!r} is not installed")
        if others := sorted(encodings - {"cdr"}):
            raise ValueError(f"its messages are encoded as {', '.join(others)}, expected cdr")
        try:
            return self.create_publisher(cls, name, qos)
        except InvalidTopicNameException:
            raise ValueError("ROS accepts no such name of a topic") from None

    def play(self, on_message: Callable[[], object] | None = None) -> None:
        """Publish every message once, in the order and with the timing of the bag.

        Args:
            on_message: Called after each message.
        """
        start, first = 0.0, None
        with open_bag(self._path) as bag:
            for topic, _type, log_time, raw in bag.messages(list(self._outputs)):
                if first is None:
                    start, first = time.monotonic(), log_time
                self._wait_until(start, first, log_time)
                self._outputs[topic].publish(raw)
                if on_message is not None:
                    on_message()

    def wait_for_subscribers(self, topics: list[str], count: int, timeout: float) -> bool:
        """Wait until each of ``topics`` has ``count`` subscribers.

        Returns:
            False if they have not within ``timeout`` seconds.

        Raises:
            ValueError: If the bag has no such topic, or its type is not installed.
        """
        if unknown := sorted(set(topics) - set(self._outputs)):
            raise ValueError(
                f"{self._path}: no topic {', '.join(unknown)} to wait for; expected some of"
                f" {', '.join(sorted(self._outputs))}"
            )
        deadline = time.monotonic() + timeout
        while any(self._outputs[topic].get_subscription_count() < count for topic in topics):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def drain(self, timeout: float = 2.0) -> None:
        """Wait until all messages are acknowledged, up to ``timeout`` seconds per topic."""
        for output in self._outputs.values():
            output.wait_for_all_acked(Duration(seconds=timeout))

    def _wait_until(self, start: float, first: int, log_time: int) -> None:
        """Sleep until ``log_time`` is due, and publish ``/clock`` meanwhile."""
        due = start + (log_time - first) / 1e9 / self._rate
        while True:
            left = due - time.monotonic()
            if self._clock_output is not None:
                now = log_time - int(max(left, 0.0) * self._rate * 1e9)
                self._clock_output.publish(Clock(clock=make_time(now)))
            if left <= 0:
                return
            time.sleep(min(left, 1 / CLOCK_RATE) if self._clock_output is not None else left)
