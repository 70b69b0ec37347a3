# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Transforms from /tf and /tf_static: by tf2_ros if it is installed, else our transform tree."""

from __future__ import annotations

import time
from abc import abstractmethod
from functools import partial
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.time import Time

from concerto_ros.intake.placing import Lookup
from concerto_ros.intake.stamp_order import StampGate
from concerto_ros.ros.inputs.late_messages import LateMessages
from concerto_ros.ros.middleware.qos import overridable
from concerto_ros.sensors.input_error import InputError
from concerto_ros.sensors.message_fields import stamp_ns
from concerto_ros.sensors.transform_tree import (
    Transform,
    TransformTree,
    TransformUnavailable,
    transform_of,
)

try:
    import tf2_ros
except ImportError:  # not among the ROS wheels
    tf2_ros = None

CACHE_SECONDS = 10.0

#: For how long the transforms of a child frame must be too old before time counts as restarted.
RESTART_SECONDS = 1.0

#: In the text of tf2's LookupException: the tree has a loop, not merely an unknown frame.
LOOP = "tree is invalid because it contains a loop"


def listen(node: Node) -> TransformListener:
    """Subscribe ``node`` to the transforms, with tf2_ros if it is installed."""
    return OwnTransforms(node) if tf2_ros is None else Tf2Transforms(node)


class TransformListener(Lookup):
    """Subscribes to /tf and /tf_static, and keeps the transforms.

    Transforms that are older than the newest by more than the cache are refused. If a child frame
    gets only such transforms for ``RESTART_SECONDS``, e.g. from a bag that is played again without
    ``/clock``, all transforms of /tf are forgotten.

    Attributes:
        late: Recognises messages that are late after the clock went back. A transform of before
            would be interpolated with those of the new time.
    """

    def __init__(self, node: Node):
        from tf2_msgs.msg import TFMessage

        self._node = node
        self._log = node.get_logger()
        self._gates: dict[str, StampGate] = {}
        self.late = LateMessages(node.get_clock())
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
        """Stop listening."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions.clear()

    def clear(self) -> None:
        """Forget the transforms of /tf; those of /tf_static stay."""
        self._gates = {}
        self._forget()

    def _on_message(self, message: Any, static: bool) -> None:
        for transform in message.transforms:
            if not static and self.late.has(transform):
                continue
            try:
                self._insert(transform, static)
                if not static and self._time_went_back(transform):
                    child = transform.child_frame_id
                    self._log.warning(
                        f"the stamps of {child!r} went back: transforms cleared",
                        throttle_duration_sec=10.0,
                    )
                    self.clear()
                    self._insert(transform, static)
            except ValueError as error:
                self._log.warning(f"transform ignored: {error}", throttle_duration_sec=10.0)

    def _time_went_back(self, transform: Any) -> bool:
        stamp = stamp_ns(transform)
        if stamp == 0:  # from a node that has not received /clock yet
            return False
        child = transform.child_frame_id
        if child not in self._gates:
            self._gates[child] = StampGate(int(CACHE_SECONDS * 1e9), RESTART_SECONDS)
        try:
            return self._gates[child].admit(stamp, time.monotonic())
        except InputError:  # too late, but not for long enough
            return False

    @abstractmethod
    def _insert(self, transform: Any, static: bool) -> None:
        """Store a TransformStamped; ``ValueError`` if it is invalid."""

    @abstractmethod
    def _forget(self) -> None:
        """Forget the transforms of /tf."""


class OwnTransforms(TransformListener):
    """Keeps the transforms in the package's own :class:`TransformTree`."""

    def __init__(self, node: Node):
        self._tree = TransformTree(cache_seconds=CACHE_SECONDS)
        super().__init__(node)

    def _find(self, target: str, source: str, stamp: int) -> Transform:
        return self._tree.lookup(target, source, stamp)

    def _forget(self) -> None:
        self._tree.clear()

    def _insert(self, transform: Any, static: bool) -> None:
        self._tree.insert(transform, static=static)


class Tf2Transforms(TransformListener):
    """Keeps the transforms in a ``tf2_ros`` buffer, whose own listener has no QoS overrides."""

    def __init__(self, node: Node):
        self._buffer = tf2_ros.Buffer()
        super().__init__(node)

    def _find(self, target: str, source: str, stamp: int) -> Transform:
        if stamp < 0:
            raise TransformUnavailable(
                f"no transform from {source!r} to {target!r} at {stamp / 1e9:.3f} s: ROS has no"
                " times below 0",
                retry=False,
            )
        # Drivers from ROS 1 begin frame ids with a slash. tf2 strips it from the transforms that
        # it stores, but refuses it in a lookup.
        target, source = target.removeprefix("/"), source.removeprefix("/")
        try:
            message = self._buffer.lookup_transform(target, source, Time(nanoseconds=stamp))
        except tf2_ros.TransformException as error:
            loop = LOOP in str(error)
            reason = "transform_loop" if loop else "no_transform"
            raise TransformUnavailable(str(error), retry=not loop, reason=reason) from None
        return transform_of(message)

    def _forget(self) -> None:
        self._buffer.clear()

    def _insert(self, transform: Any, static: bool) -> None:
        insert = self._buffer.set_transform_static if static else self._buffer.set_transform
        try:
            insert(transform, "")
        except tf2_ros.TransformException as error:
            raise ValueError(str(error)) from None
