# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Records topics into a bag and keeps what was last said on each."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path

from rclpy.node import Node
from rclpy.serialization import deserialize_message
from rosbags.rosbag2 import StoragePlugin, Writer

from concerto_ros.bags.messages import type_store
from concerto_ros.ros.middleware.qos import CLOUD_QOS, LATCHED_QOS


class BagRecorder:
    """Writes every message of ``topics`` (name to class) into a new rosbag2 at ``path``.

    ``latched`` names the topics whose last message is sent to late subscribers.
    """

    def __init__(self, node: Node, path: Path, topics: dict[str, type], latched: set[str]):
        self._node = node
        self._lock = threading.Lock()
        self._newest: dict[str, bytes] = {}
        self._kinds = dict(topics)
        self.counts = dict.fromkeys(topics, 0)
        self._writer = Writer(path, version=9, storage_plugin=StoragePlugin.MCAP)
        self._writer.open()
        self._connections = {
            topic: self._writer.add_connection(topic, _type_name(kind), typestore=type_store())
            for topic, kind in topics.items()
        }
        self._subscriptions = [
            node.create_subscription(
                kind,
                topic,
                partial(self._write, topic),
                LATCHED_QOS if topic in latched else CLOUD_QOS,
                raw=True,
            )
            for topic, kind in topics.items()
        ]

    def newest(self, topic: str):
        """The last message of ``topic``, None before the first."""
        with self._lock:
            raw = self._newest.get(topic)
        return None if raw is None else deserialize_message(raw, self._kinds[topic])

    def close(self) -> None:
        """Finish the bag."""
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


def _type_name(kind: type) -> str:
    return f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"
