# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Milliseconds from a message to voxels: decode, transform, insert.

A 65,000-point cloud and a 640x480 RGB-D pair of a simulated room, inserted repeatedly into a
map that already has voxels there, as on a robot.
"""

from __future__ import annotations

import time
from types import SimpleNamespace

import numpy as np

from concerto_ros.mapping.voxel_map import VoxelMap
from concerto_ros.sensors.camera_model import CameraCache
from concerto_ros.sensors.frame import Frame
from concerto_ros.sensors.images.depth_frame import depth_frame
from concerto_ros.sensors.point_cloud2 import decode_point_cloud
from concerto_ros.sim import RgbdCamera, Room, camera_pose, trajectory
from concerto_ros.stopwatch import Stopwatch

RUNS, WARM = 30, 3
POINTS = 65_000
VOXEL_SIZE = 0.04
TURN = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
SHIFT = np.array([0.3, -0.2, 1.1])


class Sensors:
    """What a camera and a LiDAR in a simulated room see, as messages with ROS' fields."""

    def __init__(self):
        room = Room(0)
        self.camera = RgbdCamera()
        image = self.camera.render(room, camera_pose(trajectory(room, 1.0)[0]))
        self.depth = np.ascontiguousarray((image.depth * 1000).astype("<u2"))
        self.color = np.ascontiguousarray(image.color)
        seen = depth_frame(*self.pair())
        pick = np.random.default_rng(0).choice(len(seen), POINTS, replace=False)
        self.points, self.colors = seen.points[pick], seen.colors[pick]

    def pair(self) -> tuple[SimpleNamespace, SimpleNamespace, SimpleNamespace]:
        """Colour, depth and camera_info."""
        info = camera_info(self.camera)
        return image_message(self.color, "rgb8"), image_message(self.depth, "16UC1"), info

    def cloud(self) -> SimpleNamespace:
        """The points as a PointCloud2 of x, y, z and rgb."""
        records = np.zeros(len(self.points), [("xyz", "<f4", 3), ("rgb", "<u4")])
        records["xyz"] = self.points
        records["rgb"] = self.colors.astype(np.uint32) @ [1 << 16, 1 << 8, 1]
        return SimpleNamespace(
            header=header(),
            height=1,
            width=len(self.points),
            fields=[
                SimpleNamespace(name=name, offset=4 * i, datatype=7, count=1)
                for i, name in enumerate(("x", "y", "z", "rgb"))
            ],
            is_bigendian=False,
            point_step=16,
            row_step=16 * len(self.points),
            data=records.view(np.uint8),
            is_dense=False,
        )


def header() -> SimpleNamespace:
    return SimpleNamespace(frame_id="camera", stamp=SimpleNamespace(sec=0, nanosec=1))


def image_message(pixels: np.ndarray, encoding: str) -> SimpleNamespace:
    height, width = pixels.shape[:2]
    return SimpleNamespace(
        header=header(),
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=0,
        step=pixels.strides[0],
        data=pixels.view(np.uint8).reshape(-1),
    )


def camera_info(camera: RgbdCamera) -> SimpleNamespace:
    k = camera.matrix.ravel().tolist()
    return SimpleNamespace(
        header=header(),
        width=camera.width,
        height=camera.height,
        distortion_model="plumb_bob",
        d=[0.0] * 5,
        k=k,
        r=np.eye(3).ravel(),
        p=[*k[:3], 0, *k[3:6], 0, *k[6:], 0],
        binning_x=0,
        binning_y=0,
        roi=SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0, do_rectify=False),
    )


def measure() -> dict[str, list[dict[str, float]]]:
    """Milliseconds of each stage in each run, by input."""
    sensors = Sensors()
    cloud = sensors.cloud()

    def from_cloud(watch: Stopwatch) -> Frame:
        with watch("decode"):
            return decode_point_cloud(cloud, min_range=0.2, max_range=8.0)

    cameras = CameraCache()

    def from_pair(watch: Stopwatch) -> Frame:
        return depth_frame(
            *sensors.pair(), min_range=0.2, max_range=8.0,
            decimation=0, voxel_size=VOXEL_SIZE, cameras=cameras, watch=watch,
        )  # fmt: skip

    return {
        f"PointCloud2, {POINTS // 1000}k points": _runs(from_cloud),
        "RGB-D 640x480": _runs(from_pair),
    }


def _runs(decode) -> list[dict[str, float]]:
    voxels = VoxelMap(VOXEL_SIZE, window_seconds=10.0, radius=8.0, max_voxels=200_000)
    spent = []
    for _ in range(RUNS):
        watch = Stopwatch()
        frame = decode(watch)
        with watch("transform"):
            placed = frame.transformed(TURN, SHIFT, "odom")
        with watch("insert"):
            voxels.insert(placed, placed.origin)
        spent.append(watch.milliseconds)
        time.sleep(0.01)
    return spent[WARM:]
