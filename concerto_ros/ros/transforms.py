# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Transforms from /tf and /tf_static: tf2 where it is installed, else the package's own tree."""

from __future__ import annotations

from typing import Protocol

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.time import Time

from concerto_ros.cloud.transform_tree import (
    Transform,
    TransformTree,
    TransformUnavailable,
    transform_of,
)
from concerto_ros.reading import IDENTITY, Lookup, is_identity

try:
    import tf2_ros
except ImportError:  # not among the ROS wheels
    tf2_ros = None

CACHE_SECONDS = 10.0


class Transforms(Lookup, Protocol):
    """Listens for transforms. tf2 would answer a stamp of zero with the newest: a guess."""

    def clear(self) -> None:
        """Forget every moving transform."""

    def close(self) -> None:
        """Stop listening."""


def listen(node: Node) -> Transforms:
    """Subscribe ``node`` to the transforms."""
    return OwnTransforms(node) if tf2_ros is None else Tf2Transforms(node)


class OwnTransforms:
    """Fills a :class:`TransformTree` from the topics."""

    def __init__(self, node: Node):
        from tf2_msgs.msg import TFMessage

        self._node = node
        self._tree = TransformTree(cache_seconds=CACHE_SECONDS)
        self._log = node.get_logger()
        reliable = {"history": HistoryPolicy.KEEP_LAST, "reliability": ReliabilityPolicy.RELIABLE}
        self._subscriptions = [
            node.create_subscription(
                TFMessage, "/tf", self._on_moving, QoSProfile(depth=100, **reliable)
            ),
            node.create_subscription(
                TFMessage,
                "/tf_static",
                self._on_static,
                QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL, **reliable),
            ),
        ]

    def lookup(self, target: str, source: str, stamp: int) -> Transform:
        if is_identity(target, source, stamp):
            return IDENTITY
        return self._tree.lookup(target, source, stamp)

    def clear(self) -> None:
        self._tree.clear()

    def close(self) -> None:
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions.clear()

    def _on_moving(self, message) -> None:
        self._insert(message, static=False)

    def _on_static(self, message) -> None:
        self._insert(message, static=True)

    def _insert(self, message, static: bool) -> None:
        for transform in message.transforms:
            try:
                self._tree.insert(transform, static=static)
            except ValueError as error:
                self._log.warning(f"transform ignored: {error}", throttle_duration_sec=10.0)


class Tf2Transforms:
    """Asks a ``tf2_ros`` buffer."""

    def __init__(self, node: Node):
        self._buffer = tf2_ros.Buffer()
        self._listener = tf2_ros.TransformListener(self._buffer, node)

    def lookup(self, target: str, source: str, stamp: int) -> Transform:
        if is_identity(target, source, stamp):
            return IDENTITY
        try:
            found = self._buffer.lookup_transform(target, source, Time(nanoseconds=stamp))
        except tf2_ros.TransformException as error:
            loop = "loop" in str(error)
            reason = "transform_loop" if loop else "no_transform"
            raise TransformUnavailable(str(error), retry=not loop, reason=reason) from None
        return transform_of(found)

    def clear(self) -> None:
        self._buffer.clear()

    def close(self) -> None:
        self._listener.unregister()
