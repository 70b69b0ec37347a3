# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Labelled, coloured triangle meshes, and the few shapes that furniture is built of.

Every shape is a bent grid of points, so one function makes all triangles. Patches are cut finely
enough (:data:`STEP`) for light baked at their corners to show soft shadows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise

import numpy as np

from concerto_ros.sim.names import NAMELESS, number_of
from concerto_ros.sim.textures import TEXTURES

#: The classes of the simulated world; a label is a position in this tuple.
CLASSES = (
    "floor",
    "wall",
    "ceiling",
    "door",
    "table",
    "chair",
    "sofa",
    "bed",
    "cabinet",
    "screen",
    "person",
    "other",
)

#: Longest edge of a triangle along a flat face, metres.
STEP = 0.12


@dataclass(frozen=True)
class Finish:
    """How a surface looks: ``color`` RGB in 0..1, ``texture`` a name in ``TEXTURES``.

    ``glow`` above 0 is a surface that shines by itself (a lamp, a screen that is on): it replaces
    the light that falls on it.
    """

    color: tuple[float, float, float]
    texture: str = "plain"
    glow: float = 0.0


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles without shared vertices, metres, z up.

    Attributes:
        corners: (T, 3, 3) float32, the three corners of each triangle.
        normals: (T, 3, 3) float32 unit, at each corner; used for light only.
        texture_uv: (T, 3, 2) float32, metres along the texture at each corner.
        color: (T, 3) float32 in 0..1.
        texture: (T,) int32 position in ``TEXTURES``.
        glow: (T,) float32, see :class:`Finish`.
        label: (T,) uint8 position in :data:`CLASSES`.
        name: (T,) int16 number of its fine name, see :mod:`concerto_ros.sim.names`.
    """

    corners: np.ndarray
    normals: np.ndarray
    texture_uv: np.ndarray
    color: np.ndarray
    texture: np.ndarray
    glow: np.ndarray
    label: np.ndarray
    name: np.ndarray

    def __len__(self) -> int:
        return len(self.corners)

    def transformed(self, rotation: np.ndarray, translation: Sequence[float] | np.ndarray) -> Mesh:
        """The mesh after ``p -> rotation @ p + translation``."""
        transposed = np.asarray(rotation, np.float32).T
        # One product of all rows is many times faster than one of each triangle's three.
        corners, normals = (
            (v.reshape(-1, 3) @ transposed).reshape(-1, 3, 3) for v in (self.corners, self.normals)
        )
        corners += np.asarray(translation, np.float32)
        return replace(self, corners=corners, normals=normals)

    def placed(self, x: float, y: float, z: float = 0.0, yaw: float = 0.0) -> Mesh:
        """The mesh turned by ``yaw`` radians about z, then moved to ``(x, y, z)``."""
        return self.transformed(rotation_about("z", yaw), (x, y, z))

    def called(self, name: str) -> Mesh:
        """The mesh, with ``name`` where it has none: parts that have a name keep it."""
        number = np.int16(number_of(name))
        return replace(self, name=np.where(self.name == NAMELESS, number, self.name))

    def called_by_class(self, classes: Sequence[str]) -> Mesh:
        """The mesh, with the name of its class, but for ``other``, where it has none.

        Args:
            classes: What its labels are positions in; labels beyond them give no name.
        """
        numbers = [NAMELESS if c == "other" else number_of(c) for c in classes]
        of_label = np.full(256, NAMELESS, np.int16)
        of_label[: len(numbers)] = numbers
        unnamed = self.name == NAMELESS
        return replace(self, name=np.where(unnamed, of_label[self.label], self.name))

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest corner of the axis-aligned box around the mesh, (3,) each."""
        x, y, z = (self.corners[..., i] for i in range(3))  # faster than along the first axis
        low, high = np.array([(v.min(), v.max()) for v in (x, y, z)]).T
        return low, high


def join(*meshes: Mesh) -> Mesh:
    """All triangles of several meshes as one mesh."""
    parts = {f.name: np.concatenate([getattr(m, f.name) for m in meshes]) for f in fields(Mesh)}
    return Mesh(**parts)


