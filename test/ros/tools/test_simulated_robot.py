# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The simulated robot over real DDS: what a depth camera's driver and a base would publish."""

from __future__ import annotations

import time

import numpy as np
import pytest

from concerto_ros.sim import CLASSES

pytest.importorskip("rclpy")
pytest.importorskip("tf2_msgs")

COLOR = "/camera/color/image_raw"
INFO = "/camera/color/camera_info"
DEPTH = "/camera/aligned_depth_to_color/image_raw"
TRUTH = "/ground_truth/labels"


def matrix_of(transform) -> np.ndarray:
    """(4, 4) of a TransformStamped, by the textbook formula for a unit quaternion."""
    q, t = transform.transform.rotation, transform.transform.translation
    v, w = np.array([q.x, q.y, q.z]), q.w
    cross = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
    matrix = np.eye(4)
    matrix[:3, :3] = np.eye(3) + 2 * w * cross + 2 * cross @ cross
    matrix[:3, 3] = t.x, t.y, t.z
    return matrix


def stamp_of(header) -> int:
    return header.stamp.sec * 10**9 + header.stamp.nanosec


class Drive:
    """Everything that one short drive published, by topic."""

    def __init__(self, context):
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.node import Node
        from rclpy.parameter import Parameter
        from rclpy.qos import DurabilityPolicy, QoSProfile
        from sensor_msgs.msg import CameraInfo, Image, PointCloud2
        from tf2_msgs.msg import TFMessage

        from concerto_ros.ros.tools.simulated_robot import SimulatedRobot

        self.got: dict[str, list] = {}
        listener = Node("listener", context=context)
        types = {
            COLOR: Image,
            INFO: CameraInfo,
            DEPTH: Image,
            TRUTH: PointCloud2,
            "/tf": TFMessage,
        }
        for topic, kind in types.items():
            listener.create_subscription(
                kind, topic, self.got.setdefault(topic, []).append, QoSProfile(depth=20)
            )
        values = {"width": 160, "height": 120, "rate": 10.0, "duration": 1.5, "seed": 1}
        overrides = [Parameter(name, value=value) for name, value in values.items()]
        robot = SimulatedRobot(context=context, parameter_overrides=overrides)
        # Made late on purpose: static transforms must still arrive.
        latched = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        listener.create_subscription(
            TFMessage, "/tf_static", self.got.setdefault("/tf_static", []).append, latched
        )
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(listener)
        executor.add_node(robot)
        end = time.monotonic() + 30.0
        while not robot.done.done() and time.monotonic() < end:
            executor.spin_once(timeout_sec=0.1)
        settle = time.monotonic() + 1.0
        while time.monotonic() < settle:
            executor.spin_once(timeout_sec=0.1)
        self.finished, self.pictures = robot.done.done(), robot.done.result()
        executor.shutdown()
        robot.destroy_node()
        listener.destroy_node()


@pytest.fixture
def drive(ros_context) -> Drive:
    return Drive(ros_context)


def test_a_drive_as_a_subscriber_sees_it(drive):
    assert drive.finished
    assert drive.pictures >= 3
    got = drive.got
    stamps = {t: [stamp_of(m.header) for m in got[t]] for t in (COLOR, INFO, DEPTH, TRUTH)}
    moves = [t for m in got["/tf"] for t in m.transforms]
    stamps["/tf"] = [stamp_of(t.header) for t in moves]
    # One stamp for everything taken at one time, and every picture's pose is there.
    assert len(stamps[COLOR]) >= 3
    assert stamps[COLOR] == sorted(set(stamps[COLOR]))
    assert set(stamps[COLOR]) == set(stamps[DEPTH]) == set(stamps[INFO])
    assert set(stamps[COLOR]) <= set(stamps["/tf"])
    assert set(stamps[TRUTH]) <= set(stamps[COLOR])

    frame = "camera_color_optical_frame"
    assert {m.header.frame_id for t in (COLOR, INFO, DEPTH, TRUTH) for m in got[t]} == {frame}
    assert {(t.header.frame_id, t.child_frame_id) for t in moves} == {("odom", "base_link")}
    mounts = {
        (t.header.frame_id, t.child_frame_id): matrix_of(t)
        for m in got["/tf_static"]
        for t in m.transforms
    }
    assert set(mounts) == {("base_link", "camera_link"), ("camera_link", frame)}

    color, depth, info = got[COLOR][-1], got[DEPTH][-1], got[INFO][-1]
    assert (color.encoding, color.step, len(color.data)) == ("rgb8", 480, 480 * 120)
    assert (depth.encoding, depth.step, len(depth.data)) == ("16UC1", 320, 320 * 120)
    assert (color.width, color.height, info.width, info.height) == (160, 120, 160, 120)
    assert depth.is_bigendian == color.is_bigendian == 0
    assert info.distortion_model == "plumb_bob"
    assert not any(info.d)

    # The depth image, taken through camera matrix and transforms, shows the floor at z = 0.
    millimetres = np.frombuffer(depth.data, "<u2").reshape(120, 160)
    row, column = np.nonzero(millimetres)
    z = millimetres[row, column] / 1000.0
    fx, fy, cx, cy = info.k[0], info.k[4], info.k[2], info.k[5]
    points = np.stack([(column - cx) / fx * z, (row - cy) / fy * z, z, np.ones_like(z)])
    mount = mounts["base_link", "camera_link"] @ mounts["camera_link", frame]
    pose = matrix_of(moves[stamps["/tf"].index(stamp_of(depth.header))])
    height = (pose @ mount @ points)[2]
    assert height.min() > -0.35
    assert (np.abs(height) < 0.05).mean() > 0.05

    # The true labels lie on it.
    cloud = got[TRUTH][-1]
    assert [f.name for f in cloud.fields] == ["x", "y", "z", "label"]
    truth = np.frombuffer(cloud.data, [("xyz", "<f4", 3), ("label", "<u4")])
    assert len(truth) == cloud.width == cloud.row_step // cloud.point_step
    floor = truth["xyz"][truth["label"] == CLASSES.index("floor")]
    pose = matrix_of(moves[stamps["/tf"].index(stamp_of(cloud.header))])
    in_odom = (pose @ mount)[:3] @ np.concatenate([floor, np.ones((len(floor), 1))], axis=1).T
    assert len(floor) > 20
    assert np.median(np.abs(in_odom[2])) < 0.03


def test_a_wrong_parameter_is_refused_by_name(ros_context):
    from rclpy.exceptions import InvalidParameterValueException
    from rclpy.parameter import Parameter

    from concerto_ros.ros.tools.simulated_robot import SimulatedRobot

    with pytest.raises(InvalidParameterValueException, match="rate"):
        SimulatedRobot(context=ros_context, parameter_overrides=[Parameter("rate", value=0.0)])
