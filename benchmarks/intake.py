# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Milliseconds from a message to voxels: decode, transform, insert, and normals by themselves.

A 65,000-point cloud and a 640x480 RGB-D pair of a simulated room, inserted again and again into a
map that already holds the place, as on a robot.
"""

from __future__ import annotations

import statistics
import time
from types import SimpleNamespace

import numpy as np

from concerto_ros.cloud.depth import depth_frame
from concerto_ros.cloud.frame import Frame
from concerto_ros.cloud.point_cloud2 import decode_point_cloud
from concerto_ros.cloud.voxel_map import VoxelMap
from concerto_ros.sim import RgbdCamera, Room, camera_pose, trajectory
from concerto_ros.stopwatch import Stopwatch

RUNS = 30
TURN = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
SHIFT = np.array([0.3, -0.2, 1.1])


def header(stamp: int) -> SimpleNamespace:
    return SimpleNamespace(
        frame_id="camera", stamp=SimpleNamespace(sec=stamp // 10**9, nanosec=stamp % 10**9)
    )


def cloud_message(points: np.ndarray, colors: np.ndarray, stamp: int) -> SimpleNamespace:
    records = np.zeros(len(points), [("xyz", "<f4", 3), ("rgb", "<u4")])
    records["xyz"] = points
    records["rgb"] = colors.astype(np.uint32) @ [1 << 16, 1 << 8, 1]
    return SimpleNamespace(
        header=header(stamp),
        height=1,
        width=len(points),
        fields=[
            SimpleNamespace(name=name, offset=4 * i, datatype=7, count=1)
            for i, name in enumerate(("x", "y", "z", "rgb"))
        ],
        is_bigendian=False,
        point_step=16,
        row_step=16 * len(points),
        data=records.view(np.uint8),
        is_dense=False,
    )


def image_message(pixels: np.ndarray, encoding: str, stamp: int) -> SimpleNamespace:
    height, width = pixels.shape[:2]
    return SimpleNamespace(
        header=header(stamp),
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=0,
        step=pixels.strides[0],
        data=pixels.view(np.uint8).reshape(-1),
    )


def info_message(camera: RgbdCamera, stamp: int) -> SimpleNamespace:
    k = [
        camera.focal,
        0,
        (camera.width - 1) / 2,
        0,
        camera.focal,
        (camera.height - 1) / 2,
        0,
        0,
        1,
    ]
    return SimpleNamespace(
        header=header(stamp),
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


def new_map() -> VoxelMap:
    return VoxelMap(0.02, window_seconds=10.0, radius=8.0, max_voxels=200_000)


def fuse(voxels: VoxelMap, frame: Frame, watch: Stopwatch) -> None:
    with watch("transform"):
        placed = frame.transformed(TURN, SHIFT, "odom")
    with watch("insert"):
        voxels.insert(placed, placed.origin)


def report(title: str, runs: list[dict[str, float]]) -> None:
    print(title)
    for stage in runs[0]:
        spent = [run[stage] for run in runs]
        print(f"  {stage:<12}{statistics.median(spent):8.1f} ms median{min(spent):8.1f} ms least")
    without = [sum(v for k, v in run.items() if k != "normals") for run in runs]
    print(f"  {'sum':<12}{statistics.median(without):8.1f} ms median{min(without):8.1f} ms least"
          "   (without normals)")  # fmt: skip


def main() -> None:
    room = Room(0)
    camera = RgbdCamera()
    pose = camera_pose(trajectory(room, 1.0)[0])
    image = camera.render(room, pose)
    depth = np.ascontiguousarray((image.depth * 1000).astype("<u2"))
    color = np.ascontiguousarray(image.color)
    info = info_message(camera, 1)

    seen = depth_frame(image_message(color, "rgb8", 1), image_message(depth, "16UC1", 1), info)
    pick = np.random.default_rng(0).choice(len(seen), 65_000, replace=False)
    cloud = cloud_message(seen.points[pick], seen.colors[pick], 1)

    voxels, runs = new_map(), []
    for _ in range(RUNS):
        watch = Stopwatch()
        with watch("decode"):
            frame = decode_point_cloud(cloud, min_range=0.2, max_range=8.0)
        fuse(voxels, frame, watch)
        runs.append(watch.milliseconds)
        time.sleep(0.01)
    report(f"PointCloud2, {len(frame)} points, {len(voxels)} voxels", runs[3:])

    voxels, runs = new_map(), []
    for _ in range(RUNS):
        watch = Stopwatch()
        frame = depth_frame(
            image_message(color, "rgb8", 1),
            image_message(depth, "16UC1", 1),
            info,
            min_range=0.2,
            max_range=8.0,
            watch=watch,
        )
        fuse(voxels, frame, watch)
        runs.append(watch.milliseconds)
        time.sleep(0.01)
    report(f"RGB-D 640x480, {len(frame)} points, {len(voxels)} voxels", runs[3:])


if __name__ == "__main__":
    main()
