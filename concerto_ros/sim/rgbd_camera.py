# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""An RGB-D camera with registered colour and depth, and the errors of a real one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from concerto_ros.sim.depth_noise import DepthNoise, SensorNoise
from concerto_ros.sim.scene import Scene


@dataclass(frozen=True, eq=False)
class RgbdImage:
    """One image, with colour, depth and labels registered to each other.

    Attributes:
        color: (H, W, 3) uint8 RGB.
        depth: (H, W) float32, metres along the optical axis, 0 is no reading.
        label: (H, W) uint8, true class of the surface that the depth is of, 255 for nothing and
            for a depth in the air between two surfaces. At edges noise gives a pixel its
            neighbour's depth.
        triangle: (H, W) int64, row of the scene's mesh that the surface is, -1 as for the label.
    """

    color: np.ndarray
    depth: np.ndarray
    label: np.ndarray
    triangle: np.ndarray


class RgbdCamera:
    """A pinhole camera without distortion; the principal point is the middle of the image.

    ``horizontal_fov`` is in radians (REP-103). ``noise`` is True for :class:`SensorNoise`'s
    defaults, the errors of a camera of any kind, or False for perfect images. ``seed`` starts the
    noise of those calls of :meth:`render` that pass no generator.

    Raises:
        ValueError: the size or the field of view is out of range.
    """

    def __init__(
        self,
        width: int = 640,
        height: int = 480,
        horizontal_fov: float = math.radians(66.0),
        noise: bool | DepthNoise = True,
        seed: int = 0,
    ):
        if width < 1 or height < 1:
            raise ValueError(f"size is {width} x {height}, expected at least one pixel each way")
        if not 0.0 < horizontal_fov < math.pi:
            raise ValueError(f"horizontal_fov is {horizontal_fov}, expected radians in (0, pi)")
        self.width = width
        self.height = height
        self.focal = width / 2 / math.tan(horizontal_fov / 2)
        self.center = ((width - 1) / 2, (height - 1) / 2)
        self.noise: DepthNoise | None = None
        if noise is not False:
            self.noise = SensorNoise() if noise is True else noise
        self._rng = np.random.default_rng(seed)
        x = (np.arange(width) - self.center[0]) / self.focal
        y = (np.arange(height) - self.center[1]) / self.focal
        rays = np.stack([*np.meshgrid(x, y), np.ones((height, width))], axis=-1)
        # Unit length along the optical axis: the distance along a ray is the depth.
        self._rays = rays.reshape(-1, 3).astype(np.float32)

    @property
    def matrix(self) -> np.ndarray:
        """The camera matrix K, (3, 3) float64, pixels."""
        return np.array(
            [[self.focal, 0.0, self.center[0]], [0.0, self.focal, self.center[1]], [0.0, 0.0, 1.0]]
        )

    def rays(self) -> np.ndarray:
        """(H, W, 3) float32: direction of every pixel, of length 1 along the optical axis."""
        return self._rays.reshape(self.height, self.width, 3)

    def render(
        self, scene: Scene, pose: np.ndarray, rng: np.random.Generator | None = None
    ) -> RgbdImage:
        """Render what the camera sees.

        Args:
            scene: what the camera sees.
            pose: (4, 4), optical frame (z forward, x right, y down; REP-103) to the scene's frame.
            rng: draws the noise; None: the camera's own generator.

        Raises:
            ValueError: ``pose`` is not a finite (4, 4) matrix.
        """
        pose = np.asarray(pose, np.float64)
        if pose.shape != (4, 4) or not np.isfinite(pose).all():
            raise ValueError(f"pose has shape {pose.shape}, expected a finite (4, 4) matrix")
        rays = self._rays @ pose[:3, :3].T.astype(np.float32)
        hits = scene.cast(pose[:3, 3].astype(np.float32), rays)
        color = scene.colors(hits)
        depth = np.where(hits.hit, hits.distance, np.float32(0.0))
        shape, triangle = (self.height, self.width), hits.rows
        if self.noise is not None:
            rng = self._rng if rng is None else rng
            slant = np.abs(np.einsum("ij,ij->i", scene.normals(hits), rays))
            slant /= np.sqrt(np.einsum("ij,ij->i", self._rays, self._rays))
            depth, source = self.noise.measure(
                depth.reshape(shape), slant.reshape(shape), self.focal, rng
            )
            triangle = np.append(triangle, -1)[source]
            color = self.noise.color(color, rng)
        picture = np.clip(color, 0.0, 255.0).astype(np.uint8).T.reshape(*shape, 3)
        return RgbdImage(
            color=np.ascontiguousarray(picture),
            depth=depth.reshape(shape),
            label=scene.labels_of(triangle).reshape(shape),
            triangle=triangle.reshape(shape),
        )


def look_at(eye, target) -> np.ndarray:
    """Return the pose (4, 4) of an optical frame at ``eye`` that looks at ``target``, upright."""
    eye, target = np.asarray(eye, np.float64), np.asarray(target, np.float64)
    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
    pose[:3, 3] = eye
    return pose