def rotation_about(axis: str, angle: float) -> np.ndarray:
    """Rotation matrix (3, 3) float64 by ``angle`` radians about ``"x"``, ``"y"`` or ``"z"``."""
    first, second = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    matrix = np.eye(3)
    matrix[first, first] = matrix[second, second] = np.cos(angle)
    matrix[second, first] = np.sin(angle)
    matrix[first, second] = -np.sin(angle)
    return matrix


def patch(corner, along, across, finish: Finish, label: str, step: float = STEP) -> Mesh:
    """A flat parallelogram from ``corner`` along two edge vectors; it faces ``along x across``."""
    corner, along, across = (np.asarray(v, np.float64) for v in (corner, along, across))
    length, width = np.linalg.norm(along), np.linalg.norm(across)
    u = np.linspace(0.0, 1.0, int(np.ceil(length / step)) + 1)
    v = np.linspace(0.0, 1.0, int(np.ceil(width / step)) + 1)
    points = corner + u[:, None, None] * along + v[None, :, None] * across
    normal = np.cross(along, across)
    normal = np.broadcast_to(normal / np.linalg.norm(normal), points.shape)
    uv = np.stack(np.broadcast_arrays(u[:, None] * length, v[None, :] * width), axis=-1)
    return _grid(points, normal, uv, finish, label)


def box(size, center, finish: Finish, label: str) -> Mesh:
    """An axis-aligned box of edge lengths ``size`` round ``center``."""
    x, y, z = np.diag(np.asarray(size, np.float64))
    low = np.asarray(center, np.float64) - np.asarray(size, np.float64) / 2
    high = low + x + y + z
    # The longer edge runs along the texture, as the grain of wood does.
    sides = [(low, x, z), (low, z, y), (low, y, x), (high, -z, -x), (high, -y, -z), (high, -x, -y)]
    faces = []
    for corner, along, across in sides:
        if np.linalg.norm(across) > np.linalg.norm(along):
            corner, along, across = corner + across, -across, along
        faces.append(patch(corner, along, across, finish, label))
    return join(*faces)


def lathe(profile, center, finish: Finish, label: str, segments: int = 14) -> Mesh:
    """A surface of revolution about z: ``profile`` is a list of (radius, height above center).

    Going up the profile, the outside is to the right, as for a turned table leg.
    """
    angle = np.linspace(0.0, 2 * np.pi, segments + 1)
    ring = np.stack([np.cos(angle), np.sin(angle), np.zeros_like(angle)], axis=-1)
    bands, travelled = [], 0.0
    for (r0, z0), (r1, z1) in pairwise(profile):
        length = float(np.hypot(r1 - r0, z1 - z0))
        t = np.linspace(0.0, 1.0, int(np.ceil(length / STEP)) + 1)[:, None]
        radius, height = r0 + t * (r1 - r0), z0 + t * (z1 - z0)
        points = ring[None] * radius[..., None]
        points[..., 2] = height
        normal = ring * (z1 - z0) + np.array([0.0, 0.0, r0 - r1])
        normal = np.broadcast_to(normal / max(length, 1e-9), points.shape)
        uv = np.stack(
            np.broadcast_arrays(travelled + t * length, angle[None] * max(r0, r1)), axis=-1
        )
        bands.append(_grid(points + np.asarray(center), normal, uv, finish, label))
        travelled += length
    return join(*bands)


def rod(start, end, radius: float, finish: Finish, label: str, segments: int = 8) -> Mesh:
    """A closed cylinder between two points."""
    start, end = np.asarray(start, np.float64), np.asarray(end, np.float64)
    length = float(np.linalg.norm(end - start))
    axis = (end - start) / length
    helper = np.eye(3)[np.argmin(np.abs(axis))]
    side = np.cross(helper, axis)
    side /= np.linalg.norm(side)
    turn = np.stack([side, np.cross(axis, side), axis], axis=1)
    profile = [(0.0, 0.0), (radius, 0.0), (radius, length), (0.0, length)]
    return lathe(profile, (0, 0, 0), finish, label, segments).transformed(turn, start)


