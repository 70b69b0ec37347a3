# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Simulated observations of an object: its whole surface, one depth image, or a map."""

from __future__ import annotations

import numpy as np

from concerto_ros.sim.depth_noise import SensorNoise
from concerto_ros.sim.mesh import Mesh
from concerto_ros.sim.pieces.furniture import Rng
from concerto_ros.sim.rgbd_camera import look_at

#: How an object is observed: its whole surface without noise; from one place by a Kinect-like
#: camera; from one to four places, fused in a map of voxels as in the node.
KINDS = ("surface", "view", "map")

#: Points drawn of a surface.
SURFACE_POINTS = 2048

#: Width and height of an image in pixels; it is just large enough for the object.
PIXELS = 80

#: Focal length of a Kinect's depth camera at 640 x 480, pixels, at most that of an image.
FOCAL = 525.0

#: Largest voxels of a map, metres.
VOXEL = 0.02

#: A view with fewer points is drawn again; after this many attempts the surface is returned.
MIN_POINTS, TRIES = 48, 5


def observe(mesh: Mesh, kind: str, rng: Rng) -> np.ndarray:
    """Observe ``mesh``: (N, 3) float32 metres, z up.

    Args:
        mesh: The object.
        kind: One of :data:`KINDS`.
        rng: Source of all randomness.

    Raises:
        ValueError: If ``kind`` is unknown.
    """
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}, expected one of {', '.join(KINDS)}")
    if kind == "surface":
        return surface(mesh, SURFACE_POINTS, rng)
    scene, bounds = scene_of(mesh), mesh.bounds()
    for _ in range(TRIES):
        yaw = rng.uniform(0, 2 * np.pi)
        if kind == "view":
            points, _ = picture(scene, bounds, yaw, rng)
        else:
            turns = [0.0, *rng.uniform(-1.2, 1.2, int(rng.integers(4)))]
            views = [picture(scene, bounds, yaw + turn, rng)[0] for turn in turns]
            points = voxel_means(np.concatenate(views), VOXEL * rng.uniform(0.25, 1.0))
        if len(points) >= MIN_POINTS:
            return points
    return surface(mesh, SURFACE_POINTS, rng)


def surface(mesh: Mesh, count: int, rng: Rng) -> np.ndarray:
    """Sample (count, 3) float32 points evenly from the triangles of a mesh."""
    return triangle_points(mesh.corners, count, rng)


def triangle_points(corners: np.ndarray, count: int, rng: Rng) -> np.ndarray:
    """Sample (count, 3) float32 points evenly from triangles (T, 3, 3)."""
    corner, one, other = corners.astype(np.float64).transpose(1, 0, 2)
    one, other = one - corner, other - corner
    area = np.linalg.norm(np.cross(one, other), axis=1)
    reach = np.cumsum(area)
    rows = np.searchsorted(reach, rng.random(count) * reach[-1], side="right")
    rows = rows.clip(max=len(area) - 1)
    a, b = rng.random((2, count, 1))
    over = a + b > 1
    a, b = np.where(over, 1 - a, a), np.where(over, 1 - b, b)
    return (corner[rows] + a * one[rows] + b * other[rows]).astype(np.float32)


def picture(
    scene,
    bounds: tuple[np.ndarray, np.ndarray],
    yaw: float,
    rng: Rng,
    pixels: int = PIXELS,
) -> tuple[np.ndarray, np.ndarray]:
    """Simulate a depth image from somewhere in direction ``yaw`` of what is within ``bounds``.

    The camera is 0.6 m to a few metres away, 3 to 50 degrees above. One time in four a part of the
    image is hidden by something in front.

    Args:
        scene: As :func:`scene_of` returns it.
        bounds: (low, high) corners of what the image contains, metres.
        yaw: Direction of the camera, radians about z.
        rng: Source of all randomness.
        pixels: Width and height of the image.

    Returns:
        (N, 3) float32 points and (N,) int64, the mesh of :func:`scene_of` that each is of.
    """
    import open3d as o3d

    low, high = bounds
    middle, radius = (low + high) / 2, float(np.linalg.norm(high - low)) / 2
    away = max(0.6, 2.2 * radius) * rng.uniform(1.0, 1.6)
    lift = np.radians(rng.uniform(3, 50))
    flat = np.cos(lift)
    eye = middle + away * np.array([np.cos(yaw) * flat, np.sin(yaw) * flat, np.sin(lift)])
    focal = min(FOCAL, pixels / 2 / np.tan(np.arcsin(radius / away)))
    offset = (np.arange(pixels) - (pixels - 1) / 2) / focal
    own = np.stack([*np.meshgrid(offset, offset), np.ones((pixels, pixels))], -1).reshape(-1, 3)
    rays = own @ look_at(eye, middle)[:3, :3].T
    both = np.concatenate([np.broadcast_to(eye, rays.shape), rays], 1).astype(np.float32)
    hits = scene.cast_rays(o3d.core.Tensor.from_numpy(both))
    distance, normals = hits["t_hit"].numpy(), hits["primitive_normals"].numpy()
    depth = np.where(np.isfinite(distance), distance, 0).astype(np.float32)
    slant = np.abs((normals * rays).sum(1)) / np.linalg.norm(rays, axis=1)
    shape = (pixels, pixels)
    depth = SensorNoise().depth(depth.reshape(shape), slant.reshape(shape), focal, rng).ravel()
    seen = depth > 0
    if rng.random() < 0.25:
        seen &= ~_hidden(own, seen, rng)
    points = (eye + rays[seen] * depth[seen, None]).astype(np.float32)
    return points, hits["geometry_ids"].numpy()[seen].astype(np.int64)


def voxel_means(points: np.ndarray, size: float) -> np.ndarray:
    """Average the points in each voxel of ``size`` metres: (M, 3) float32."""
    cells = np.floor(points / size).astype(np.int64)
    _, voxel = np.unique(cells, axis=0, return_inverse=True)
    voxel = voxel.ravel()
    count = np.bincount(voxel)
    means = [np.bincount(voxel, points[:, axis]) / count for axis in range(3)]
    return np.stack(means, 1).astype(np.float32)


def _hidden(rays: np.ndarray, seen: np.ndarray, rng: Rng) -> np.ndarray:
    """Select the pixels beyond a random line across the image, up to 40 % of those seen."""
    if not seen.any():
        return np.zeros(len(rays), bool)
    angle = rng.uniform(0, 2 * np.pi)
    along = rays[:, :2] @ np.array([np.cos(angle), np.sin(angle)])
    return along > np.quantile(along[seen], rng.uniform(0.6, 0.9))


def scene_of(*meshes: Mesh):
    """Build a raycasting scene of meshes, numbered in their order."""
    import open3d as o3d

    scene = o3d.t.geometry.RaycastingScene(nthreads=1)
    for mesh in meshes:
        vertices = np.ascontiguousarray(mesh.corners.reshape(-1, 3))
        triangles = np.arange(len(vertices), dtype=np.uint32).reshape(-1, 3)
        scene.add_triangles(
            o3d.core.Tensor.from_numpy(vertices), o3d.core.Tensor.from_numpy(triangles)
        )
    return scene
