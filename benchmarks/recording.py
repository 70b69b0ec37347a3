# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A recording of a simulated robot that drives through a room, for programs that play one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from scipy.spatial.transform import Rotation

from concerto_ros.bags.messages import type_store
from concerto_ros.bags.writer import VERSION
from concerto_ros.sim import RgbdCamera, Room, camera_pose, drive

#: Seconds: longer than the window of the map, so that beginning again is a restart.
SECONDS = 20.0

#: Images a second, and their size.
RATE, WIDTH, HEIGHT = 10.0, 160, 120

START_NS = 1_700_000_000_000_000_000

ODOM, CAMERA = "odom", "camera_color_optical_frame"


def record_drive(path: Path, seconds: float = SECONDS) -> Path:
    """Write an MCAP bag of colour, depth, camera_info and transforms; returns ``path``.

    Args:
        path: the folder of the new bag.
        seconds: how long the robot drives.
    """
    store, connections = type_store(), {}
    with Writer(path, version=VERSION, storage_plugin=StoragePlugin.MCAP) as writer:
        for topic, time, message in _messages(store.types, seconds):
            kind = message.__msgtype__
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=store)
            writer.write(connections[topic], time, bytes(store.serialize_cdr(message, kind)))
    return path


def _messages(types: dict[str, Any], seconds: float) -> Iterator[tuple[str, int, Any]]:
    room, camera = Room(0), RgbdCamera(WIDTH, HEIGHT)
    poses = drive(room, RATE)
    header, stamp = types["std_msgs/msg/Header"], types["builtin_interfaces/msg/Time"]
    image_of = types["sensor_msgs/msg/Image"]
    for number in range(round(seconds * RATE)):
        time = START_NS + round(number / RATE * 1e9)
        at = stamp(*divmod(time, 1_000_000_000))
        pose = camera_pose(next(poses))
        image = camera.render(room, pose)
        yield "/tf", time, _transform(types, pose, header(at, ODOM))
        head = header(at, CAMERA)
        yield "/camera/color/camera_info", time, _camera_info(types, camera, head)
        color, depth = image.color, np.rint(image.depth * 1000).astype("<u2")
        for name, encoding, pixels in (
            ("color", "rgb8", color),
            ("aligned_depth_to_color", "16UC1", depth),
        ):
            data = np.ascontiguousarray(pixels).view(np.uint8).ravel()
            message = image_of(head, HEIGHT, WIDTH, encoding, 0, len(data) // HEIGHT, data)
            yield f"/camera/{name}/image_raw", time, message


def _transform(types: dict[str, Any], pose: np.ndarray, header: Any) -> Any:
    vector, quaternion = types["geometry_msgs/msg/Vector3"], types["geometry_msgs/msg/Quaternion"]
    turn = Rotation.from_matrix(pose[:3, :3]).as_quat()
    transform = types["geometry_msgs/msg/Transform"](vector(*pose[:3, 3]), quaternion(*turn))
    stamped = types["geometry_msgs/msg/TransformStamped"](header, CAMERA, transform)
    return types["tf2_msgs/msg/TFMessage"]([stamped])


def _camera_info(types: dict[str, Any], camera: RgbdCamera, header: Any) -> Any:
    matrix = np.asarray(camera.matrix, np.float64)
    projection = np.hstack([matrix, np.zeros((3, 1))]).ravel()
    region = types["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
    return types["sensor_msgs/msg/CameraInfo"](
        header,
        HEIGHT,
        WIDTH,
        "plumb_bob",
        np.zeros(5),
        matrix.ravel(),
        np.eye(3).ravel(),
        projection,
        0,
        0,
        region,
    )