def blob(size, center, finish: Finish, label: str, squareness: float = 0.35) -> Mesh:
    """A superellipsoid of outer ``size``: 1 is an ellipsoid, towards 0 it becomes a box.

    Pillows, heads, bags and leaves.
    """
    half = np.asarray(size, np.float64) / 2
    lift = np.linspace(-np.pi / 2, np.pi / 2, 13)[:, None]
    turn = np.linspace(-np.pi, np.pi, 21)[None]

    def power(x: np.ndarray, exponent: float) -> np.ndarray:
        x = np.where(np.abs(x) < 1e-9, 0.0, x)
        return np.sign(x) * np.abs(x) ** exponent

    def surface(exponent: float) -> np.ndarray:
        flat = power(np.cos(lift), exponent)
        parts = (
            flat * power(np.cos(turn), exponent),
            flat * power(np.sin(turn), exponent),
            power(np.sin(lift), exponent) + 0.0 * turn,
        )
        return np.stack(parts, axis=-1)

    points = surface(squareness) * half
    normal = surface(2.0 - squareness) / half
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True) + 1e-9
    # Texture from above and from the front, which is how cloth lies on a cushion.
    uv = np.stack([points[..., 0], points[..., 1] + points[..., 2]], axis=-1)
    return _grid(points + np.asarray(center), normal, uv, finish, label)


def cushion(size, center, finish: Finish, label: str, radius: float = 0.06) -> Mesh:
    """A box with edges rounded by ``radius`` metres: mattresses, seats and covers."""
    half = np.asarray(size, np.float64) / 2
    radius = min(radius, 0.98 * half.min())
    core = half - radius
    bend = radius * (1 - np.cos(np.linspace(0, np.pi / 2, 4)))
    places = []
    for h, c in zip(half, core, strict=True):
        middle = np.linspace(-c, c, int(np.ceil(2 * c / STEP)) + 2)[1:-1]
        places.append(np.concatenate([-h + bend, middle, h - bend[::-1]]))
    faces = []
    for axis in range(3):
        first, second = (axis + 1) % 3, (axis + 2) % 3
        for side in (-1.0, 1.0):
            grid = np.empty((len(places[first]), len(places[second]), 3))
            grid[..., first] = places[first][:, None]
            grid[..., second] = places[second][None, :]
            grid[..., axis] = side * half[axis]
            inner = np.clip(grid, -core, core)
            normal = grid - inner
            normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
            points = inner + radius * normal + np.asarray(center)
            faces.append(_grid(points, normal, grid[..., [first, second]], finish, label))
    return join(*faces)


def sheet(points, finish: Finish, label: str) -> Mesh:
    """A surface through a grid of points (m, n, 3), both at least 2: curtains, covers, ceilings.

    It faces ``along x across``: the first axis runs along it, the second across.
    """
    points = np.asarray(points, np.float64)
    along, across = np.gradient(points, axis=0), np.gradient(points, axis=1)
    normal = np.cross(along, across)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True) + 1e-12
    uv = np.stack(
        [
            np.cumsum(np.linalg.norm(along, axis=-1), axis=0),
            np.cumsum(np.linalg.norm(across, axis=-1), axis=1),
        ],
        axis=-1,
    )
    return _grid(points, normal, uv, finish, label)


def _grid(points, normals, uv, finish: Finish, label: str) -> Mesh:
    """Build two triangles for each cell of an (m, n) grid of points."""
    grid = np.empty((*points.shape[:2], 8), np.float32)
    grid[..., :3], grid[..., 3:6], grid[..., 6:] = points, normals, uv
    a, b, c, d = grid[:-1, :-1], grid[1:, :-1], grid[1:, 1:], grid[:-1, 1:]
    cells = np.empty((*a.shape[:2], 6, 8), np.float32)
    for index, corner in enumerate((a, b, c, a, c, d)):
        cells[:, :, index] = corner
    cells = cells.reshape(-1, 3, 8)
    count = len(cells)
    return Mesh(
        corners=np.ascontiguousarray(cells[..., :3]),
        normals=np.ascontiguousarray(cells[..., 3:6]),
        texture_uv=np.ascontiguousarray(cells[..., 6:]),
        color=np.broadcast_to(np.asarray(finish.color, np.float32), (count, 3)),
        texture=np.full(count, TEXTURES.index(finish.texture), np.int32),
        glow=np.full(count, finish.glow, np.float32),
        label=np.full(count, CLASSES.index(label), np.uint8),
        name=np.full(count, NAMELESS, np.int16),
    )
