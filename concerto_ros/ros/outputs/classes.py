# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Latched topics with the names and colours of the classes."""

from __future__ import annotations

from typing import Any

from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from concerto_ros.labels.label_set import LabelSet
from concerto_ros.msg import SemanticClasses
from concerto_ros.ros.middleware.qos import overridable
from concerto_ros.ros.outputs.messages import classes_message, image_message
from concerto_ros.viz.legend import legend


class ClassOutputs:
    """Publishers of ``~/classes``, ``~/legend`` and ``~/label_info``.

    The last one exists only if vision_msgs is installed.
    """

    def __init__(self, node: LifecycleNode, qos: QoSProfile):
        self._node = node
        message_types: dict[str, type] = {"classes": SemanticClasses, "legend": Image}
        try:
            from vision_msgs.msg import LabelInfo
        except ImportError:
            node.get_logger().info("~/label_info is not published: vision_msgs is not installed")
        else:
            message_types["label_info"] = LabelInfo
        self._publishers = {
            topic: node.create_lifecycle_publisher(cls, f"~/{topic}", **overridable(qos))
            for topic, cls in message_types.items()
        }

    def publish(self, labels: LabelSet, model: str, header: Header) -> None:
        """Publish the label set of ``model``."""
        self._publishers["classes"].publish(classes_message(labels, model, header))
        picture = legend(labels, f"{labels.name}: {model}")
        self._publishers["legend"].publish(image_message(picture, header))
        if "label_info" in self._publishers:
            self._publishers["label_info"].publish(label_info_message(labels, header))

    def destroy(self) -> None:
        """Destroy the publishers."""
        for publisher in self._publishers.values():
            self._node.destroy_lifecycle_publisher(publisher)
        self._publishers = {}


def label_info_message(labels: LabelSet, header: Header) -> Any:
    """A vision_msgs/LabelInfo: class_id is the label. Every label is sent, so threshold is 0."""
    from vision_msgs.msg import LabelInfo, VisionClass

    return LabelInfo(
        header=header,
        class_map=[
            VisionClass(class_id=semantic_class.id, class_name=semantic_class.name)
            for semantic_class in labels.classes
        ],
        threshold=0.0,
    )
