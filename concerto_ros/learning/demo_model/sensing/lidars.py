# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Scans by spinning LiDARs of 16 to 128 rings, with what goes wrong in real ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.learning.demo_model.sensing.capture import Capture, fused_scan
from concerto_ros.learning.demo_model.sensing.viewpoints import is_free, standpoint
from concerto_ros.sensors.frame import Frame
from concerto_ros.sim import Room
from concerto_ros.sim.mesh import rotation_about

#: Readings below this range are the robot's own body, metres.
BODY_REACH = 0.75
#: Rays of all sweeps of a scan together are about at most this number.
MOST_RAYS = 400_000
#: The triangle of a point that lies on none, or on two.
_UNKNOWN = -1


def lidar_scan(name: str, room: Room, rng: np.random.Generator) -> Scan:
    """One sweep from one place, two or three, or up to ten of a robot that drives on."""
    return fused_scan(name, room, lidar_captures(room, rng), rng)


def lidar_captures(room: Room, rng: np.random.Generator) -> list[Capture]:
    """The sweeps of such a scan."""
    rings = int(rng.choice([16, 32, 64, 128]))
    columns = int(rng.choice([512, 1024, 1800]))
    sweeps = int(rng.choice([1, 2, 3, int(rng.integers(5, 11))], p=[0.5, 0.15, 0.15, 0.2]))
    columns = min(columns, max(256, MOST_RAYS // (rings * sweeps)))
    rays = _rays(rings, columns, rng)
    device = _Device(rng)
    eye = standpoint(room, rng, rng.uniform(0.25, 1.8))
    heading = rng.uniform(0, 2 * np.pi)
    step = rng.uniform(0.1, 0.5) * np.array([np.cos(heading), np.sin(heading), 0.0])
    captures = []
    for i in range(sweeps):
        tilt = rotation_about("x", rng.normal(0, 0.03)) @ rotation_about("y", rng.normal(0, 0.03))
        if i and is_free(room, eye + step, 0.2):
            eye = eye + step
        directions = rays @ tilt.T.astype(np.float32)
        captures.append(device.sweep(room, eye + rng.normal(0, 0.02, 3), directions, i, rng))
    return captures


def _rays(rings: int, columns: int, rng: np.random.Generator) -> np.ndarray:
    """Unit directions of a sweep, (rings * columns, 3) float32."""
    reach = rng.choice([0.26, 0.39, 0.39, 0.78])
    elevation = np.linspace(-reach, reach, rings) + rng.normal(0, 0.03)
    azimuth = np.arange(columns) * 2 * np.pi / columns
    lift, turn = np.meshgrid(elevation, azimuth, indexing="ij")
    rays = np.stack([np.cos(lift) * np.cos(turn), np.cos(lift) * np.sin(turn), np.sin(lift)], -1)
    return rays.reshape(-1, 3).astype(np.float32)


class _Device:
    """The errors of one LiDAR on one robot."""

    def __init__(self, rng: np.random.Generator):
        self.sigma = np.exp(rng.uniform(np.log(0.003), np.log(0.02)))
        self.dropped = rng.uniform(0.01, 0.08)
        # Radians between the two sides of a beam, and whether both echoes are kept.
        self.divergence = rng.choice([0.0, rng.uniform(0.002, 0.006)], p=[0.4, 0.6])
        self.dual = rng.random() < 0.4
        self.astray = rng.choice([0.0, rng.uniform(0.001, 0.02)], p=[0.6, 0.4])
        self.body = _Body(rng) if rng.random() < 0.35 else None

    def sweep(
        self,
        room: Room,
        eye: np.ndarray,
        directions: np.ndarray,
        stamp: int,
        rng: np.random.Generator,
    ) -> Capture:
        """The readings of one sweep from ``eye`` (3,) along unit ``directions`` (N, 3)."""
        origin, count = eye.astype(np.float32), len(directions)
        hits = room.cast(origin, directions)
        distance, triangle = hits.distance.copy(), hits.rows
        second = np.zeros(count, bool)
        if self.divergence:
            distance, triangle, other, second = self._echoes(
                room, origin, directions, distance, triangle, rng
            )
        distance += rng.normal(0, self.sigma, count).astype(np.float32)
        # Light that is reflected twice comes from behind the surface: below the floor, mostly.
        astray = rng.random(count) < self.astray * (np.abs(directions[:, 2]) > 0.05)
        distance[astray] *= rng.uniform(1.1, 3.0, astray.sum()).astype(np.float32)
        triangle[astray] = _UNKNOWN
        use = np.isfinite(distance) & (distance > 0.3) & (rng.random(count) >= self.dropped)
        if self.body is not None:
            body = self.body.distance(directions)
            hidden = body < distance
            distance = np.where(hidden, body, distance)
            triangle[hidden], use[hidden] = _UNKNOWN, True
            second &= ~hidden
        points = [origin + directions[use] * distance[use, None]]
        triangles = [triangle[use]]
        if second.any():
            far, far_triangle = other
            points.append(origin + directions[second] * far[second, None])
            triangles.append(far_triangle[second])
        frame = Frame(
            np.concatenate(points).astype(np.float32), stamp, "map", origin=eye.astype(np.float64)
        )
        return Capture(frame, np.concatenate(triangles))

    def _echoes(
        self,
        room: Room,
        origin: np.ndarray,
        directions: np.ndarray,
        distance: np.ndarray,
        triangle: np.ndarray,
        rng: np.random.Generator,
    ) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray], np.ndarray]:
        """The echo of each beam, the farther one where it meets two surfaces, and where that is.

        A beam on an edge returns the one or the other, or a mean of both that lies in the air.
        """
        side = (self.divergence * rng.normal(size=directions.shape)).astype(np.float32)
        hits = room.cast(origin, directions + side)
        beside, triangle_beside = hits.distance, hits.rows
        both = np.isfinite(beside) & np.isfinite(distance)
        gap = np.abs(np.where(both, beside, 0) - np.where(both, distance, 0))
        split = gap > 0.1
        nearer = split & (beside < distance)
        first = np.where(nearer, beside, distance)
        far = np.where(nearer, distance, beside)
        first_triangle = np.where(nearer, triangle_beside, triangle)
        far_triangle = np.where(nearer, triangle, triangle_beside)
        # Close together, the two echoes cannot be told apart.
        mixed = split & (gap < 1.0) & (rng.random(len(directions)) < 0.25)
        share = rng.random(mixed.sum()).astype(np.float32)
        first[mixed] += share * (far[mixed] - first[mixed])
        first_triangle[mixed] = _UNKNOWN
        return first, first_triangle, (far, far_triangle), split & ~mixed & self.dual


