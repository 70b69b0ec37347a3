# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Lighting baked at the corners of triangles: lamp and windows with soft shadows, and ambient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from concerto_ros.sim.mesh import Mesh

#: Rays into the hemisphere above each corner. Every corner uses the same directions, and the same
#: points of each light: random ones would leave grain.
AMBIENT_RAYS = 16
#: Rays to each light, along each of its edges.
LIGHT_ROWS = 3
#: Ambient rays are this long: only what is near darkens a corner, metres.
AMBIENT_REACH = 1.0
#: What is closer than this casts no shadow: a rug must not darken the floor round it, metres.
CONTACT = 0.02


@dataclass(frozen=True)
class Light:
    """A parallelogram that emits light.

    Attributes:
        corner: (3,) metres.
        along: (3,) one edge, metres.
        across: (3,) the other edge.
        strength: the light on a surface that faces it at a distance of 2 m.
    """

    corner: np.ndarray
    along: np.ndarray
    across: np.ndarray
    strength: float


def bake(scene: Any, mesh: Mesh, lights: list[Light], ambient: float) -> np.ndarray:
    """Compute the light at every corner of ``mesh``.

    Lambert's law, light falling off with distance, area lights sampled by shadow rays; ambient
    light is dimmed by near surfaces. Glowing triangles have their own brightness.

    Args:
        scene: the open3d ``RaycastingScene`` of the mesh.
        mesh: the room.
        lights: the area lights.
        ambient: strength of the ambient light.

    Returns:
        (T, 3) float32 in display brightness (about 0..1).
    """
    position, normal, corner_row = _shared_corners(mesh)
    total = ambient * _openness(scene, position, normal)
    for light in lights:
        total += light.strength * _direct(scene, position, normal, light)
    baked = (np.clip(total, 0.0, 1.3) ** (1 / 2.2)).astype(np.float32)[corner_row].reshape(-1, 3)
    return np.where(mesh.glow[:, None] > 0, mesh.glow[:, None], baked)


def _shared_corners(mesh: Mesh) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Corners that several triangles share, once: positions, normals, and the row of each corner.

    Positions are moved off the surface, and a little towards the middle of their triangles so
    that a corner on an edge does not lie in the neighbouring wall.
    """
    position = mesh.corners.reshape(-1, 3)
    normal = mesh.normals.reshape(-1, 3)
    key = np.concatenate([np.round(position * 500), np.round(normal * 20)], axis=1)
    key = np.ascontiguousarray(key.astype(np.int16)).view("V12").ravel()
    _, first, row = np.unique(key, return_index=True, return_inverse=True)
    middle = np.repeat(mesh.corners.mean(axis=1), 3, axis=0)
    count = np.bincount(row)
    middle = np.stack([np.bincount(row, weights=middle[:, i]) / count for i in range(3)], axis=1)
    inward = 0.1 * (middle - position[first])
    moved = position[first] + inward + 0.004 * normal[first]
    return moved.astype(np.float32), normal[first], row


def _openness(scene: Any, position: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Share of the hemisphere above each corner where nothing is near, (N,)."""
    # Even directions on a sphere (Fibonacci's); added to the normal they are cosine-distributed.
    height = 1 - (2 * np.arange(AMBIENT_RAYS) + 1) / AMBIENT_RAYS
    turn = np.arange(AMBIENT_RAYS) * np.pi * (3 - np.sqrt(5))
    flat = np.sqrt(1 - height**2)
    sphere = np.stack([flat * np.cos(turn), flat * np.sin(turn), height], axis=1)
    free = np.zeros(len(position))
    for direction in sphere.astype(np.float32):
        ray = normal + np.float32(0.98) * direction
        ray *= AMBIENT_REACH / np.linalg.norm(ray, axis=1, keepdims=True)
        free += ~_blocked(scene, position, ray)
    return free / AMBIENT_RAYS


def _direct(scene: Any, position: np.ndarray, normal: np.ndarray, light: Light) -> np.ndarray:
    """Light of one lamp at each corner, (N,), 1 at 2 m facing it."""
    received = np.zeros(len(position), np.float32)
    steps = (np.arange(LIGHT_ROWS) + 0.5) / LIGHT_ROWS
    for u in steps:
        for v in steps:
            source = light.corner + u * light.along + v * light.across
            ray = source.astype(np.float32) - position
            facing = np.einsum("ij,ij->i", ray, normal)
            rows = np.flatnonzero(facing > 0)  # the others are dark without a ray
            ray = ray[rows]
            distance = np.sqrt(np.einsum("ij,ij->i", ray, ray))
            lit = ~_blocked(scene, position[rows], ray)
            received[rows] += lit * facing[rows] / distance * 2.0 / (1.0 + (distance / 2.0) ** 2)
    return received / LIGHT_ROWS**2


def _blocked(scene: Any, position: np.ndarray, ray: np.ndarray) -> np.ndarray:
    """Whether anything lies between each position and (almost) position + ray, (N,) bool."""
    import open3d as o3d

    rays = np.empty((len(ray), 6), np.float32)
    length = np.sqrt(np.einsum("ij,ij->i", ray, ray))
    rays[:, :3] = position + (CONTACT / length)[:, None] * ray
    rays[:, 3:] = ray
    return scene.test_occlusions(o3d.core.Tensor.from_numpy(rays), tnear=0.0, tfar=0.96).numpy()
