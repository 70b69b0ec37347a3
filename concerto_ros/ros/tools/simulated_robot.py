# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""ROS 2 topics of a simulated robot that drives through a furnished room with an RGB-D camera.

It publishes what a real robot with a depth camera does (colour, camera_info, depth aligned to
colour, TF), and as ground truth the class of what the camera sees.
"""

from __future__ import annotations

import sys
from array import array
from typing import Any

import numpy as np
import rclpy
from builtin_interfaces.msg import Time
from geometry_msgs.msg import TransformStamped
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.task import Future
from rclpy.time import Time as RosTime
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField
from transforms3d.quaternions import mat2quat

from concerto_ros.ros.middleware.fastdds_profile import use_transport_profile
from concerto_ros.sim import RgbdCamera, RgbdImage, Room, camera_pose, drive
from concerto_ros.sim.trajectory import CAMERA_MOUNT, OPTICAL

ODOM = "odom"
BASE = "base_link"
CAMERA = "camera_link"
CAMERA_OPTICAL = "camera_color_optical_frame"

#: The drive is computed in steps of 1 / DRIVE_RATE seconds, independent of the rate of images.
DRIVE_RATE = 50.0
#: The robot drives no farther than in this time, even if the clock jumps ahead by more, seconds.
LONGEST_STEP = 5.0
#: The ground truth cloud has every n-th pixel of both axes.
GROUND_TRUTH_STRIDE = 4


class SimulatedRobot(Node):
    """Publishes an image of its camera and its pose at each tick of a timer.

    Topics: ``camera/color/image_raw`` (rgb8), ``camera/color/camera_info``,
    ``camera/aligned_depth_to_color/image_raw`` (16UC1, millimetres, REP-118), ``/tf`` (odom ->
    base_link), ``/tf_static`` (base_link -> camera_link -> camera_color_optical_frame) and, for
    subscribers only, ``ground_truth/labels`` (PointCloud2 of x, y, z and label, a position in
    ``concerto_ros.sim.CLASSES``). All have the same stamp, the time of the node's clock when the
    image was rendered; the transform is published first.

    The robot's position follows the clock, so its speed is right on a machine too slow for the
    rate as well.

    Args:
        node_arguments: Keyword arguments of ``rclpy.node.Node``.

    Attributes:
        done: A future with the number of images, complete when ``duration`` seconds are over.
    """

    def __init__(self, **node_arguments: Any):
        super().__init__("simulated_robot", **node_arguments)
        seed = self._integer(
            "seed", 0, "random seed of the room, the noise and the drive", 0, 2**31 - 1
        )
        rate = self._number("rate", 10.0, "images per second, Hz", 0.1, 60.0)
        width = self._integer("width", 640, "width of the images, pixels", 16, 1920)
        height = self._integer("height", 480, "height of the images, pixels", 16, 1200)
        duration = self._number(
            "duration", 0.0, "how long to drive, seconds; 0: until interrupted", 0.0, 86400.0
        )
        noise = self.declare_parameter(
            "noise",
            True,
            ParameterDescriptor(description="whether depth has the noise of a Kinect"),
        ).value
        self.done = Future()
        self._room = Room(seed)
        self._camera = RgbdCamera(width, height, noise=noise, seed=seed)
        self._poses = drive(self._room, DRIVE_RATE, seed)
        self._pose = next(self._poses)
        self._duration = duration
        self._images = 0
        self._elapsed = 0.0
        self._last: RosTime | None = None

        tf_message = _tf_message_type()
        self._color = self.create_publisher(Image, "camera/color/image_raw", 5)
        self._info = self.create_publisher(CameraInfo, "camera/color/camera_info", 5)
        self._depth = self.create_publisher(Image, "camera/aligned_depth_to_color/image_raw", 5)
        self._ground_truth_output = self.create_publisher(PointCloud2, "ground_truth/labels", 5)
        self._tf = self.create_publisher(tf_message, "/tf", 100)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._tf_static = self.create_publisher(tf_message, "/tf_static", latched)
        now = self.get_clock().now().to_msg()
        mounts = [
            _transform(CAMERA_MOUNT, BASE, CAMERA, now),
            _transform(OPTICAL, CAMERA, CAMERA_OPTICAL, now),
        ]
        self._tf_static.publish(tf_message(transforms=mounts))
        self._tf_message = tf_message
        self._timer = self.create_timer(1.0 / rate, self._tick)
        self.get_logger().info(
            f"room {seed}: {self._room.plan.width:.1f} x {self._room.plan.depth:.1f} m, "
            f"{len(self._room.mesh)} triangles; {width} x {height} at {rate:g} Hz"
        )

    def _tick(self) -> None:
        now = self.get_clock().now()
        self._advance(now)
        if self._duration and self._elapsed >= self._duration:
            self._finish()
            return
        stamp = now.to_msg()
        image = self._camera.render(self._room, camera_pose(self._pose))
        base_to_odom = _transform(self._pose, ODOM, BASE, stamp)
        self._tf.publish(self._tf_message(transforms=[base_to_odom]))
        self._info.publish(self._camera_info(stamp))
        self._color.publish(_image(image.color, "rgb8", stamp))
        millimetres = np.rint(image.depth * 1000.0).astype("<u2")
        self._depth.publish(_image(millimetres, "16UC1", stamp))
        if self._ground_truth_output.get_subscription_count():
            self._ground_truth_output.publish(self._ground_truth(image, stamp))
        self._images += 1

    def _advance(self, now: RosTime) -> None:
        """Drive until ``now``; the robot stands still while the clock goes back."""
        step = 0.0 if self._last is None else (now - self._last).nanoseconds * 1e-9
        self._last = now
        before = int(self._elapsed * DRIVE_RATE)
        self._elapsed += min(max(step, 0.0), LONGEST_STEP)
        for _ in range(int(self._elapsed * DRIVE_RATE) - before):
            self._pose = next(self._poses)

    def _finish(self) -> None:
        rate = self._images / self._elapsed
        self.get_logger().info(f"{self._images} images in {self._elapsed:.1f} s, {rate:.1f} Hz")
        self._timer.cancel()
        self.done.set_result(self._images)

    def _camera_info(self, stamp: Time) -> CameraInfo:
        matrix = self._camera.matrix
        info = CameraInfo(width=self._camera.width, height=self._camera.height)
        info.header.stamp, info.header.frame_id = stamp, CAMERA_OPTICAL
        info.distortion_model, info.d = "plumb_bob", [0.0] * 5
        info.k = matrix.ravel()
        info.r = np.eye(3).ravel()
        info.p = np.hstack([matrix, np.zeros((3, 1))]).ravel()
        return info

    def _ground_truth(self, image: RgbdImage, stamp: Time) -> PointCloud2:
        """A cloud with the true class of some pixels, at the depth that the camera measured."""
        pick = (slice(None, None, GROUND_TRUTH_STRIDE),) * 2
        depth, label = image.depth[pick], image.label[pick]
        row, column = np.nonzero(depth)
        z = depth[row, column]
        (x0, y0), focal = self._camera.center, self._camera.focal
        fields = [(name, "<f4") for name in "xyz"]
        points = np.zeros(len(z), np.dtype([*fields, ("label", "<u4")]))
        points["x"] = (column * GROUND_TRUTH_STRIDE - x0) / focal * z
        points["y"] = (row * GROUND_TRUTH_STRIDE - y0) / focal * z
        points["z"] = z
        points["label"] = label[row, column]
        cloud = PointCloud2(height=1, width=len(points), is_dense=True)
        cloud.header.stamp, cloud.header.frame_id = stamp, CAMERA_OPTICAL
        cloud.fields = [
            PointField(name=name, offset=4 * i, datatype=datatype, count=1)
            for i, (name, datatype) in enumerate(
                [(axis, PointField.FLOAT32) for axis in "xyz"] + [("label", PointField.UINT32)]
            )
        ]
        cloud.point_step, cloud.row_step = points.itemsize, points.nbytes
        cloud.data = array("B", points.tobytes())
        return cloud

    def _number(
        self, name: str, default: float, description: str, low: float, high: float
    ) -> float:
        descriptor = ParameterDescriptor(
            description=description,
            floating_point_range=[FloatingPointRange(from_value=low, to_value=high)],
        )
        return self.declare_parameter(name, default, descriptor).value

    def _integer(self, name: str, default: int, description: str, low: int, high: int) -> int:
        descriptor = ParameterDescriptor(
            description=description, integer_range=[IntegerRange(from_value=low, to_value=high)]
        )
        return self.declare_parameter(name, default, descriptor).value


def _tf_message_type() -> Any:
    try:
        from tf2_msgs.msg import TFMessage
    except ImportError as error:
        raise RuntimeError(
            "tf2_msgs is not installed: run `make setup` in the source tree, or source a ROS 2 "
            "installation that has it"
        ) from error
    return TFMessage


def _image(pixels: np.ndarray, encoding: str, stamp: Time) -> Image:
    message = Image(height=pixels.shape[0], width=pixels.shape[1], encoding=encoding)
    message.header.stamp, message.header.frame_id = stamp, CAMERA_OPTICAL
    message.step = pixels.strides[0]
    # rclpy checks each byte of a bytes object, but not those of an array.
    message.data = array("B", pixels.tobytes())
    return message


def _transform(pose: np.ndarray, parent: str, child: str, stamp: Time) -> TransformStamped:
    """The message of a (4, 4) ``pose`` of ``child`` in ``parent``."""
    message = TransformStamped(child_frame_id=child)
    message.header.stamp, message.header.frame_id = stamp, parent
    translation, rotation = message.transform.translation, message.transform.rotation
    translation.x, translation.y, translation.z = map(float, pose[:3, 3])
    rotation.w, rotation.x, rotation.y, rotation.z = map(float, mat2quat(pose[:3, :3]))
    return message


def main(args: list[str] | None = None) -> int:
    """Run the simulated robot until its duration is over or it is interrupted.

    Args:
        args: Command line with ROS arguments; None takes that of this process.

    Returns:
        The exit status, 0.
    """
    use_transport_profile()
    rclpy.init(args=args)
    try:
        robot = SimulatedRobot()
        rclpy.spin_until_future_complete(robot, robot.done)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
