# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the labels mean: latched topics with the names and colours of the classes."""

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
    """Publishers of ``~/classes``, ``~/legend`` and, where vision_msgs is installed,
    ``~/label_info``."""

    def __init__(self, node: LifecycleNode, qos: QoSProfile):
        self._node = node
        kinds = {"classes": SemanticClasses, "legend": Image}
        try:
            from vision_msgs.msg import LabelInfo
        except ImportError:
            node.get_logger().info("no ~/label_info: vision_msgs is not installed")
        else:
            kinds["label_info"] = LabelInfo
        self._publishers = {
            topic: node.create_lifecycle_publisher(kind, f"~/{topic}", **overridable(qos))
            for topic, kind in kinds.items()
        }

    def publish(self, labels: LabelSet, model: str, header: Header) -> None:
        """Send the label set of ``model``."""
        self._publishers["classes"].publish(classes_message(labels, model, header))
        picture = legend(labels, f"{labels.name}: {model}")
        self._publishers["legend"].publish(image_message(picture, header))
        if "label_info" in self._publishers:
            self._publishers["label_info"].publish(label_info_message(labels, header))

    def destroy(self) -> None:
        """Take the publishers back."""
        for publisher in self._publishers.values():
            self._node.destroy_lifecycle_publisher(publisher)
        self._publishers = {}


def label_info_message(labels: LabelSet, header: Header) -> Any:
    """A vision_msgs/LabelInfo: class_id is the label. Every label is sent, so threshold is 0."""
    from vision_msgs.msg import LabelInfo, VisionClass

    return LabelInfo(
        header=header,
        class_map=[VisionClass(class_id=one.id, class_name=one.name) for one in labels.classes],
        threshold=0.0,
    )
