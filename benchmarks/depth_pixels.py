# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What ``cameras.<name>.decimation`` changes: thin poles in the map, and labels of rooms.

``python -m benchmarks.depth_pixels [rooms]`` prints two tables. A camera of 640 x 480 looks for a
second at a pole before a wall 1.5 m farther away, and drives through simulated rooms.
"""

from __future__ import annotations

import sys
import time
from types import SimpleNamespace

import numpy as np
import open3d as o3d
import torch

from concerto_ros import SemanticPipeline
from concerto_ros.labels.confusion import Confusion
from concerto_ros.mapping.map_snapshot import MapSnapshot
from concerto_ros.mapping.voxel_map import VoxelMap
from concerto_ros.posed.as_messages import camera_info, color_message, depth_message
from concerto_ros.sensors.frame import Frame
from concerto_ros.sensors.images.depth_frame import depth_frame
from concerto_ros.settings.settings import Settings
from concerto_ros.sim import CLASSES, RgbdCamera, Room, SensorNoise, camera_pose, trajectory
from concerto_ros.sim.rooms.room_types import KINDS

DECIMATIONS = (1, 2, 3)
RATE, SECONDS = 5.0, 8.0
VOXEL_SIZE = 0.04
WIDTHS, DISTANCES, PLACES = (0.01, 0.02, 0.04), (1, 2, 3, 4, 5), 12
#: Metres: the wall behind the pole, and what counts of the pole above and below the camera.
BEHIND, ABOVE, BELOW = 1.5, 0.6, 0.9


def frame_of(
    camera: RgbdCamera, depth: np.ndarray, color: np.ndarray | None, number: int, decimation: int
) -> Frame:
    """One of the images that come at :data:`RATE`."""
    seconds, rest = divmod(number, int(RATE))
    stamp = SimpleNamespace(sec=1 + seconds, nanosec=int(rest / RATE * 1e9))
    header = SimpleNamespace(stamp=stamp, frame_id="camera")
    return depth_frame(
        None if color is None else color_message(color, header),
        depth_message(depth, header),
        camera_info(camera.matrix, depth.shape),
        min_range=0.2,
        max_range=8.0,
        decimation=decimation,
    )


def pole_images(
    camera: RgbdCamera, width: float, distance: float, side: float, noise: SensorNoise | None
) -> list[np.ndarray]:
    """Depth images of a pole, ``side`` metres from the middle, over the floor 1 m below."""
    rays, rng = camera.rays(), np.random.default_rng(int(1e6 * side) % 2**31)
    down = rays[..., 1]
    floor = np.divide(1.0, down, out=np.full(down.shape, np.inf), where=down > 0)
    depth = np.minimum(floor, distance + BEHIND)
    at = rays * distance
    pole = (np.abs(at[..., 0] - side) <= width / 2) & (at[..., 1] >= -ABOVE) & (at[..., 1] <= 1.0)
    slant = np.where(floor < depth + 1e-6, np.abs(down), 1.0) / np.linalg.norm(rays, axis=2)
    depth, slant = np.where(pole, distance, depth), np.where(pole, 1.0, slant)
    depth, slant = depth.astype(np.float32), slant.astype(np.float32)
    if noise is None:
        return [depth] * int(RATE)
    return [noise.depth(depth, slant, camera.focal, rng) for _ in range(int(RATE))]


def height_in_map(voxels: MapSnapshot, width: float, distance: float, side: float) -> float:
    """The share of the pole's height, as far as it is in the image, that has voxels."""
    x, y, z = voxels.points.T
    error = max(VOXEL_SIZE, 0.005 * distance**2)
    on_pole = (np.abs(x - side) <= width / 2 + VOXEL_SIZE) & (np.abs(z - distance) <= error)
    low, high = max(-ABOVE, -0.48 * distance), min(BELOW, 0.48 * distance)
    rows = np.unique(np.floor(y[on_pole & (y >= low) & (y <= high)] / VOXEL_SIZE))
    return min(1.0, len(rows) * VOXEL_SIZE / (high - low))


