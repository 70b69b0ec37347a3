# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A ROS 2 node that decodes the clouds of ~/labels and prints the nearest point of each class.

NumPy is all it takes: sensor_msgs_py is not needed. labels.layout is pcl, the default.
"""

import contextlib

import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import PointCloud2

from concerto_ros.msg import SemanticClasses

UNLABELLED = 255  # the label of a point without one; ~/classes does not list it
FLOATS = [(name, "<f4") for name in ("x", "y", "z", "rgb")]
POINT = np.dtype([*FLOATS, ("label", "<u4"), ("confidence", "<f4")])


def decode(cloud: PointCloud2) -> np.ndarray:
    """The labelled points: decode(cloud)["x"], ["y"], ["z"], ["label"], ["confidence"]."""
    points = np.frombuffer(cloud.data, POINT)
    return points[points["label"] != UNLABELLED]


class Listener(Node):
    def __init__(self):
        super().__init__("listener")
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.create_subscription(SemanticClasses, "/concerto/classes", self.learn_names, latched)
        self.create_subscription(PointCloud2, "/concerto/labels", self.look, 1)
        self.names = {}

    def learn_names(self, message: SemanticClasses) -> None:
        self.names = {entry.id: entry.name for entry in message.classes}

    def look(self, cloud: PointCloud2) -> None:
        points = decode(cloud)
        distance = np.sqrt(points["x"] ** 2 + points["y"] ** 2 + points["z"] ** 2)
        for label in np.unique(points["label"]):
            nearest = distance[points["label"] == label].min()
            print(f"{self.names.get(label, f'class {label}')}: {nearest:.2f} m", flush=True)


if __name__ == "__main__":
    rclpy.init()
    with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(Listener())
