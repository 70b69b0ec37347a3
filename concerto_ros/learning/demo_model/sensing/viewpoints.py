# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Where sensors stand in a room, and what they look at."""

from __future__ import annotations

import numpy as np

from concerto_ros.sim import CLASSES, Room, look_at

_STRUCTURE = tuple(CLASSES.index(name) for name in ("floor", "wall", "ceiling", "other"))
_TOPS = tuple(CLASSES.index(name) for name in ("table", "cabinet"))
_FLOOR = CLASSES.index("floor")

Viewpoint = tuple[np.ndarray, np.ndarray]


def standpoint(
    room: Room, rng: np.random.Generator, height: float, clearance: float = 0.22
) -> np.ndarray:
    """A position (3,) in the room at ``height`` with free space of ``clearance`` metres."""
    half = np.array([room.plan.width, room.plan.depth]) / 2 - 0.25
    eye = np.array([0.0, 0.0, height])
    for _ in range(60):
        eye = np.array([*rng.uniform(-half, half), min(height, room.plan.height - 0.3)])
        if is_free(room, eye, clearance):
            break
    return eye


_BALL = np.random.default_rng(0).normal(size=(48, 3))
_BALL /= np.linalg.norm(_BALL, axis=1, keepdims=True)


def is_free(room: Room, eye: np.ndarray, clearance: float) -> bool:
    """Whether ``eye`` (3,) is inside the room and at least ``clearance`` metres from all."""
    if not room.plan.contains(*eye[:2], *eye[:2]) or not 0 < eye[2] < room.plan.height:
        return False
    hits = room.cast(eye.astype(np.float32), _BALL.astype(np.float32))
    return bool(hits.hit.mean() > 0.9 and hits.distance.min() > clearance)


def across_the_room(room: Room, rng: np.random.Generator) -> Viewpoint:
    """Positions of a camera and of its target, mostly a piece of furniture; (3,) each."""
    height = rng.uniform(0.35, 1.9)
    eye = standpoint(room, rng, height)
    centers = _furniture(room, rng)
    if rng.random() < 0.8 and len(centers):
        for _ in range(25):
            target = centers[rng.integers(len(centers))]
            distance = float(np.linalg.norm(target - eye))
            steep = abs(target[2] - eye[2]) > 0.9 * distance
            if 0.6 < distance < 5.0 and not steep and _sees(room, eye, target):
                return eye, target + rng.normal(0, 0.15, 3)
            eye = standpoint(room, rng, height)
    turn, lift = rng.uniform(0, 2 * np.pi), np.clip(rng.normal(-0.25, 0.3), -1.1, 0.7)
    return eye, eye + np.array([np.cos(turn), np.sin(turn), np.tan(lift)])


def near_furniture(room: Room, rng: np.random.Generator) -> Viewpoint:
    """Half a metre to 1.5 m from a piece of furniture, of which the image cuts off a part."""
    return _towards(room, rng, _furniture(room, rng), (0.45, 1.5), (-0.2, 0.9))


def low_robot(room: Room, rng: np.random.Generator) -> Viewpoint:
    """A camera 0.2 to 0.6 m above the floor that looks about straight ahead."""
    height = rng.uniform(0.2, 0.6)
    centers = _furniture(room, rng)
    for _ in range(25):
        eye = standpoint(room, rng, height, 0.15)
        if not len(centers):
            break
        target = centers[rng.integers(len(centers))].copy()
        target[2] = height + rng.normal(0.0, 0.12)
        if 0.4 < np.linalg.norm(target - eye) < 2.5:
            return eye, target
    turn = rng.uniform(0, 2 * np.pi)
    return eye, eye + np.array([np.cos(turn), np.sin(turn), rng.normal(0, 0.1)])


def above_a_top(room: Room, rng: np.random.Generator) -> Viewpoint:
    """A hand-held camera 0.4 to 1.2 m from a table top or the like, mostly without floor."""
    mesh = room.mesh
    centers = mesh.corners.mean(1)
    tops = np.flatnonzero(
        (mesh.normals[:, 0, 2] > 0.95)
        & (centers[:, 2] > 0.35)
        & (centers[:, 2] < 1.3)
        & ~np.isin(mesh.label, _STRUCTURE)
    )
    flat = tops[np.isin(mesh.label[tops], _TOPS)]
    tops = flat if len(flat) and rng.random() < 0.8 else tops
    views = [_towards(room, rng, centers[tops], (0.4, 1.2), (0.6, 1.4)) for _ in range(12)]
    return min(views, key=lambda view: _floor_in_view(room, *view))


def _towards(
    room: Room,
    rng: np.random.Generator,
    targets: np.ndarray,
    distance: tuple[float, float],
    elevation: tuple[float, float],
) -> Viewpoint:
    """A free position at a distance (metres) and elevation (radians) from one of the targets."""
    for _ in range(40):
        if not len(targets):
            break
        target = targets[rng.integers(len(targets))]
        turn, lift = rng.uniform(0, 2 * np.pi), rng.uniform(*elevation)
        away = np.array([np.cos(turn) * np.cos(lift), np.sin(turn) * np.cos(lift), np.sin(lift)])
        eye = target + rng.uniform(*distance) * away
        if eye[2] > 0.15 and is_free(room, eye, 0.12) and _sees(room, eye, target):
            return eye, target + rng.normal(0, 0.05, 3)
    return across_the_room(room, rng)


def _furniture(room: Room, rng: np.random.Generator) -> np.ndarray:
    """Middles of the triangles of a random class of furniture, (T, 3) float64."""
    present = [label for label in np.unique(room.mesh.label) if label not in _STRUCTURE]
    if not present:
        return np.zeros((0, 3))
    return room.mesh.corners[room.mesh.label == rng.choice(present)].mean(1).astype(np.float64)


def _sees(room: Room, eye: np.ndarray, target: np.ndarray) -> bool:
    """Whether nothing is between ``eye`` and ``target``."""
    ray = (target - eye).astype(np.float32)
    return bool(room.cast(eye.astype(np.float32), ray[None]).distance[0] > 0.97)


def _floor_in_view(room: Room, eye: np.ndarray, target: np.ndarray) -> float:
    """Share of the floor in a coarse image."""
    x, y = np.meshgrid(np.linspace(-0.9, 0.9, 12), np.linspace(-0.7, 0.7, 9))
    rays = np.stack([x, y, np.ones_like(x)], -1).reshape(-1, 3) @ look_at(eye, target)[:3, :3].T
    labels = room.labels(room.cast(eye.astype(np.float32), rays.astype(np.float32)))
    return float(np.mean(labels == _FLOOR))
