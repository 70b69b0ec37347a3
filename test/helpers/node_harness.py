# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The real node and a robot that talks to it over DDS, for tests."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TransformStamped
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import (
    DurabilityPolicy,
    QoSProfile,
    ReliabilityPolicy,
    qos_profile_sensor_data,
)
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from concerto_ros.labels.packed_cloud import pack_cloud
from concerto_ros.msg import PerceptionStatus
from concerto_ros.ros.middleware.spinning import spinning
from concerto_ros.ros.node import PerceptionNode
from concerto_ros.ros.outputs import messages
from concerto_ros.ros.outputs.messages import image_message, make_header
from concerto_ros.sensors.point_cloud2 import point_cloud_fields

LATCHED = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)

#: A condition that is not met by then never will be, seconds.
DEADLINE = 20.0

#: A sensor stamp like any other, nanoseconds.
START = 1_700_000_000_000_000_000

#: Nanoseconds.
SECOND = 1_000_000_000

#: One RGB-D camera named head whose points are in the fixed frame already.
CAMERA = {
    "camera_names": ["head"],
    "cameras.head.color_topic": "/color",
    "cameras.head.depth_topic": "/depth",
    "cameras.head.info_topic": "/info",
    "fixed_frame": "camera",
    "input_rate": 100.0,
    "rate": 100.0,
}

#: One LiDAR named front whose points are in the fixed frame already.
ONE_CLOUD = {
    "cloud_names": ["front"],
    "clouds.front.topic": "/points",
    "voxel_size": 0.1,
    "input_rate": 100.0,
    "rate": 100.0,
    "transform_timeout": 0.3,
}


def cloud_message(header: Header, points: np.ndarray, **columns: np.ndarray) -> PointCloud2:
    """An unorganised cloud: (N, 3) ``points`` and (N,) columns by field name."""
    return messages.cloud_message(pack_cloud(points, **columns), header)


