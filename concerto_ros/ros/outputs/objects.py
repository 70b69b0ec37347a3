# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The topics on which objects are published."""

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

#: Topics of types that not every machine has: package, type, and how findings become one.
OPTIONAL = {
    "object_markers": ("visualization_msgs", "MarkerArray", markers_message),
    "detections": ("vision_msgs", "Detection3DArray", detections_message),
}


class ObjectOutputs:
    """Publishers of ``~/objects`` and, as far as their packages are installed, of the others.

    ``model``: what names the objects.
    """

    def __init__(self, node: LifecycleNode, qos: QoSProfile, model: str, parameters: Parameters):
        self._node = node
        self._parameters = parameters
        self._outputs: list[tuple[Any, Callable[[FoundObjects, Header], Any]]] = []
        self._add("objects", SemanticObjectArray, partial(objects_message, model), qos)
        for topic, (package, name, convert) in OPTIONAL.items():
            try:
                kind = getattr(importlib.import_module(f"{package}.msg"), name)
            except ImportError:
                node.get_logger().info(f"no ~/{topic}: {package} is not installed")
                continue
            self._add(topic, kind, convert, qos)

    def listened(self) -> bool:
        """Whether anybody subscribes to objects in any form."""
        return any(publisher.get_subscription_count() for publisher, _ in self._outputs)

    def publish(self, findings: FoundObjects) -> None:
        """Send ``findings``, which are in the fixed frame, to those who listen."""
        header = make_header(self._parameters.settings.fixed_frame, findings.stamp)
        for publisher, convert in self._outputs:
            if publisher.get_subscription_count():
                publisher.publish(convert(findings, header))

    def destroy(self) -> None:
        """Take the publishers back."""
        for publisher, _ in self._outputs:
            self._node.destroy_lifecycle_publisher(publisher)
        self._outputs = []

    def _add(self, topic, kind, convert, qos) -> None:
        publisher = self._node.create_lifecycle_publisher(kind, f"~/{topic}", **overridable(qos))
        self._outputs.append((publisher, convert))
