# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Transforms from the topics, by tf2 where it is installed."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from geometry_msgs.msg import TransformStamped
from node_harness import DEADLINE, LATCHED, SECOND, START
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from tf2_msgs.msg import TFMessage

from concerto_ros.cloud.transform_tree import TransformUnavailable
from concerto_ros.ros import transforms
from concerto_ros.ros.outputs import header


class Buffer:
    """What of tf2_ros.Buffer is used; it knows the transforms of one stamp only."""

    def __init__(self):
        self.put = []

    def set_transform(self, transform, authority):
        self.put.append(("moving", transform))

    def set_transform_static(self, transform, authority):
        self.put.append(("static", transform))

    def lookup_transform(self, target, source, time):
        for _, known in self.put:
            if (known.header.frame_id, known.child_frame_id) == (target, source):
                return known
        raise TransformException(f"{target} does not know {source}")

    def clear(self):
        self.put = []


class TransformException(Exception):
    pass


def test_a_tf2_buffer_is_filled_from_both_topics_with_qos_of_choice(ros_context, monkeypatch):
    stand_in = SimpleNamespace(Buffer=Buffer, TransformException=TransformException)
    monkeypatch.setattr(transforms, "tf2_ros", stand_in)
    node, robot = (Node(name, context=ros_context) for name in ("listener", "robot"))
    listener = transforms.listen(node)
    assert node.has_parameter("qos_overrides./tf_static.subscription.depth")
    executor = SingleThreadedExecutor(context=ros_context)
    executor.add_node(node)
    for topic, qos, child in (("/tf", 10, "base_link"), ("/tf_static", LATCHED, "map")):
        publisher = robot.create_publisher(TFMessage, topic, qos)
        transform = TransformStamped(header=header("odom", START), child_frame_id=child)
        transform.transform.translation.x = 2.0
        transform.transform.rotation.w = 1.0
        end = node.get_clock().now().nanoseconds + DEADLINE * SECOND
        while child not in {known.child_frame_id for _, known in listener._buffer.put}:
            publisher.publish(TFMessage(transforms=[transform]))
            executor.spin_once(timeout_sec=0.1)
            assert node.get_clock().now().nanoseconds < end, f"nothing came on {topic}"
    kinds = {known.child_frame_id: kind for kind, known in listener._buffer.put}
    assert kinds == {"base_link": "moving", "map": "static"}
    assert listener.lookup("odom", "base_link", START).translation.tolist() == [2, 0, 0]
    listener.clear()
    with pytest.raises(TransformUnavailable, match="odom does not know base_link"):
        listener.lookup("odom", "base_link", START)
    listener.close()
    executor.shutdown()
    node.destroy_node()
    robot.destroy_node()
