# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The topics with objects: all of the map, and those that a text was found by."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile
from std_msgs.msg import Header

from concerto_ros.msg import SemanticObjectArray
from concerto_ros.objects.finding.finder import FoundObject, FoundObjects
from concerto_ros.ros.middleware.qos import overridable
from concerto_ros.ros.outputs.messages import make_header
from concerto_ros.ros.outputs.object_messages import (
    detections_message,
    found_markers_message,
    markers_message,
    objects_message,
)
from concerto_ros.ros.parameters import Parameters

#: Topics that need an optional package: the package, the message type and the conversion to it.
OPTIONAL = {
    "object_markers": ("visualization_msgs", "MarkerArray", markers_message),
    "detections": ("vision_msgs", "Detection3DArray", detections_message),
}

#: The same of the topic for answers of ``~/find``.
FOUND = {"found_markers": ("visualization_msgs", "MarkerArray", found_markers_message)}

#: A publisher, and the conversion of what it publishes to its message.
Output = tuple[Any, Callable[[Any, Header], Any]]


class ObjectOutputs:
    """Publishers of ``~/objects``, ``~/object_markers``, ``~/detections`` and ``~/found_markers``.

    All but the first exist only if their message packages are installed.

    Args:
        node: The node that publishes.
        qos: Default quality of service of the topics.
        model: Name of what classifies the objects.
        parameters: Name the fixed frame.
    """

    def __init__(self, node: LifecycleNode, qos: QoSProfile, model: str, parameters: Parameters):
        self._node = node
        self._parameters = parameters
        convert = partial(objects_message, model)
        publisher = self._publisher("objects", SemanticObjectArray, qos)
        self._outputs: list[Output] = [(publisher, convert), *self._optional(OPTIONAL, qos)]
        self._found: list[Output] = self._optional(FOUND, qos)

    def subscribed(self) -> bool:
        """Whether any of the topics with all objects of the map has a subscriber."""
        return any(publisher.get_subscription_count() for publisher, _ in self._outputs)

    def publish(self, findings: FoundObjects) -> None:
        """Publish ``findings``, which are in the fixed frame, on the topics with a subscriber."""
        self._publish(self._outputs, findings, findings.stamp)

    def publish_found(self, matches: Sequence[FoundObject], stamp: int) -> None:
        """Publish the answer of ``~/find``, in place of the last one.

        Args:
            matches: In the fixed frame.
            stamp: Of the map, nanoseconds.
        """
        self._publish(self._found, matches, stamp)

    def destroy(self) -> None:
        """Destroy the publishers."""
        for publisher, _ in (*self._outputs, *self._found):
            self._node.destroy_lifecycle_publisher(publisher)
        self._outputs, self._found = [], []

    def _publish(self, outputs: Sequence[Output], content: Any, stamp: int) -> None:
        header = make_header(self._parameters.settings.fixed_frame, stamp)
        for publisher, convert in outputs:
            if publisher.get_subscription_count():
                publisher.publish(convert(content, header))

    def _optional(self, topics: dict[str, tuple], qos: QoSProfile) -> list[Output]:
        """The publishers of those topics whose message packages are installed."""
        outputs = []
        for topic, (package, name, convert) in topics.items():
            try:
                cls = getattr(importlib.import_module(f"{package}.msg"), name)
            except ImportError:
                text = f"~/{topic} is not published: {package} is not installed"
                self._node.get_logger().info(text)
            else:
                outputs.append((self._publisher(topic, cls, qos), convert))
        return outputs

    def _publisher(self, topic: str, cls: type, qos: QoSProfile) -> Any:
        return self._node.create_lifecycle_publisher(cls, f"~/{topic}", **overridable(qos))