@dataclass(frozen=True)
class _Slab:
    """A part of the robot.

    Attributes:
        turn: Azimuth of its middle, radians.
        half_width: Half its width, radians.
        distance: Metres.
        lift: Highest elevation at which it is hit, radians.
    """

    turn: float
    half_width: float
    distance: float
    lift: float


class _Body:
    """Parts of the robot that its own LiDAR sees: posts beside it, a deck below it."""

    def __init__(self, rng: np.random.Generator):
        self.slabs = [
            _Slab(
                turn=rng.uniform(-np.pi, np.pi),
                half_width=rng.uniform(0.03, 0.25),
                distance=rng.uniform(0.12, BODY_REACH - 0.1),
                lift=rng.choice([0.6, rng.uniform(-0.3, 0.0)]),
            )
            for _ in range(rng.integers(1, 5))
        ]
        # Height of the deck below the sensor, metres, and its radius.
        self.deck = rng.uniform(0.08, 0.3) if rng.random() < 0.4 else np.inf
        self.radius = rng.uniform(0.2, BODY_REACH - 0.1)

    def distance(self, directions: np.ndarray) -> np.ndarray:
        """Range of the body along unit ``directions`` (N, 3), (N,) float32; infinite beside it."""
        turn = np.arctan2(directions[:, 1], directions[:, 0])
        lift = np.arcsin(directions[:, 2])
        with np.errstate(divide="ignore"):
            nearest = np.where(directions[:, 2] < 0, self.deck / -directions[:, 2], np.inf)
        nearest[nearest * np.cos(lift) > self.radius] = np.inf
        for slab in self.slabs:
            away = np.abs((turn - slab.turn + np.pi) % (2 * np.pi) - np.pi)
            met = (away < slab.half_width) & (lift < slab.lift)
            nearest[met] = np.minimum(nearest[met], slab.distance / np.cos(lift[met]))
        return nearest.astype(np.float32)
