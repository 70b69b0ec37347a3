# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Publishes what a sensor sees in a room until interrupted: ``python -m benchmarks.feed cloud``.

``cloud``: 65,000 points at 10 Hz on ``/feed/points``; ``rgbd``: 640x480 at 30 Hz on
``/feed/color``, ``/feed/depth`` and ``/feed/info``. The sensor stands still in the fixed frame.
The number of messages sent is written to the file ``--count`` at the end.
"""

from __future__ import annotations

import contextlib
import sys
from array import array
from pathlib import Path

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField

from benchmarks.intake import Sensors
from concerto_ros.ros.middleware.fastdds_profile import use_transport_profile

FRAME = "odom"
RATES = {"cloud": 10.0, "rgbd": 30.0}


class Feed(Node):
    """Publishes the same measurement repeatedly, each time with the current stamp."""

    def __init__(self, sensor: str):
        super().__init__("feed")
        sensors = Sensors()
        if sensor == "cloud":
            self._messages = {"points": _cloud(sensors.cloud())}
        else:
            color, depth, info = sensors.pair()
            self._messages = {"color": _image(color), "depth": _image(depth), "info": _info(info)}
        self._outputs = {
            name: self.create_publisher(type(message), f"/feed/{name}", 2)
            for name, message in self._messages.items()
        }
        self.sent = 0
        self.create_timer(1.0 / RATES[sensor], self._tick)

    def _tick(self) -> None:
        stamp = self.get_clock().now().to_msg()
        for name, message in self._messages.items():
            message.header.stamp, message.header.frame_id = stamp, FRAME
            self._outputs[name].publish(message)
        self.sent += 1


def _cloud(plain) -> PointCloud2:
    return PointCloud2(
        height=plain.height,
        width=plain.width,
        fields=[PointField(**vars(field)) for field in plain.fields],
        point_step=plain.point_step,
        row_step=plain.row_step,
        data=array("B", plain.data.tobytes()),
    )


def _image(plain) -> Image:
    return Image(
        height=plain.height,
        width=plain.width,
        encoding=plain.encoding,
        step=plain.step,
        data=array("B", plain.data.tobytes()),
    )


def _info(plain) -> CameraInfo:
    return CameraInfo(
        width=plain.width,
        height=plain.height,
        distortion_model=plain.distortion_model,
        d=plain.d,
        k=[float(value) for value in plain.k],
        r=[float(value) for value in plain.r],
        p=[float(value) for value in plain.p],
    )


def main() -> None:
    use_transport_profile()
    rclpy.init()
    feed = Feed(sys.argv[1])
    with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(feed)
    if sys.argv[2:3] == ["--count"]:
        Path(sys.argv[3]).write_text(str(feed.sent))


if __name__ == "__main__":
    main()
