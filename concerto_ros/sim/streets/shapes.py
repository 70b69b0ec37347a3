# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Labelled triangles for LiDAR, and shapes made many at a time.

A street has hundreds of thousands of triangles and needs no baked light, so these have what a beam
of light depends on instead of the corner normals and textures of :mod:`concerto_ros.sim.mesh`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import numpy as np

from concerto_ros.sim.mesh import rotation_about
from concerto_ros.sim.street_classes import STREET_CLASSES

#: The classes of the simulated streets; a label is a position in this tuple.
CLASSES = STREET_CLASSES


class Paint(NamedTuple):
    """The class of a surface and what it does to a beam of light.

    Attributes:
        label: a name in :data:`CLASSES`.
        color: RGB in 0..255.
        reflectance: share of the light that is scattered back, in 0..1.
        gaps: share of the beams that pass through: panes of glass, wire mesh.
        roughness: depth over which the surface scatters, metres: grass, gravel.
    """

    label: str
    color: tuple[float, float, float]
    reflectance: float = 0.4
    gaps: float = 0.0
    roughness: float = 0.0


@dataclass(frozen=True, eq=False)
class Solid:
    """Triangles without shared corners, metres, z up.

    Attributes:
        corners: (T, 3, 3) float32.
        label: (T,) uint8, position in :data:`CLASSES`.
        color: (T, 3) uint8 RGB.
        optics: (T, 3) float32: reflectance, gaps and roughness, see :class:`Paint`.
    """

    corners: np.ndarray
    label: np.ndarray
    color: np.ndarray
    optics: np.ndarray

    def __len__(self) -> int:
        return len(self.corners)

    def placed(self, x: float, y: float, z: float = 0.0, yaw: float = 0.0) -> Solid:
        """The triangles turned by ``yaw`` radians about z, then moved to ``(x, y, z)``."""
        return self.turned(rotation_about("z", yaw)).moved((x, y, z))

    def turned(self, matrix: np.ndarray) -> Solid:
        """The triangles after ``p -> matrix @ p``: turned, scaled or mirrored."""
        turned = self.corners.reshape(-1, 3) @ np.asarray(matrix, np.float32).T
        return replace(self, corners=turned.reshape(-1, 3, 3))

    def moved(self, translation: Sequence[float] | np.ndarray) -> Solid:
        """The triangles moved by ``translation``."""
        return replace(self, corners=self.corners + np.asarray(translation, np.float32))

    def labelled(self, label: str) -> Solid:
        """The triangles with another class."""
        return replace(self, label=np.full(len(self), CLASSES.index(label), np.uint8))


def join(solids: Sequence[Solid]) -> Solid:
    """All triangles of at least one solid."""
    return Solid(
        *(
            np.concatenate([getattr(solid, field.name) for solid in solids])
            for field in fields(Solid)
        )
    )


def triangles(corners: np.ndarray, paint: Paint) -> Solid:
    """Triangles with one paint, from ``corners`` (T, 3, 3)."""
    count = len(corners)
    return Solid(
        np.ascontiguousarray(corners, np.float32),
        np.full(count, CLASSES.index(paint.label), np.uint8),
        np.broadcast_to(np.clip(paint.color, 0, 255).astype(np.uint8), (count, 3)),
        np.broadcast_to(np.array(paint[2:], np.float32), (count, 3)),
    )


def quads(corners: np.ndarray, paint: Paint) -> Solid:
    """Flat quadrilaterals, from their ``corners`` (Q, 4, 3) in order around each."""
    corners = np.asarray(corners, np.float32).reshape(-1, 4, 3)
    return triangles(corners[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3, 3), paint)


def sheet(points: np.ndarray, paint: Paint) -> Solid:
    """The cells of a bent grid of ``points`` (M, N, 3)."""
    cells = [points[:-1, :-1], points[1:, :-1], points[1:, 1:], points[:-1, 1:]]
    return quads(np.stack(cells, 2).reshape(-1, 4, 3), paint)


