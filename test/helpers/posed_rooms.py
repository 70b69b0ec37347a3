# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Posed RGB-D images of simulated rooms and of a wall, in folders like ScanNet's."""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np

from concerto_ros.sim import Room
from concerto_ros.sim.rgbd_camera import RgbdCamera, look_at

#: Looks along x, upright.
FORWARD = look_at((0, 0, 1), (1, 0, 1))


def room_views(seed, count, width=160, height=120, noise=True):
    """(image, pose) of a room from near its middle, all around, and the camera."""
    room, camera = Room(seed), RgbdCamera(width, height, noise=noise)
    rng = np.random.default_rng(seed)
    views = []
    for angle in np.arange(count) * 2 * np.pi / count:
        eye = np.array([*rng.uniform(-0.3, 0.3, 2), rng.uniform(1.2, 1.6)])
        pose = look_at(eye, eye + [np.cos(angle), np.sin(angle), -0.4])
        views.append((camera.render(room, pose, rng), pose))
    return views, camera


def wall_views(count=3, width=64, height=48):
    """(image, pose) of a wall 2 m away, with a box 1 m away before its left half."""
    camera = RgbdCamera(width, height, noise=False)
    depth = np.full((height, width), 2.0, np.float32)
    depth[:, : width // 2] = 1.0
    color = np.zeros((height, width, 3), np.uint8)
    color[...] = (200, 200, 200)
    color[:, : width // 2] = (200, 0, 0)
    image = SimpleNamespace(color=color, depth=depth)
    return [(image, FORWARD)] * count, camera


def write_scene(folder, views, camera, *, half_depth=False, unit=0.001):
    """Write ``color/N.png``, ``depth/N.png``, ``pose/N.txt`` and ``intrinsic/``; the folder.

    ``half_depth`` writes depth images of half the size, as ScanNet's are smaller.
    """
    for name in ("color", "depth", "pose", "intrinsic"):
        (folder / name).mkdir(parents=True)
    for number, (image, pose) in enumerate(views):
        cv2.imwrite(str(folder / "color" / f"{number}.png"), image.color[..., ::-1])
        depth = image.depth[::2, ::2] if half_depth else image.depth
        units = np.rint(depth / unit).astype(np.uint16)
        cv2.imwrite(str(folder / "depth" / f"{number}.png"), units)
        np.savetxt(folder / "pose" / f"{number}.txt", pose)
    matrix = np.eye(4)
    matrix[:3, :3] = camera.matrix
    np.savetxt(folder / "intrinsic" / "intrinsic_color.txt", matrix)
    if half_depth:
        matrix[:2] /= 2
    np.savetxt(folder / "intrinsic" / "intrinsic_depth.txt", matrix)
    return folder
