# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Free-space clearing: voxels left of a person who walked away, and voxels lost of the room.

``python -m benchmarks.free_space [rooms]`` prints a table for a camera and for a LiDAR that drive
through simulated rooms. A person stands two metres in front of the robot for two seconds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import numpy as np
import open3d as o3d

from concerto_ros.mapping.voxel_grid import pack, unpack
from concerto_ros.mapping.voxel_map import VoxelMap
from concerto_ros.sensors.camera_model import CameraModel
from concerto_ros.sensors.frame import Frame
from concerto_ros.sensors.free_space import DepthView, ScanView
from concerto_ros.sim import CLASSES, RgbdCamera, Room, camera_pose, trajectory

RATE, SECONDS, STAYS = 5.0, 8.0, 2.0
VOXEL_SIZE = 0.04
CLEAR_AFTER = (0, 1, 2, 3)
SENSORS = ("camera", "lidar")

#: Rings of the LiDAR in degrees, readings along each, and its noise in metres.
RINGS, ALONG, RANGE_NOISE = np.linspace(-15, 15, 32), 1800, 0.02


LIDAR_MOUNT = np.eye(4)
LIDAR_MOUNT[2, 3] = 0.6


def person_scene(position: np.ndarray) -> o3d.t.geometry.RaycastingScene:
    """Legs, a trunk and a head of 1.75 m, standing at ``position`` (2,)."""
    scene = o3d.t.geometry.RaycastingScene()
    for radius, low, high, side in (
        (0.08, 0.0, 0.85, 0.12),
        (0.08, 0.0, 0.85, -0.12),
        (0.2, 0.85, 1.5, 0.0),
        (0.11, 1.5, 1.75, 0.0),
    ):
        part = o3d.t.geometry.TriangleMesh.create_cylinder(radius, high - low)
        part.translate([position[0], position[1] + side, (low + high) / 2])
        scene.add_triangles(part)
    return scene


class Sensor:
    """Frames of a camera or a LiDAR in a room in which a person may stand."""

    def __init__(self, sensor: str, room: Room, seed: int):
        self.sensor = sensor
        self._room = room
        self._rng = np.random.default_rng(seed)
        self._camera = RgbdCamera(320, 240)
        focal, (cx, cy) = self._camera.focal, self._camera.center
        self._model = CameraModel(focal, focal, cx, cy, 320, 240)
        azimuth, elevation = np.meshgrid(
            np.linspace(-np.pi, np.pi, ALONG, endpoint=False), np.radians(RINGS)
        )
        self._rays = np.stack(
            [
                np.cos(elevation) * np.cos(azimuth),
                np.cos(elevation) * np.sin(azimuth),
                np.sin(elevation),
            ],
            axis=-1,
        ).reshape(-1, 3)

    def see(self, base: np.ndarray, person, stamp: int) -> tuple[Frame, np.ndarray, np.ndarray]:
        """A frame in room coordinates; per point its class and whether it is on the person."""
        if self.sensor == "lidar":
            pose, rays = (
                base @ LIDAR_MOUNT,
                self._rays,
            )
        else:
            pose, rays = camera_pose(base), self._camera.rays().reshape(-1, 3)
        distance, label, of_person, slant = self._cast(pose, rays.astype(np.float32), person)
        if self.sensor == "lidar":
            distance += RANGE_NOISE * self._rng.standard_normal(len(distance)).astype(np.float32)
            seen = np.isfinite(distance)
            points = (rays * distance[:, None])[seen].astype(np.float32)
            view = ScanView(points)
        else:
            shape = (240, 320)
            depth = np.where(np.isfinite(distance), distance, 0).reshape(shape)
            depth = self._camera.noise.depth(
                depth.astype(np.float32), slant.reshape(shape), self._camera.focal, self._rng
            )
            seen = depth.ravel() > 0
            points = (rays * depth.reshape(-1, 1))[seen].astype(np.float32)
            view = DepthView(self._model, np.where(depth > 0, depth, np.nan).astype(np.float32))
        frame = Frame(points, stamp, "sensor", view=view)
        return frame.transformed(pose[:3, :3], pose[:3, 3], "room"), label[seen], of_person[seen]

    def _cast(self, pose, rays, person):
        rays = rays @ pose[:3, :3].T.astype(np.float32)
        origin = pose[:3, 3].astype(np.float32)
        hits = self._room.cast(origin, rays)
        slant = np.abs(np.einsum("ij,ij->i", self._room.normals(hits), rays))
        slant /= np.linalg.norm(rays, axis=1)
        distance, label = hits.distance.copy(), self._room.labels(hits)
        of_person = np.zeros(len(rays), bool)
        if person is not None:
            both = np.concatenate([np.broadcast_to(origin, rays.shape), rays], axis=1)
            hit = person.cast_rays(o3d.core.Tensor(np.ascontiguousarray(both)))
            of_person = hit["t_hit"].numpy() < distance
            distance[of_person] = hit["t_hit"].numpy()[of_person]
            slant[of_person] = 1.0
        return distance, label, of_person, slant


