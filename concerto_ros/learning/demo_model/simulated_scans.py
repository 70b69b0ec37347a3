# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Labelled scans of simulated rooms by RGB-D cameras and LiDARs, with sensor errors.

There are five scans of each room: three single RGB-D views, one accumulated from several views,
and one of a LiDAR. They are fused by the same voxel map and get the same normals as on the robot.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from concerto_ros.learning.data.batch import majority
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.mapping.voxel_grid import grid_sample
from concerto_ros.mapping.voxel_map import VoxelMap
from concerto_ros.sensors.frame import Frame
from concerto_ros.sensors.normals import neighbourhood_normals, organised_normals
from concerto_ros.sim import CLASSES, RgbdCamera, Room, SensorNoise, look_at
from concerto_ros.sim.library import FurnitureLibrary
from concerto_ros.sim.mesh import rotation_about
from concerto_ros.sim.rooms.room_types import KINDS

#: Voxel size of the scans, metres: finer than the model's grid, so that a rotated or translated
#: scan occupies other voxels.
SPACING = 0.02
#: Voxel size for fitted normals, metres: the model's.
FIT_SPACING = 0.04
#: Number of single views, and of all scans, of each room.
VIEWS, SCANS = 3, 5
_HOME_SHARE = 0.2
_STRUCTURE = tuple(CLASSES.index(name) for name in ("floor", "wall", "ceiling", "other"))


def room_of(seed: int, furniture: FurnitureLibrary | None = None) -> Room:
    """The room of a seed: a home with a probability of 0.2, else of another room type."""
    rng = np.random.default_rng((seed, 1))
    # A flat and an office contain more classes than a corridor.
    type_weights = {"office": 3, "flat": 2, "meeting": 2, "kitchen": 2, "bedroom": 2, "lounge": 2}
    weights = np.array([type_weights.get(kind, 1) for kind in KINDS], float)
    kind = str(rng.choice(list(KINDS), p=weights / weights.sum()))
    return Room(seed, "home" if rng.random() < _HOME_SHARE else kind, furniture)


def scans_of(seed: int, furniture: FurnitureLibrary | None = None) -> list[Scan]:
    """The scans of the room of ``seed``; equal seeds give equal scans, bit for bit."""
    room, rng = room_of(seed, furniture), np.random.default_rng((seed, 2))
    scans = [
        _camera_scan(f"room{seed}-{room.kind}-view{i}", room, rng, frames=1) for i in range(VIEWS)
    ]
    frames = int(rng.integers(3, 11))
    scans.append(_camera_scan(f"room{seed}-{room.kind}-views", room, rng, frames=frames))
    scans.append(_lidar_scan(f"room{seed}-{room.kind}-lidar", room, rng))
    return scans


@dataclass(frozen=True)
class _Capture:
    """One sensor reading in the room's frame, with the ground-truth label of each point."""

    frame: Frame
    labels: np.ndarray


def _camera_scan(name: str, room: Room, rng: np.random.Generator, frames: int) -> Scan:
    """A scan by a hand-held camera or one on a robot: one view, or several along a sweep."""
    size = (640, 480) if frames == 1 else (320, 240)
    camera = RgbdCamera(
        *size,
        horizontal_fov=rng.uniform(1.0, 1.55),
        noise=SensorNoise(
            min_range=rng.uniform(0.25, 0.6),
            max_range=rng.uniform(4.0, 9.0),
            disparity_step=rng.uniform(0.0018, 0.0036),
            disparity_sigma=rng.uniform(0.3, 0.9),
            # A time-of-flight or stereo camera has nearly no shadow of a projector.
            baseline=rng.choice([0.002, 0.075, 0.075]),
            grazing=rng.uniform(0.05, 0.2),
            edge=rng.uniform(0.1, 0.5),
            color_sigma=rng.uniform(1.0, 8.0),
        ),
    )
    organised = rng.random() < 0.6
    eye, target = _viewpoint(room, rng)
    sweep = rng.uniform(0.15, 0.9) * rng.choice([-1, 1])
    looseness = rng.choice([0.5, 1.0, 3.0])
    appearance = _CameraAppearance(rng)
    captures: list[_Capture] = []
    registration_error = np.eye(4)
    for i in range(frames):
        offset = target - eye
        rotated_target = rotation_about("z", sweep * i) @ offset + eye
        pose = look_at(eye + rng.normal(0, 0.1, 3) * (frames > 1), rotated_target)
        roll = rotation_about("z", rng.normal(0.0, 0.07))
        pose[:3, :3] = pose[:3, :3] @ roll
        capture = _camera_capture(camera, room, pose, rng, appearance, organised, i)
        if capture is not None:
            captures.append(capture)
        if i == 0 or rng.random() < 0.3:
            registration_error = np.eye(4)
        if i:
            registration_error = registration_error @ _small_motion(
                rng, 0.003 * looseness, 0.002 * looseness
            )
            if capture is not None:
                rotation, shift = registration_error[:3, :3], registration_error[:3, 3]
                captures[-1] = _Capture(
                    capture.frame.transformed(rotation, shift, "map"), capture.labels
                )
    if not captures:  # every view is of a wall nearer than the camera's minimum range
        return _lidar_scan(name, room, rng)
    return _fused_scan(name, captures, rng)


