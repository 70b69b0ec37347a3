# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Scans by RGB-D cameras of three kinds: single views, and several that are fused."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.learning.demo_model.sensing.appearance import CameraAppearance
from concerto_ros.learning.demo_model.sensing.capture import Capture, fused_scan, small_motion
from concerto_ros.learning.demo_model.sensing.lidars import lidar_scan
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
#: A view with fewer readings is not used.
FEWEST_READINGS = 500


def camera_scan(
    name: str,
    room: Room,
    rng: np.random.Generator,
    frames: int = 1,
    viewpoint: Callable[[Room, np.random.Generator], Viewpoint] = across_the_room,
) -> Scan:
    """A scan by a hand-held camera or one on a robot: one view, or several along a sweep."""
    size = (640, 480) if frames == 1 else (320, 240)
    kind = str(rng.choice(list(KINDS), p=list(KINDS.values())))
    camera = RgbdCamera(*size, horizontal_fov=rng.uniform(1.0, 1.55), noise=_noise(kind, rng))
    organised = rng.random() < 0.6
    eye, target = viewpoint(room, rng)
    sweep = rng.uniform(0.15, 0.9) * rng.choice([-1, 1])
    looseness = rng.choice([0.5, 1.0, 3.0])
    appearance = CameraAppearance(rng, kind)
    captures: list[Capture] = []
    registration_error = np.eye(4)
    for i in range(frames):
        rotated_target = rotation_about("z", sweep * i) @ (target - eye) + eye
        pose = look_at(eye + rng.normal(0, 0.1, 3) * (frames > 1), rotated_target)
        roll = rotation_about("z", rng.normal(0.0, 0.07))
        pose[:3, :3] = pose[:3, :3] @ roll
        capture = _capture(camera, room, pose, rng, appearance, organised, i)
        if i == 0 or rng.random() < 0.3:
            registration_error = np.eye(4)
        if i:
            motion = small_motion(rng, 0.003 * looseness, 0.002 * looseness)
            registration_error = registration_error @ motion
        if capture is not None:
            rotation, shift = registration_error[:3, :3], registration_error[:3, 3]
            moved = capture.frame.transformed(rotation, shift, "map") if i else capture.frame
            captures.append(Capture(moved, capture.labels))
    if not captures:  # every view is of a wall nearer than the camera's minimum range
        return lidar_scan(name, room, rng)
    return fused_scan(name, captures, rng)


def _noise(kind: str, rng: np.random.Generator) -> DepthNoise:
    """The errors of a camera of a kind."""
    ranges = {"min_range": rng.uniform(0.25, 0.6), "max_range": rng.uniform(4.0, 9.0)}
    grazing, color_sigma = rng.uniform(0.05, 0.2), rng.uniform(1.0, 8.0)
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


def _capture(
    camera: RgbdCamera,
    room: Room,
    pose: np.ndarray,
    rng: np.random.Generator,
    appearance: CameraAppearance,
    organised: bool,
    stamp: int,
) -> Capture | None:
    """One view from ``pose`` (4, 4); None if it has too few readings."""
    image = camera.render(room, pose, rng)
    lost = appearance.lost(image.color, image.depth, image.label, rng)
    depth = np.where(lost, 0, image.depth)
    seen = depth > 0
    if seen.sum() < FEWEST_READINGS:
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
    return Capture(frame.transformed(pose[:3, :3], pose[:3, 3], "map"), image.label[seen])