def surfaces(room: Room) -> o3d.t.geometry.RaycastingScene:
    """The room's mesh, to measure distances from it."""
    scene = o3d.t.geometry.RaycastingScene()
    corners = np.ascontiguousarray(room.mesh.corners.reshape(-1, 3), np.float32)
    triangles = np.arange(len(corners), dtype=np.uint32).reshape(-1, 3)
    scene.add_triangles(o3d.core.Tensor(corners), o3d.core.Tensor(triangles))
    return scene


def drive(
    kind: str, room: Room, seed: int
) -> Iterator[tuple[Frame, np.ndarray, np.ndarray, np.ndarray]]:
    """Frames, classes, whether points are on the person, and positions of the robot."""
    poses = trajectory(room, SECONDS, RATE, seed)
    # The robot waits while the person is there, then drives away.
    poses = np.concatenate([np.repeat(poses[:1], int(STAYS * RATE), axis=0), poses])
    sensor = Sensor(kind, room, seed)
    person = person_scene((poses[0] @ [2.0, 0.0, 0.0, 1.0])[:2])
    for number, base in enumerate(poses):
        visible = person if number < STAYS * RATE else None
        yield *sensor.see(base, visible, round(number / RATE * 1e9)), base[:3, 3]


class Trial:
    """One map, and counts of the voxels that were added to it and are left."""

    def __init__(self, clear_after: int):
        self.clear_after = clear_after
        self.milliseconds: list[float] = []
        self.left: dict[str, list[int]] = {"1 s": [0, 0], "end": [0, 0]}
        self.room = np.zeros((len(CLASSES), 2), int)

    def run(self, frames, room: o3d.t.geometry.RaycastingScene) -> None:
        voxels = VoxelMap(
            VOXEL_SIZE, window_seconds=60.0, max_voxels=300_000, clear_after=self.clear_after
        )
        of_person_keys, room_keys = np.zeros(0, np.int64), np.zeros((0, 2), np.int64)
        for number, (frame, label, of_person, robot) in enumerate(frames):
            start = time.thread_time()
            voxels.insert(frame, robot)
            self.milliseconds.append(1e3 * (time.thread_time() - start))
            keys = pack(np.floor(frame.points.astype(np.float64) / VOXEL_SIZE))
            of_person_keys = np.union1d(of_person_keys, keys[of_person])
            known = ~of_person & (label < 255)
            both = np.stack([keys[known], label[known]], axis=1)
            room_keys = np.unique(np.concatenate([room_keys, both]), axis=0)
            if number == int((STAYS + 1) * RATE):
                self._count("1 s", voxels, np.setdiff1d(of_person_keys, room_keys[:, 0]))
        self._count("end", voxels, np.setdiff1d(of_person_keys, room_keys[:, 0]))
        held = voxels.snapshot().keys
        # Points in mid-air, measured across the edge of two surfaces, do not belong to the room.
        centres = np.float32((unpack(room_keys[:, 0]) + 0.5) * VOXEL_SIZE)
        off = room.compute_distance(o3d.core.Tensor(centres)).numpy()
        room_keys = room_keys[off < VOXEL_SIZE]
        for label in range(len(CLASSES)):
            mine = np.unique(room_keys[room_keys[:, 1] == label, 0])
            self.room[label] += (len(mine), len(mine) - np.isin(mine, held).sum())

    def _count(self, when: str, voxels: VoxelMap, keys: np.ndarray) -> None:
        held = voxels.snapshot().keys
        self.left[when][0] += len(keys)
        self.left[when][1] += int(np.isin(keys, held).sum())

    def row(self) -> str:
        gone = [f"{100 * left / max(all_, 1):>10.1f} %" for all_, left in self.left.values()]
        eaten = 100 * self.room[:, 1].sum() / self.room[:, 0].sum()
        worst = 100 * self.room[:, 1] / np.maximum(self.room[:, 0], 1)
        return (
            f"{self.clear_after:>12}{''.join(gone)}{eaten:>10.2f} %"
            f"   {CLASSES[worst.argmax()]:<10}{worst.max():>6.2f} %"
            f"{np.median(self.milliseconds):>10.1f} ms"
        )


def main(rooms: int = 3) -> None:
    """Print the tables."""
    for kind in SENSORS:
        trials = [Trial(clear_after) for clear_after in CLEAR_AFTER]
        for seed in range(rooms):
            room = Room(seed)
            frames = list(drive(kind, room, seed))
            for trial in trials:
                trial.run(frames, surfaces(room))
        print(
            f"{kind}, {rooms} rooms; voxels of the person that remain, voxels of the room that"
            " were lost"
        )
        print(" clear_after   after 1 s      at end    lost      most of it            insert")
        for trial in trials:
            print(trial.row(), flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
