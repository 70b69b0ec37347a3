# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One fixed scene for each preset: what is measured on it depends on nothing but the model."""

from __future__ import annotations

import numpy as np

from concerto_ros.sim.rgbd_camera import RgbdCamera, look_at
from concerto_ros.sim.room import Room
from concerto_ros.sim.streets.lidar import draw_spinning, sweep
from concerto_ros.sim.streets.street import Street

#: Directions in which the camera looks from the middle of each room.
_VIEWS = 4


def reference_scene(preset: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the scene's points, (N, 3) float32, metres, z up, and their colours.

    Args:
        preset: ``indoor``: two furnished rooms side by side, seen by an RGB-D camera without
            noise, and colours (N, 3) uint8; else a street that a LiDAR of 64 rings sweeps, and
            None.
    """
    if preset != "indoor":
        rng = np.random.default_rng(0)
        pose = np.eye(4)
        pose[2, 3] = 1.9
        return sweep(Street(0), draw_spinning(rng, "hdl64", 1024), pose, 0.0, rng).points, None
    camera = RgbdCamera(160, 120, noise=False)
    points, colors = [], []
    for seed in range(2):
        room = Room(seed)
        for angle in np.arange(_VIEWS) * 2 * np.pi / _VIEWS:
            eye = np.array([0.0, 0.0, 1.4])
            pose = look_at(eye, eye + [np.cos(angle), np.sin(angle), -0.4])
            image = camera.render(room, pose)
            seen = image.depth > 0
            rays = camera.rays()[seen] * image.depth[seen][:, None]
            points.append(rays @ pose[:3, :3].T + pose[:3, 3] + [20.0 * seed, 0.0, 0.0])
            colors.append(image.color[seen])
    return np.concatenate(points).astype(np.float32), np.concatenate(colors)
