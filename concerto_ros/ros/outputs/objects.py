# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The topics with objects."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from typing import Any

from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile
from std_msgs.msg import Header

from concerto_ros.msg import SemanticObjectArray
from concerto_ros.objects.finding.finder import FoundObjects
from concerto_ros.ros.middleware.qos import overridable
from concerto_ros.ros.outputs.messages import make_header
from concerto_ros.ros.outputs.object_messages import (
    detections_message,
    markers_message,
    objects_message,
)
from concerto_ros.ros.parameters import Parameters

#: Topics that need an optional package: the package, the message type and the conversion to it.
OPTIONAL = {
    "object_markers": ("visualization_msgs", "MarkerArray", markers_message),
    "detections": ("vision_msgs", "Detection3DArray", detections_message),
}


class ObjectOutputs:
    """Publishers of ``~/objects``, ``~/object_markers`` and ``~/detections``.

    The last two exist only if their message packages are installed.

    Args:
        node: The node that publishes.
        qos: Default quality of service of the topics.
        model: Name of what classifies the objects.
        parameters: Name the fixed frame.
    """

    def __init__(self, node: LifecycleNode, qos: QoSProfile, model: str, parameters: Parameters):
        self._node = node
        self._parameters = parameters
        self._outputs: list[tuple[Any, Callable[[FoundObjects, Header], Any]]] = []
        self._add("objects", SemanticObjectArray, partial(objects_message, model), qos)
        for topic, (package, name, convert) in OPTIONAL.items():
            try:
                cls = getattr(importlib.import_module(f"{package}.msg"), name)
            except ImportError:
                node.get_logger().info(f"~/{topic} is not published: {package} is not installed")
                continue
            self._add(topic, cls, convert, qos)

    def subscribed(self) -> bool:
        """Whether any of the topics has a subscriber."""
        return any(publisher.get_subscription_count() for publisher, _ in self._outputs)

    def publish(self, findings: FoundObjects) -> None:
        """Publish ``findings``, which are in the fixed frame, on the topics with a subscriber."""
        header = make_header(self._parameters.settings.fixed_frame, findings.stamp)
        for publisher, convert in self._outputs:
            if publisher.get_subscription_count():
                publisher.publish(convert(findings, header))

    def destroy(self) -> None:
        """Destroy the publishers."""
        for publisher, _ in self._outputs:
            self._node.destroy_lifecycle_publisher(publisher)
        self._outputs = []

    def _add(
        self,
        topic: str,
        cls: type,
        convert: Callable[[FoundObjects, Header], Any],
        qos: QoSProfile,
    ) -> None:
        publisher = self._node.create_lifecycle_publisher(cls, f"~/{topic}", **overridable(qos))
        self._outputs.append((publisher, convert))