class _CameraAppearance:
    """Exposure, white balance and invisible materials of a camera, constant within a scan."""

    def __init__(self, rng: np.random.Generator):
        # Auto-exposure: the mean of the image becomes this grey.
        self.mean = rng.uniform(0.28, 0.58)
        self.tint = rng.uniform(0.9, 1.1, 3)
        self.exposure: float | None = None
        self.gamma = rng.uniform(0.75, 1.3)
        self.dark = rng.choice([0.0, 15.0, 30.0, 45.0])
        self.bright_lost = rng.random() < 0.5
        self.screens_lost = rng.random() < 0.35

    def expose(self, color: np.ndarray) -> np.ndarray:
        """Colours as this camera records them, (N, 3) uint8; the first image sets the exposure."""
        value = (color.astype(np.float32) / 255) ** np.float32(self.gamma)
        if self.exposure is None:
            self.exposure = float(np.clip(self.mean / value.mean(), 0.5, 2.5))
        value *= np.float32(255 * self.exposure) * self.tint.astype(np.float32)
        return np.minimum(value, 255).astype(np.uint8)

    def lost(self, color: np.ndarray, label: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Pixels without a depth reading, (H, W) bool: dark material, windows, shiny screens."""
        patchy = rng.random((color.shape[0] // 8 + 1, color.shape[1] // 8 + 1))
        patchy = patchy.repeat(8, 0).repeat(8, 1)[: color.shape[0], : color.shape[1]]
        red, green, blue = (color[..., i] for i in range(3))  # faster than along the last axis
        lost = (np.maximum(np.maximum(red, green), blue) < self.dark) & (patchy < 0.6)
        if self.bright_lost:
            bright = np.minimum(np.minimum(red, green), blue) > 248
            lost |= bright & (label == CLASSES.index("wall"))
        if self.screens_lost:
            lost |= (label == CLASSES.index("screen")) & (patchy < 0.5)
        return lost


def _camera_capture(
    camera: RgbdCamera,
    room: Room,
    pose: np.ndarray,
    rng: np.random.Generator,
    appearance: _CameraAppearance,
    organised: bool,
    stamp: int,
) -> _Capture | None:
    """One view from ``pose`` (4, 4); None if it has too few readings."""
    image = camera.render(room, pose, rng)
    depth = np.where(appearance.lost(image.color, image.label, rng), 0, image.depth)
    seen = depth > 0
    if seen.sum() < 500:
        return None
    local = camera.rays() * depth[..., None]
    normals = None
    if organised:
        normals = organised_normals(np.where(seen[..., None], local, np.nan))[seen]
    frame = Frame(
        local[seen].astype(np.float32),
        stamp,
        "camera",
        colors=appearance.expose(image.color[seen]),
        normals=normals,
    )
    return _Capture(frame.transformed(pose[:3, :3], pose[:3, 3], "map"), image.label[seen])


def _lidar_scan(name: str, room: Room, rng: np.random.Generator) -> Scan:
    """A scan of one to three sweeps of a spinning LiDAR of 16 to 128 rings."""
    rings = int(rng.choice([16, 32, 64, 128]))
    reach = rng.choice([0.26, 0.39, 0.39, 0.78])
    elevation = np.linspace(-reach, reach, rings) + rng.normal(0, 0.03)
    columns = int(rng.choice([512, 1024]))
    azimuth = np.arange(columns) * 2 * np.pi / columns
    lift, turn = np.meshgrid(elevation, azimuth, indexing="ij")
    rays = np.stack([np.cos(lift) * np.cos(turn), np.cos(lift) * np.sin(turn), np.sin(lift)], -1)
    rays = rays.reshape(-1, 3).astype(np.float32)
    eye = _standpoint(room, rng, rng.uniform(0.25, 1.8))
    sigma = rng.uniform(0.004, 0.03)
    captures: list[_Capture] = []
    for i in range(int(rng.choice([1, 1, 2, 3]))):
        tilt = rotation_about("x", rng.normal(0, 0.03)) @ rotation_about("y", rng.normal(0, 0.03))
        directions = rays @ tilt.T.astype(np.float32)
        origin = (eye + rng.normal(0, 0.15, 3) * (i > 0)).astype(np.float32)
        hits = room.cast(origin, directions)
        use = hits.hit & (hits.distance > 0.3) & (rng.random(len(rays)) < 0.97)
        distance = hits.distance + rng.normal(0, sigma, len(rays)).astype(np.float32)
        points = origin + directions[use] * distance[use, None]
        frame = Frame(points.astype(np.float32), i, "map", origin=origin.astype(np.float64))
        captures.append(_Capture(frame, room.labels(hits)[use]))
    return _fused_scan(name, captures, rng)


def _fused_scan(name: str, captures: list[_Capture], rng: np.random.Generator) -> Scan:
    """Fuse captures in a voxel map as on the robot, then tilt: real maps are not exactly level."""
    voxels = VoxelMap(SPACING, window_seconds=60.0, max_voxels=1 << 19)
    for capture in captures:
        voxels.insert(capture.frame, capture.frame.origin)
    snapshot = voxels.snapshot()
    points = np.concatenate([capture.frame.points for capture in captures])
    ground_truth = np.concatenate([capture.labels for capture in captures])
    labels = majority(snapshot.rows_of(points), ground_truth, len(snapshot)).astype(np.uint8)
    normals = snapshot.normals
    if not normals.any():
        normals = _fitted_normals(snapshot.points, snapshot.sensor_directions)
    degrees = rng.choice([0.4, 2.0, 7.0], p=[0.6, 0.3, 0.1])
    tilt = _small_motion(rng, 0.0, np.radians(degrees))[:3, :3].astype(np.float32)
    return Scan(
        name,
        snapshot.points @ tilt.T,
        labels,
        snapshot.colors.round().astype(np.uint8) if snapshot.has_color.any() else None,
        normals @ tilt.T,
    )


def _fitted_normals(points: np.ndarray, sensor_direction: np.ndarray) -> np.ndarray:
    """Normals fitted as in the node: to the voxels of the model's grid, facing the sensors."""
    coarse = grid_sample(points, FIT_SPACING, normals=sensor_direction, inverse=True)
    assert coarse.normal is not None and coarse.inverse is not None  # both were asked for
    means = (coarse.index + coarse.fraction / coarse.count[:, None]) * FIT_SPACING
    return neighbourhood_normals(means, coarse.normal)[coarse.inverse]


def _small_motion(rng: np.random.Generator, metres: float, radians: float) -> np.ndarray:
    """A rigid motion (4, 4) with normally distributed translation and rotation about all axes."""
    motion = np.eye(4)
    for axis in "xyz":
        motion[:3, :3] = motion[:3, :3] @ rotation_about(axis, rng.normal(0, radians))
    motion[:3, 3] = rng.normal(0, metres, 3)
    return motion


def _standpoint(room: Room, rng: np.random.Generator, height: float) -> np.ndarray:
    """A position in the room at ``height`` with at least 0.22 m of free space around it."""
    ball = rng.normal(size=(48, 3))
    ball /= np.linalg.norm(ball, axis=1, keepdims=True)
    half = np.array([room.plan.width, room.plan.depth]) / 2 - 0.25
    eye = np.array([0.0, 0.0, height])
    for _ in range(60):
        eye = np.array([*rng.uniform(-half, half), min(height, room.plan.height - 0.3)])
        if room.plan.contains(*eye[:2], *eye[:2]):
            hits = room.cast(eye.astype(np.float32), ball.astype(np.float32))
            if hits.hit.mean() > 0.9 and hits.distance.min() > 0.22:
                break
    return eye


def _viewpoint(room: Room, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Positions of a camera and of its target, mostly a piece of furniture; (3,) each."""
    height = rng.uniform(0.35, 1.9)
    eye = _standpoint(room, rng, height)
    present = [label for label in np.unique(room.mesh.label) if label not in _STRUCTURE]
    if rng.random() < 0.8 and present:
        label = rng.choice(present)
        centers = room.mesh.corners[room.mesh.label == label].mean(1)
        for _ in range(25):
            target = centers[rng.integers(len(centers))].astype(np.float64)
            ray = target - eye
            hits = room.cast(eye.astype(np.float32), ray[None].astype(np.float32))
            distance = float(np.linalg.norm(ray))
            steep = abs(ray[2]) > 0.9 * distance
            if 0.6 < distance < 5.0 and not steep and room.labels(hits)[0] == label:
                return eye, target + rng.normal(0, 0.15, 3)
            eye = _standpoint(room, rng, height)
    turn, lift = rng.uniform(0, 2 * np.pi), np.clip(rng.normal(-0.25, 0.3), -1.1, 0.7)
    return eye, eye + np.array([np.cos(turn), np.sin(turn), np.tan(lift)])
