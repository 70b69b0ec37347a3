# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Scans by RGB-D cameras of three kinds: single views, and several that are fused."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.learning.demo_model.sensing.appearance import CameraAppearance
from concerto_ros.learning.demo_model.sensing.capture import Capture, fused_scan, small_motion
from concerto_ros.learning.demo_model.sensing.lidars import lidar_captures
from concerto_ros.learning.demo_model.sensing.viewpoints import Viewpoint, across_the_room
from concerto_ros.sensors.frame import Frame
from concerto_ros.sensors.normals import organised_normals
from concerto_ros.sim import (
    RgbdCamera,
    Room,
    SensorNoise,
    StereoNoise,
    TimeOfFlightNoise,
    look_at,
)
from concerto_ros.sim.depth_noise import DepthNoise
from concerto_ros.sim.mesh import rotation_about

#: Probability of each kind of camera.
KINDS = {"structured light": 0.45, "time of flight": 0.25, "stereo": 0.3}
#: Width and height of the image of a single view, and of one of several.
SINGLE, FUSED = (640, 480), (320, 240)
#: A view with fewer readings is not used.
FEWEST_READINGS = 500

#: Chooses where a camera is and what it looks at.
Choice = Callable[[Room, np.random.Generator], Viewpoint]


def camera_scan(
    name: str,
    room: Room,
    rng: np.random.Generator,
    frames: int = 1,
    viewpoint: Choice = across_the_room,
) -> Scan:
    """A scan by a hand-held camera or one on a robot: one view, or several along a sweep."""
    captures = camera_captures(room, rng, frames, viewpoint)
    if not captures:  # every view is of a wall nearer than the camera's minimum range
        captures = lidar_captures(room, rng)
    return fused_scan(name, room, captures, rng)


def camera_captures(
    room: Room,
    rng: np.random.Generator,
    frames: int = 1,
    viewpoint: Choice = across_the_room,
) -> list[Capture]:
    """The views of such a scan; those with too few readings are left out."""
    camera = _Camera(rng, SINGLE if frames == 1 else FUSED)
    eye, target = viewpoint(room, rng)
    sweep = rng.uniform(0.15, 0.9) * rng.choice([-1, 1])
    looseness = rng.choice([0.5, 1.0, 3.0])
    captures: list[Capture] = []
    registration_error = np.eye(4)
    for i in range(frames):
        rotated_target = rotation_about("z", sweep * i) @ (target - eye) + eye
        pose = look_at(eye + rng.normal(0, 0.1, 3) * (frames > 1), rotated_target)
        roll = rotation_about("z", rng.normal(0.0, 0.07))
        pose[:3, :3] = pose[:3, :3] @ roll
        capture = camera.capture(room, pose, i, rng)
        if i == 0 or rng.random() < 0.3:
            registration_error = np.eye(4)
        if i:
            motion = small_motion(rng, 0.003 * looseness, 0.002 * looseness)
            registration_error = registration_error @ motion
        if capture is not None:
            rotation, shift = registration_error[:3, :3], registration_error[:3, 3]
            moved = capture.frame.transformed(rotation, shift, "map") if i else capture.frame
            captures.append(Capture(moved, capture.triangles))
    return captures


def _noise(kind: str, rng: np.random.Generator) -> DepthNoise:
    """The errors of a camera of a kind."""
    ranges = {"min_range": rng.uniform(0.25, 0.6), "max_range": rng.uniform(4.0, 9.0)}
    grazing, color_sigma = rng.uniform(0.05, 0.25), rng.uniform(1.0, 8.0)
    if kind == "time of flight":
        return TimeOfFlightNoise(
            **ranges,
            sigma=rng.uniform(0.001, 0.005),
            multipath=rng.uniform(0.0, 1.0),
            grazing=grazing,
            edge=rng.uniform(0.4, 0.9),
            color_sigma=color_sigma,
        )
    if kind == "stereo":
        return StereoNoise(
            **ranges,
            sigma=rng.uniform(0.001, 0.005),
            baseline=rng.uniform(0.04, 0.12),
            block=int(rng.integers(2, 6)),
            grazing=grazing,
            color_sigma=color_sigma,
        )
    return SensorNoise(
        **ranges,
        disparity_step=rng.uniform(0.0018, 0.0036),
        disparity_sigma=rng.uniform(0.3, 0.9),
        baseline=0.075,
        grazing=grazing,
        edge=rng.uniform(0.1, 0.5),
        color_sigma=color_sigma,
    )


class _Camera:
    """A camera of a random kind, and whether its normals come from its image or from the map."""

    def __init__(self, rng: np.random.Generator, size: tuple[int, int]):
        kind = str(rng.choice(list(KINDS), p=list(KINDS.values())))
        # Structured light has the narrow view of the Kinects, others are as wide as 90 degrees.
        narrow = kind == "structured light" or rng.random() < 0.3
        fov = rng.uniform(0.98, 1.15) if narrow else rng.uniform(1.15, 1.55)
        self.camera = RgbdCamera(*size, horizontal_fov=fov, noise=_noise(kind, rng))
        self.organised = rng.random() < 0.6
        self.appearance = CameraAppearance(rng, kind)
        self.stretch = _stretch(size, rng)

    def capture(
        self, room: Room, pose: np.ndarray, stamp: int, rng: np.random.Generator
    ) -> Capture | None:
        """One view from ``pose`` (4, 4); None if it has too few readings."""
        image = self.camera.render(room, pose, rng)
        lost = self.appearance.lost(image.color, image.depth, image.label, rng)
        depth = np.where(lost, np.float32(0), image.depth) * self.stretch
        seen = depth > 0
        if seen.sum() < FEWEST_READINGS:
            return None
        local = self.camera.rays() * depth[..., None]
        normals = None
        if self.organised:
            normals = organised_normals(np.where(seen[..., None], local, np.nan))[seen]
        frame = Frame(
            local[seen].astype(np.float32),
            stamp,
            "camera",
            colors=self.appearance.expose(image.color[seen]),
            normals=normals,
        )
        placed = frame.transformed(pose[:3, :3], pose[:3, 3], "map")
        return Capture(placed, image.triangle[seen])


def _stretch(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Factor of the depth at each pixel, (H, W) float32, close to 1 and the same in all images.

    What calibration leaves of lens and pattern: near surfaces are wavy, by about 0.3 % of the
    depth for a Kinect (Teichman et al., "Unsupervised intrinsic calibration of depth sensors via
    SLAM", RSS 2013, find more, and more with the range).
    """
    import cv2

    factor = np.ones(size[::-1], np.float32)
    for cells, largest in ((5, 0.006), (24, 0.008)):
        grid = rng.normal(0, rng.uniform(0, largest), (cells, cells)).astype(np.float32)
        factor += cv2.resize(grid, size, interpolation=cv2.INTER_CUBIC)
    return factor
