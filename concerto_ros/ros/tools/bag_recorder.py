# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Records topics into a bag and keeps the last message of each."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path
from typing import Any

from rclpy.node import Node
from rclpy.serialization import deserialize_message
from rosbags.rosbag2 import StoragePlugin, Writer

from concerto_ros.bags.messages import quality, type_store
from concerto_ros.ros.middleware.qos import CLOUD_QOS, LATCHED_QOS


class BagRecorder:
    """Writes every message of some topics into a new rosbag2 with MCAP storage.

    Args:
        node: Subscribes to the topics.
        path: Folder of the new bag.
        topics: Message class by topic name.
        latched: Topics with durability ``transient_local``.

    Attributes:
        counts: Number of messages by topic name.
    """

    def __init__(self, node: Node, path: Path, topics: dict[str, type], latched: set[str]):
        self._node = node
        self._lock = threading.Lock()
        self._newest: dict[str, bytes] = {}
        self._classes = dict(topics)
        self.counts = dict.fromkeys(topics, 0)
        self._writer = Writer(path, version=9, storage_plugin=StoragePlugin.MCAP)
        self._writer.open()
        self._connections = {
            topic: self._writer.add_connection(
                topic,
                _type_name(cls),
                typestore=type_store(),
                offered_qos_profiles=[quality(latched=topic in latched)],
            )
            for topic, cls in topics.items()
        }
        self._subscriptions = [
            node.create_subscription(
                cls,
                topic,
                partial(self._write, topic),
                LATCHED_QOS if topic in latched else CLOUD_QOS,
                raw=True,
            )
            for topic, cls in topics.items()
        ]

    def newest(self, topic: str) -> Any:
        """The last message of ``topic``; None before the first."""
        with self._lock:
            raw = self._newest.get(topic)
        return None if raw is None else deserialize_message(raw, self._classes[topic])

    def close(self) -> None:
        """Destroy the subscriptions and finish the bag."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        with self._lock:
            self._writer.close()

    def _write(self, topic: str, raw: bytes) -> None:
        now = self._node.get_clock().now().nanoseconds
        with self._lock:
            self._newest[topic] = raw
            self.counts[topic] += 1
            self._writer.write(self._connections[topic], now, raw)


def _type_name(cls: type) -> str:
    return f"{cls.__module__.split('.')[0]}/msg/{cls.__name__}"
