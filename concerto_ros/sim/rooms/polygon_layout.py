# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Placement of furniture in rooms with walls at any angle and sloped ceilings."""

from __future__ import annotations

import numpy as np

from concerto_ros.sim.mesh import Mesh, rotation_about
from concerto_ros.sim.pieces.furniture import Rng, pick
from concerto_ros.sim.rooms.floor_plan import Wall
from concerto_ros.sim.rooms.layout import Layout, Placement
from concerto_ros.sim.rooms.polygon_plan import PolygonPlan

#: Edge of a cell of the map of occupied floor, metres.
CELL = 0.02


class PolygonLayout(Layout):
    """A layout that keeps the occupied floor as a map of cells instead of rectangles.

    Attributes:
        plan: the floor plan.
    """

    plan: PolygonPlan

    def __init__(self, plan: PolygonPlan, rng: Rng):
        super().__init__(plan, rng)
        self._origin = np.array([-plan.width, -plan.depth]) / 2 - 0.5
        shape = np.ceil(-2 * self._origin / CELL).astype(int) + 1
        #: Stretches (wall, start, end) where something hangs or stands high.
        self._covered: list[tuple[int, float, float]] = []
        #: What a piece may not stand on, and what the space in front of it may not reach.
        self._blocked = np.ones(shape[::-1], np.uint8)
        self._taken = np.zeros(shape[::-1], np.uint8)
        self._draw(self._blocked, plan.corners, 0)
        for opening in plan.openings:
            if opening.kind != "window":
                wall = plan.walls[opening.wall]
                self._draw(self._blocked, _strip(wall, opening.start, opening.end, 1.1), 1)

    def against_wall(
        self, mesh: Mesh, front: float = 0.55, tall: bool = False
    ) -> Placement | None:
        """Place a piece as :meth:`Layout.against_wall`, also before an oblique wall."""
        low, high = mesh.bounds()
        # The backs of some chairs lean out behind the plane of their hind legs.
        behind = max(0.0, -float(low[1]))
        width, depth, top = float(high[0] - low[0]), float(high[1]) + behind, float(high[2])
        walls = self.plan.walls
        if width + 0.1 > max(wall.length for wall in walls):
            return None
        for _ in range(80):
            number = int(self.rng.integers(len(walls)))
            wall = walls[number]
            if wall.length < width + 0.1:
                continue
            along = self.rng.uniform(width / 2 + 0.02, wall.length - width / 2 - 0.02)
            gap = 0.16 if self._before_window(number, along, width) else 0.03
            if tall and (gap > 0.03 or self._is_covered(number, along, width / 2)):
                continue
            start, end = along - width / 2, along + width / 2
            body = _strip(wall, start, end, gap + depth)
            zone = _strip(wall, start, end, gap + depth + front)
            if self._free(body, zone, top):
                if top > 1.3:
                    self._covered.append((number, start, end))
                middle = along - float(low[0] + high[0]) / 2
                placement = Placement(*wall.point(middle, gap + behind), wall.yaw)
                return self._put(mesh, placement, body, zone)
        return None

    def freestanding(self, mesh: Mesh, margin: float = 0.5) -> Placement | None:
        """Place a piece as :meth:`Layout.freestanding`, now and then at any angle."""
        low, high = mesh.bounds()
        (x0, y0, _), (x1, y1, top) = low, high
        square = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], np.float64)
        middle = (low + high)[:2].astype(np.float64) / 2
        aside = np.sign(square - middle) * margin
        for _ in range(100):
            yaw = pick(self.rng, (0.0, np.pi / 2, np.pi)) + self.rng.normal(0.0, 0.06)
            if self.rng.random() < 0.15:
                yaw = self.rng.uniform(-np.pi, np.pi)
            turn = rotation_about("z", yaw)[:2, :2].T
            at = self.rng.uniform(-0.5, 0.5, 2) * (self.plan.width, self.plan.depth)
            at = at - middle @ turn
            if self._free(square @ turn + at, (square + aside) @ turn + at, float(top)):
                placement = Placement(float(at[0]), float(at[1]), float(yaw))
                return self._put(mesh, placement, square @ turn + at, (square + aside) @ turn + at)
        return None

    def hang(self, mesh: Mesh, low: float, high: float) -> None:
        """Hang a piece on a wall between two heights, metres, where there is space for it.

        Doors, windows, what hangs already and high furniture leave none.
        """
        walls, plan = self.plan.walls, self.plan
        (x0, _, z0), (x1, _, z1) = mesh.bounds()
        half = max(float(x1), -float(x0)) + 0.08
        for number in self.rng.permutation(len(walls)):
            wall, height = walls[number], self.rng.uniform(low, high)
            if wall.length < 2 * half + 0.2:
                continue
            along = self.rng.uniform(half + 0.05, wall.length - half - 0.05)
            ends = np.array([wall.point(along - half, 0.01), wall.point(along + half, 0.01)])
            busy = any(
                o.wall == number and o.start - half < along < o.end + half for o in plan.openings
            )
            above = min(plan.height, float(plan.headroom(ends).min()))
            if busy or self._is_covered(number, along, half) or height + z1 > above:
                continue
            x, y = wall.point(along, 0.005)
            self.add(mesh.placed(x, y, max(height, -float(z0)), wall.yaw))
            self._covered.append((number, along - half, along + half))
            return

    def _is_covered(self, number: int, along: float, half: float) -> bool:
        return any(
            wall == number and start - half < along < end + half
            for wall, start, end in self._covered
        )

    def stand(self, mesh: Mesh, x: float, y: float, yaw: float) -> Placement | None:
        """Place a piece with its origin at (x, y), metres, where it fits there; else None."""
        (x0, y0, _), (x1, y1, top) = mesh.bounds()
        square = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], np.float64)
        body = square @ rotation_about("z", yaw)[:2, :2].T + (x, y)
        if not self._free(body, body, float(top)):
            return None
        return self._put(mesh, Placement(x, y, yaw), body, body)

    def _free(self, body: np.ndarray, zone: np.ndarray, top: float) -> bool:
        """Whether a piece ``top`` metres high fits there; (4, 2) metres each."""
        if self.plan.slopes and self.plan.headroom(body).min() < top:
            return False
        return not (self._any(self._blocked, body) or self._any(self._taken, zone))

    def _put(
        self, mesh: Mesh, placement: Placement, body: np.ndarray, zone: np.ndarray
    ) -> Placement:
        self.add(mesh.placed(placement.x, placement.y, 0.0, placement.yaw))
        self._draw(self._taken, body, 1)
        self._draw(self._blocked, zone, 1)
        return placement

    def _draw(self, cells: np.ndarray, polygon: np.ndarray, value: int) -> None:
        import cv2

        cv2.fillPoly(cells, [self._pixels(polygon)], value)

    def _pixels(self, polygon: np.ndarray) -> np.ndarray:
        return np.rint((polygon - self._origin) / CELL).astype(np.int32)

    def _any(self, cells: np.ndarray, polygon: np.ndarray) -> bool:
        """Whether any cell is set in a convex polygon, its outer cells left out."""
        import cv2

        inward = polygon.mean(axis=0) - polygon
        length = np.linalg.norm(inward, axis=1, keepdims=True)
        pixels = self._pixels(polygon + inward * np.minimum(1.0, 2 * CELL / (length + 1e-9)))
        low, high = pixels.min(axis=0), pixels.max(axis=0) + 1
        if (low < 0).any() or (high > cells.shape[::-1]).any():
            low, high = np.maximum(low, 0), np.minimum(high, cells.shape[::-1])
            if (high <= low).any():
                return False
        window = np.zeros((high - low)[::-1], np.uint8)
        cv2.fillConvexPoly(window, pixels - low, 1)
        return bool((cells[low[1] : high[1], low[0] : high[0]] & window).any())


def _strip(wall: Wall, start: float, end: float, out: float) -> np.ndarray:
    """The floor along a part of a wall and ``out`` metres into the room, (4, 2)."""
    places = ((start, 0.0), (end, 0.0), (end, out), (start, out))
    return np.array([wall.point(*place) for place in places])