_SIDES = np.array(
    [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
)
_CORNERS = np.array([(x, y, z) for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])


def boxes(centers, sizes, paint: Paint, yaw=0.0) -> Solid:
    """Boxes round ``centers`` (N, 3) with edge lengths ``sizes`` (N, 3) or (3,).

    Args:
        centers: metres.
        sizes: metres.
        paint: of all.
        yaw: (N,) or one, radians about z.
    """
    centers = np.atleast_2d(np.asarray(centers, np.float64))
    corners = _CORNERS * np.broadcast_to(np.asarray(sizes, np.float64), centers.shape)[:, None]
    turn = np.broadcast_to(np.asarray(yaw, np.float64), len(centers))[:, None]
    x = corners[..., 0] * np.cos(turn) - corners[..., 1] * np.sin(turn)
    y = corners[..., 0] * np.sin(turn) + corners[..., 1] * np.cos(turn)
    corners = np.stack([x, y, corners[..., 2]], -1) + centers[:, None]
    return quads(corners[:, _SIDES], paint)


def tubes(starts, ends, radius, paint: Paint, end_radius=None, sides: int = 6) -> Solid:
    """Closed cylinders or cones between ``starts`` and ``ends``, both (N, 3) or (3,).

    Args:
        starts: metres.
        ends: metres.
        radius: (N,) or one, at the starts, metres.
        paint: of all.
        end_radius: (N,) or one, at the ends, metres; None: as at the starts.
        sides: number of flat sides.
    """
    starts, ends = np.broadcast_arrays(np.atleast_2d(np.asarray(starts, np.float64)), ends)
    axis = ends - starts
    axis = axis / (np.linalg.norm(axis, axis=1, keepdims=True) + 1e-9)
    helper = np.eye(3)[np.abs(axis).argmin(1)]
    first = np.cross(axis, helper)
    first /= np.linalg.norm(first, axis=1, keepdims=True) + 1e-9
    second = np.cross(axis, first)
    angle = np.arange(sides) * 2 * np.pi / sides
    ring = np.cos(angle)[:, None] * first[:, None] + np.sin(angle)[:, None] * second[:, None]
    radius = np.broadcast_to(np.asarray(radius, np.float64), len(starts))[:, None, None]
    if end_radius is None:
        end_radius = radius
    end_radius = np.broadcast_to(
        np.asarray(end_radius, np.float64).reshape(-1, 1, 1), radius.shape
    )
    low, high = starts[:, None] + ring * radius, ends[:, None] + ring * end_radius
    next_low, next_high = np.roll(low, -1, 1), np.roll(high, -1, 1)
    mantle = np.stack([low, next_low, next_high, high], 2).reshape(-1, 4, 3)
    middle = np.broadcast_to(starts[:, None], low.shape), np.broadcast_to(ends[:, None], low.shape)
    caps = [
        np.stack([middle[0], low, next_low], 2).reshape(-1, 3, 3),
        np.stack([middle[1], high, next_high], 2).reshape(-1, 3, 3),
    ]
    return join([quads(mantle, paint), triangles(np.concatenate(caps), paint)])


def rounds(centers, sizes, paint: Paint, sides: int = 8) -> Solid:
    """Ellipsoids round ``centers`` (N, 3) with outer ``sizes`` (N, 3) or (3,)."""
    centers = np.atleast_2d(np.asarray(centers, np.float64))
    half = np.broadcast_to(np.asarray(sizes, np.float64), centers.shape)[:, None, None] / 2
    lift = np.linspace(-np.pi / 2, np.pi / 2, sides // 2 + 2)[:, None]
    turn = np.linspace(0, 2 * np.pi, sides + 1)[None]
    unit = np.stack(
        [np.cos(lift) * np.cos(turn), np.cos(lift) * np.sin(turn), np.sin(lift) + 0 * turn], -1
    )
    points = centers[:, None, None] + unit * half
    cells = [points[:, :-1, :-1], points[:, 1:, :-1], points[:, 1:, 1:], points[:, :-1, 1:]]
    return quads(np.stack(cells, 3).reshape(-1, 4, 3), paint)


def prism(outline: np.ndarray, low: float, high: float, paint: Paint) -> Solid:
    """A vertical prism over a convex ``outline`` (M, 2), closed above and below."""
    outline = np.asarray(outline, np.float64)
    bottom = np.column_stack([outline, np.full(len(outline), low)])
    top = np.column_stack([outline, np.full(len(outline), high)])
    sides = np.stack([bottom, np.roll(bottom, -1, 0), np.roll(top, -1, 0), top], 1)
    fan = [
        np.stack([np.broadcast_to(ring[0], ring[2:].shape), ring[1:-1], ring[2:]], 1)
        for ring in (bottom, top)
    ]
    return join([quads(sides, paint), triangles(np.concatenate(fan), paint)])


def leaves(points: np.ndarray, size, paint: Paint, rng: np.random.Generator) -> Solid:
    """A triangle of edge length ``size`` metres, (N,) or one, turned at random at each point."""
    points = np.asarray(points, np.float32)
    size = np.broadcast_to(np.asarray(size, np.float32), len(points))
    offset = rng.standard_normal((len(points), 3, 3), np.float32)
    offset /= np.linalg.norm(offset, axis=2, keepdims=True) + 1e-6
    return triangles(points[:, None] + offset * (0.6 * size[:, None, None]), paint)


def blades(points: np.ndarray, height, width: float, paint: Paint, rng) -> Solid:
    """A thin, upright, leaning triangle from each point at the ground: grass, reeds, crops.

    Args:
        points: (N, 3) metres.
        height: (N,) or one, metres.
        width: metres at the ground.
        paint: of all.
        rng: for the directions in which they lean.
    """
    points = np.asarray(points, np.float64)
    turn = rng.uniform(0, 2 * np.pi, len(points))
    side = np.stack([np.cos(turn), np.sin(turn), 0 * turn], 1) * width / 2
    lean = rng.normal(0, 0.25, (len(points), 3)) + [0, 0, 1]
    tip = points + lean * np.broadcast_to(np.asarray(height, np.float64), len(points))[:, None]
    return triangles(np.stack([points - side, points + side, tip], 1), paint)