def room(seed: int = 0, size: int = 300) -> np.ndarray:
    """(size, 3) float32 points on a floor and a wall."""
    random = np.random.default_rng(seed)
    points = random.uniform((1, -2, 0), (4, 2, 2), (size, 3)).astype(np.float32)
    points[: size // 2, 2] = 0.0
    points[size // 2 :, 0] = 4.0
    return points


class Harness:
    """One node in an executor thread, and a robot in another."""

    def __init__(self, context: Any, namespace: str = "", **parameters: Any):
        self.context = context
        self.node = PerceptionNode(
            context=context,
            namespace=namespace,
            parameter_overrides=[
                Parameter(name, value=value) for name, value in parameters.items()
            ],
        )
        self.robot = Node("robot", context=context)
        self.received: dict[str, list] = defaultdict(list)
        self._publishers: dict[str, Any] = {}
        # Tests change the state of a node and take away publishers from another thread than the
        # one that serves them; rclpy then stumbles over what is gone, which is logged.
        self._threads = ExitStack()
        for node in (self.node, self.robot):
            self._threads.enter_context(spinning(node))
        self.listen("/concerto/status", PerceptionStatus, QoSProfile(depth=50))
        self.listen("/diagnostics", DiagnosticArray, QoSProfile(depth=50))

    def close(self) -> None:
        self._threads.close()
        self.node.close()
        self.robot.destroy_node()

    # Lifecycle ---------------------------------------------------------------------------------

    def configure(self) -> bool:
        return self.node.trigger_configure() == TransitionCallbackReturn.SUCCESS

    def activate(self) -> None:
        assert self.node.trigger_activate() == TransitionCallbackReturn.SUCCESS

    def deactivate(self) -> None:
        assert self.node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS

    def start(self) -> None:
        assert self.configure()
        self.activate()

    # The robot ---------------------------------------------------------------------------------

    def listen(self, topic: str, kind: type, qos: QoSProfile | int = 1) -> None:
        self.robot.create_subscription(kind, topic, self.received[topic].append, qos)

    def listen_to_labels(self) -> None:
        self.listen("/concerto/labels", PointCloud2, QoSProfile(depth=20))

    def publisher(self, topic: str, kind: type, qos: QoSProfile = qos_profile_sensor_data):
        """A publisher that has found the node."""
        if topic not in self._publishers:
            publisher = self.robot.create_publisher(kind, topic, qos)
            self._publishers[topic] = publisher
            self.wait(lambda: publisher.get_subscription_count() > 0, f"the node to hear {topic}")
        return self._publishers[topic]

    def unplug(self, topic: str) -> None:
        """Take the publisher of ``topic`` away; sending again brings it back."""
        self.robot.destroy_publisher(self._publishers.pop(topic))

    def send(self, message: PointCloud2, topic: str = "/points") -> None:
        self.publisher(topic, PointCloud2).publish(message)

    def send_room(
        self, stamp: int = START, frame: str = "odom", topic: str = "/points", seed: int = 0
    ) -> np.ndarray:
        points = room(seed)
        self.send(cloud_message(make_header(frame, stamp), points), topic)
        return points

    def send_transform(
        self,
        parent: str,
        child: str,
        stamp: int = START,
        x: float = 0.0,
        static: bool = False,
    ) -> None:
        transform = TransformStamped(header=make_header(parent, stamp), child_frame_id=child)
        transform.transform.translation.x = x
        transform.transform.rotation.w = 1.0
        topic, qos = ("/tf_static", LATCHED) if static else ("/tf", QoSProfile(depth=100))
        self.publisher(topic, TFMessage, qos).publish(TFMessage(transforms=[transform]))

    # What the node says ------------------------------------------------------------------------

    def wait(self, condition: Callable[[], Any], what: str, deadline: float = DEADLINE) -> Any:
        end = time.monotonic() + deadline
        while not (value := condition()):
            assert time.monotonic() < end, f"waited {deadline:g} s for {what}; {self.drops()}"
            time.sleep(0.01)
        return value

    @property
    def status(self) -> PerceptionStatus:
        # An empty one before the first: labels may arrive before the status of their inference.
        received = self.received["/concerto/status"]
        return received[-1] if received else PerceptionStatus()

    def drops(self) -> dict[str, int]:
        """Messages not used since activation, by reason."""
        return dict(zip(self.status.drop_reasons, self.status.drop_counts, strict=True))

    def wait_for_status(self) -> PerceptionStatus:
        """The newest status, as soon as there is one."""
        return self.wait(lambda: self.received["/concerto/status"], "a status")[-1]

    def wait_for_drop(self, reason: str, count: int = 1) -> None:
        self.wait(lambda: self.drops().get(reason, 0) >= count, f"{count} dropped as {reason}")

    def wait_for_fused(self, count: int) -> None:
        self.wait(lambda: self.status.frames_fused >= count, f"{count} fused")

    def labels(self, stamp: int | None = None) -> dict[str, np.ndarray]:
        """The columns of the newest labels, or of those with this stamp."""

        def found():
            for message in reversed(self.received["/concerto/labels"]):
                if stamp is None or stamp_of(message) == stamp:
                    return message
            return None

        message = self.wait(found, f"labels of {stamp}")
        return {name: column.reshape(-1) for name, column in point_cloud_fields(message).items()}

    def labels_of_room(
        self, stamp: int, seed: int = 0
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Points of a room and the labels of its map; the room is sent again where it is lost.

        A reader that has only just come may miss a message, and a clock that jumps drops one.
        """
        points, sent = room(seed), -np.inf

        def heard():
            nonlocal sent
            if time.monotonic() - sent > 2.0:
                self.send_room(stamp, seed=seed)
                sent = time.monotonic()
            return any(stamp_of(m) == stamp for m in self.received["/concerto/labels"])

        self.wait(heard, f"labels of {stamp}", 3 * DEADLINE)
        return points, self.labels(stamp)

    def diagnosis(self, task: str) -> Callable[[], Any]:
        """The newest DiagnosticStatus whose name ends in ``task``."""

        def newest():
            for array in reversed(self.received["/diagnostics"]):
                for entry in array.status:
                    if entry.name.endswith(task):
                        return entry
            return None

        return newest


def call(one: Harness, kind: Any, name: str, request: Any = None) -> Any:
    """The answer of ``~/name``."""
    client = one.robot.create_client(kind, f"/concerto/{name}")
    assert client.wait_for_service(20.0)
    future = client.call_async(request or kind.Request())
    return one.wait(lambda: future.done() and future.result(), f"an answer of {name}")


def stamp_of(message: Any) -> int:
    return message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec


def camera_info(
    width: int, height: int, frame: str = "camera", focal: float = 100.0
) -> CameraInfo:
    return CameraInfo(
        header=make_header(frame, START),
        width=width,
        height=height,
        distortion_model="plumb_bob",
        d=[0.0] * 5,
        k=[focal, 0.0, width / 2, 0.0, focal, height / 2, 0.0, 0.0, 1.0],
        r=np.eye(3).ravel().tolist(),
        p=[focal, 0.0, width / 2, 0.0, 0.0, focal, height / 2, 0.0, 0.0, 0.0, 1.0, 0.0],
    )


def color_image(width: int, height: int, stamp: int = START, frame: str = "camera") -> Image:
    pixels = np.full((height, width, 3), (200, 100, 50), np.uint8)
    return image_message(pixels, make_header(frame, stamp))


def depth_image(
    width: int, height: int, stamp: int = START, frame: str = "camera", millimetres: int = 1500
) -> Image:
    pixels = np.full((height, width), millimetres, "<u2")
    return Image(
        header=make_header(frame, stamp),
        height=height,
        width=width,
        encoding="16UC1",
        step=2 * width,
        data=pixels.tobytes(),
    )


def send_pair(one: Harness, stamp: int, color: bool = True, depth_size=(80, 60), info=None):
    """Depth at ``stamp``, colour 10 ms earlier, and camera_info."""
    one.publisher("/info", CameraInfo).publish(info or camera_info(80, 60))
    if color:
        one.publisher("/color", Image).publish(color_image(80, 60, stamp - 10_000_000))
    one.publisher("/depth", Image).publish(depth_image(*depth_size, stamp))
