# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A ROS 2 node that publishes true on /stop while an obstacle is ahead, or nothing is known.

The node of concerto_ros needs these parameters (docs/planners.md):
filter_names: [obstacles], filters.obstacles.exclude: [floor|ground],
filters.obstacles.unlabelled: true, filters.obstacles.frame: base_link
"""

import contextlib

import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Bool

from concerto_ros.msg import SemanticClasses

FORMATS = {PointField.UINT32: "<u4", PointField.FLOAT32: "<f4"}


def records(cloud: PointCloud2) -> np.ndarray:
    """The points as a structured array: records(cloud)["x"], ["label"], ["confidence"], ..."""
    names = [field.name for field in cloud.fields]
    formats = [FORMATS[field.datatype] for field in cloud.fields]
    offsets = [field.offset for field in cloud.fields]
    layout = dict(names=names, formats=formats, offsets=offsets, itemsize=cloud.point_step)
    return np.frombuffer(cloud.data, np.dtype(layout))


class Planner(Node):
    def __init__(self):
        super().__init__("planner")
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.create_subscription(SemanticClasses, "/concerto/classes", self.learn_names, latched)
        self.create_subscription(PointCloud2, "/concerto/filtered/obstacles", self.look, 1)
        self.stop = self.create_publisher(Bool, "/stop", 1)
        self.names, self.blocked, self.looked = {}, True, self.get_clock().now()
        self.create_timer(0.1, self.decide)

    def learn_names(self, message: SemanticClasses) -> None:
        self.names = {entry.id: entry.name for entry in message.classes}

    def look(self, cloud: PointCloud2) -> None:
        points = records(cloud)  # in base_link: x forward, y left, z up
        ahead = (points["x"] > 0) & (points["x"] < 1.5) & (abs(points["y"]) < 0.4)
        points = points[ahead & (points["z"] < 1.8)]
        self.blocked, self.looked = len(points) > 0, self.get_clock().now()
        if self.blocked:
            nearest = points[points["x"].argmin()]
            what = self.names.get(nearest["label"], "something")
            self.get_logger().info(f"{what}, {nearest['x']:.2f} m ahead")

    def decide(self) -> None:
        silence = (self.get_clock().now() - self.looked).nanoseconds / 1e9
        self.stop.publish(Bool(data=self.blocked or silence > 1.0))


if __name__ == "__main__":
    rclpy.init()
    with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(Planner())
