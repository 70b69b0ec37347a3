# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Transforms from /tf and /tf_static: tf2 where it is installed, else the package's own tree."""

from __future__ import annotations

from functools import partial
from typing import Any, Protocol

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
from concerto_ros.ros.qos import overridable

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


class _Listener:
    """Subscriptions of both topics; what they bring goes to :meth:`_insert`."""

    def __init__(self, node: Node):
        from tf2_msgs.msg import TFMessage

        self._node = node
        self._log = node.get_logger()
        reliable = {"history": HistoryPolicy.KEEP_LAST, "reliability": ReliabilityPolicy.RELIABLE}
        latched = {"durability": DurabilityPolicy.TRANSIENT_LOCAL}
        self._subscriptions = [
            node.create_subscription(
                TFMessage,
                topic,
                partial(self._on_message, static=bool(more)),
                **overridable(QoSProfile(depth=100, **reliable, **more)),
            )
            for topic, more in (("/tf", {}), ("/tf_static", latched))
        ]

    def close(self) -> None:
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions.clear()

    def _on_message(self, message: Any, static: bool) -> None:
        for transform in message.transforms:
            try:
                self._insert(transform, static)
            except ValueError as error:
                self._log.warning(f"transform ignored: {error}", throttle_duration_sec=10.0)

    def _insert(self, transform: Any, static: bool) -> None:
        raise NotImplementedError


class OwnTransforms(_Listener):
    """Fills a :class:`TransformTree` from the topics."""

    def __init__(self, node: Node):
        self._tree = TransformTree(cache_seconds=CACHE_SECONDS)
        super().__init__(node)

    def lookup(self, target: str, source: str, stamp: int) -> Transform:
        if is_identity(target, source, stamp):
            return IDENTITY
        return self._tree.lookup(target, source, stamp)

    def clear(self) -> None:
        self._tree.clear()

    def _insert(self, transform: Any, static: bool) -> None:
        self._tree.insert(transform, static=static)


class Tf2Transforms(_Listener):
    """Asks a ``tf2_ros`` buffer. Its own listener would not let QoS be overridden."""

    def __init__(self, node: Node):
        self._buffer = tf2_ros.Buffer()
        super().__init__(node)

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

    def _insert(self, transform: Any, static: bool) -> None:
        put = self._buffer.set_transform_static if static else self._buffer.set_transform
        try:
            put(transform, "")
        except tf2_ros.TransformException as error:
            raise ValueError(str(error)) from None
