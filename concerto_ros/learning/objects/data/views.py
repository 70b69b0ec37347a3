# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is seen of an object: its whole surface, one picture of a depth camera, or a map."""

from __future__ import annotations

import numpy as np

from concerto_ros.sim.depth_noise import SensorNoise
from concerto_ros.sim.furniture import Rng
from concerto_ros.sim.mesh import Mesh
from concerto_ros.sim.rgbd_camera import look_at

#: How an object is seen: all of its surface without noise; from one place by a Kinect-like camera;
#: from one to four places, put into a map of voxels as the node keeps it.
KINDS = ("surface", "view", "map")

#: Points drawn of a surface.
SURFACE_POINTS = 2048

#: Pixels of a picture each way; it is just large enough for the object.
PIXELS = 80

#: Focal length of a Kinect's depth camera at 640 x 480, pixels: a picture is never finer.
FOCAL = 525.0

#: Metres; voxels of a map.
VOXEL = 0.02

#: A view of fewer points is not taken; after so many of them the surface is.
FEWEST, TRIES = 48, 5


def observe(mesh: Mesh, kind: str, rng: Rng) -> np.ndarray:
    """(N, 3) float32 metres, z up: what is seen of ``mesh`` in one of the ways of :data:`KINDS`.

    Raises:
        ValueError: For another kind.
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
        if len(points) >= FEWEST:
            return points
    return surface(mesh, SURFACE_POINTS, rng)


def surface(mesh: Mesh, count: int, rng: Rng) -> np.ndarray:
    """(count, 3) float32 points spread evenly over the triangles."""
    corner, one, other = mesh.corners.astype(np.float64).transpose(1, 0, 2)
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
    """Readings of a depth camera somewhere in direction ``yaw`` of what lies in ``bounds``.

    It looks from 0.6 m to a few metres away, from 3 to 50 degrees above. One time in four a part
    of what it sees is hidden by something in front of it.

    Returns:
        (N, 3) float32 points and (N,) int64, which mesh of :func:`scene_of` each is of.
    """
    import open3d as o3d

    low, high = bounds
    middle, radius = (low + high) / 2, float(np.linalg.norm(high - low)) / 2
    away = max(0.6, 2.2 * radius) * rng.uniform(1.0, 1.6)
    lift = np.radians(rng.uniform(3, 50))
    flat = np.cos(lift)
    eye = middle + away * np.array([np.cos(yaw) * flat, np.sin(yaw) * flat, np.sin(lift)])
    focal = min(FOCAL, pixels / 2 / np.tan(np.arcsin(radius / away)))
    place = (np.arange(pixels) - (pixels - 1) / 2) / focal
    own = np.stack([*np.meshgrid(place, place), np.ones((pixels, pixels))], -1).reshape(-1, 3)
    rays = own @ look_at(eye, middle)[:3, :3].T
    both = np.concatenate([np.broadcast_to(eye, rays.shape), rays], 1).astype(np.float32)
    answer = scene.cast_rays(o3d.core.Tensor(both))
    distance, normals = answer["t_hit"].numpy(), answer["primitive_normals"].numpy()
    depth = np.where(np.isfinite(distance), distance, 0).astype(np.float32)
    slant = np.abs((normals * rays).sum(1)) / np.linalg.norm(rays, axis=1)
    shape = (pixels, pixels)
    depth = SensorNoise().depth(depth.reshape(shape), slant.reshape(shape), focal, rng).ravel()
    seen = depth > 0
    if rng.random() < 0.25:
        seen &= ~_hidden(own, seen, rng)
    points = (eye + rays[seen] * depth[seen, None]).astype(np.float32)
    return points, answer["geometry_ids"].numpy()[seen].astype(np.int64)


def voxel_means(points: np.ndarray, size: float) -> np.ndarray:
    """(M, 3) float32 mean of the points in each voxel of ``size`` metres."""
    cells = np.floor(points / size).astype(np.int64)
    _, place = np.unique(cells, axis=0, return_inverse=True)
    place = place.ravel()
    count = np.bincount(place)
    sums = [np.bincount(place, points[:, axis]) / count for axis in range(3)]
    return np.stack(sums, 1).astype(np.float32)


def _hidden(rays: np.ndarray, seen: np.ndarray, rng: Rng) -> np.ndarray:
    """Which pixels lie beyond a random line across the picture, up to 40 % of those seen."""
    if not seen.any():
        return np.zeros(len(rays), bool)
    angle = rng.uniform(0, 2 * np.pi)
    along = rays[:, :2] @ np.array([np.cos(angle), np.sin(angle)])
    return along > np.quantile(along[seen], rng.uniform(0.6, 0.9))


def scene_of(*meshes: Mesh):
    """What :func:`picture` looks at: meshes, numbered in their order."""
    import open3d as o3d

    scene = o3d.t.geometry.RaycastingScene(nthreads=1)
    for mesh in meshes:
        vertices = np.ascontiguousarray(mesh.corners.reshape(-1, 3))
        triangles = np.arange(len(vertices), dtype=np.uint32).reshape(-1, 3)
        scene.add_triangles(o3d.core.Tensor(vertices), o3d.core.Tensor(triangles))
    return scene
