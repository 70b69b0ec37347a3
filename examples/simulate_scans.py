# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Scan simulated rooms with a simulated RGB-D camera: labelled data for the other examples.

python examples/simulate_scans.py scans 0 1 2     writes scans/room_0.ply and so on: seeds of rooms
"""

import sys
from pathlib import Path

import numpy as np
import open3d as o3d

from concerto_ros.sim import CLASSES, RgbdCamera, Room, camera_pose, trajectory


def scan_room(seed: int, views: int = 8) -> o3d.t.geometry.PointCloud:
    """What a robot sees from ``views`` places along a drive, in the frame of the room."""
    room, camera = Room(seed), RgbdCamera(width=160, height=120)
    points, colors, labels = [], [], []
    for base_link in trajectory(room, seconds=5.0 * views, rate=0.2, seed=seed):
        pose = camera_pose(base_link)  # of the optical frame: z forward, x right, y down
        image = camera.render(room, pose)
        valid = image.depth > 0
        optical = camera.rays()[valid] * image.depth[valid, None]
        points.append(optical @ pose[:3, :3].T + pose[:3, 3])
        colors.append(image.color[valid])
        labels.append(image.label[valid])
    cloud = o3d.t.geometry.PointCloud(np.concatenate(points).astype(np.float32))
    cloud.point.colors = np.concatenate(colors)
    cloud.point.label = np.concatenate(labels)[:, None]
    return cloud


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "label_map.yaml").write_text(f"classes: [{', '.join(CLASSES)}]\n")
    for seed in map(int, sys.argv[2:]):
        cloud = scan_room(seed)
        o3d.t.io.write_point_cloud(str(folder / f"room_{seed}.ply"), cloud)
        print(f"{folder}/room_{seed}.ply: {len(cloud.point.positions)} points")