def poles() -> None:
    """Print how much of poles is in the map."""
    camera, rng = RgbdCamera(noise=False), np.random.default_rng(0)
    print("share of the height in the map, mean (least) %, with a Kinect's errors; without any")
    print("pole         " + "".join(f"{f'decimation {d}':>28}" for d in DECIMATIONS))
    for width in WIDTHS:
        for distance in DISTANCES:
            shares: dict[int, list[list[float]]] = {d: [[], []] for d in DECIMATIONS}
            for side in rng.uniform(-0.3, 0.3, PLACES):
                for column, noise in enumerate((SensorNoise(), None)):
                    images = pole_images(camera, width, distance, side, noise)
                    for decimation, found in shares.items():
                        voxels = VoxelMap(VOXEL_SIZE, window_seconds=10.0, max_voxels=200_000)
                        for number, image in enumerate(images):
                            frame = frame_of(camera, image, None, number, decimation)
                            voxels.insert(frame, np.zeros(3))
                        share = height_in_map(voxels.snapshot(), width, distance, side)
                        found[column].append(100 * share)
            cells = (
                "; ".join(f"{np.mean(each):.0f} ({min(each):.0f})" for each in found)
                for found in shares.values()
            )
            print(f"{100 * width:.0f} cm, {distance} m   " + "".join(f"{c:>28}" for c in cells))


def drives(rooms: int) -> None:
    """Print what is in the map after a drive, and how well it is labelled."""
    pipeline = SemanticPipeline.from_settings(Settings(voxel_size=VOXEL_SIZE))
    label_of = np.full(256, 255)
    for label, entry in enumerate(pipeline.labels.classes):
        if entry.name in CLASSES:
            label_of[label] = CLASSES.index(entry.name)
    rows: dict[int, list[tuple[float, ...]]] = {d: [] for d in DECIMATIONS}
    for number in range(rooms):
        kind = ("home", *KINDS)[number % (1 + len(KINDS))]
        room, camera = Room(1 + 2 * number, kind), RgbdCamera(seed=number)
        poses = [camera_pose(base) for base in trajectory(room, SECONDS, RATE, number)]
        images = [camera.render(room, pose) for pose in poses]
        surfaces = o3d.t.geometry.RaycastingScene()
        corners = room.mesh.corners.reshape(-1, 3).astype(np.float32)
        triangles = np.arange(len(corners), dtype=np.uint32).reshape(-1, 3)
        surfaces.add_triangles(o3d.core.Tensor(corners), o3d.core.Tensor(triangles))
        for decimation, results in rows.items():
            pipeline.clear()
            start = time.process_time()
            for index, (image, pose) in enumerate(zip(images, poses, strict=True)):
                frame = frame_of(camera, image.depth, image.color, index, decimation)
                placed = frame.transformed(pose[:3, :3], pose[:3, 3], "map")
                pipeline.insert(placed, pose[:3, 3])
            spent = (time.process_time() - start) / len(images) * 1e3
            voxels = pipeline.snapshot()
            found = label_of[pipeline.infer(voxels, ("labels",)).label]
            points = voxels.points.astype(np.float32)
            nearest = surfaces.compute_closest_points(o3d.core.Tensor(points))
            away = np.linalg.norm(nearest["points"].numpy() - points, axis=1)
            score = Confusion(len(CLASSES))
            score.add(found, room.mesh.label[nearest["primitive_ids"].numpy()].astype(np.int64))
            miou = score.iou[score.support > 0].mean()
            results.append((spent, len(voxels), miou, 100 * (away > VOXEL_SIZE).mean()))
    print(
        f"{rooms} rooms: CPU ms of an image, voxels, mIoU, % farther than a voxel from a surface"
    )
    for decimation, results in rows.items():
        spent, count, miou, stray = np.mean(results, axis=0)
        print(f"decimation {decimation}: {spent:.0f}, {count:.0f}, {miou:.3f}, {stray:.1f}")


def main() -> None:
    """Print both tables; the argument is the number of rooms."""
    torch.set_num_threads(1)
    poles()
    drives(int(sys.argv[1]) if len(sys.argv) > 1 else 3)


if __name__ == "__main__":
    main()
