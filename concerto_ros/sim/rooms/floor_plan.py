# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The shell of a room: floor plan, walls with a door and windows, ceiling."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from concerto_ros.sim.mesh import Finish, Mesh, box, join, patch
from concerto_ros.sim.pieces.furniture import Rng, pick
from concerto_ros.sim.rooms.doors import door
from concerto_ros.sim.rooms.openings import FRAME, Opening, window

WALL_COLORS = (
    (0.90, 0.88, 0.83),
    (0.85, 0.86, 0.86),
    (0.80, 0.84, 0.79),
    (0.88, 0.80, 0.70),
    (0.76, 0.80, 0.86),
)
FLOORS = (
    Finish((0.68, 0.50, 0.33), "planks"),
    Finish((0.50, 0.36, 0.24), "planks"),
    Finish((0.80, 0.68, 0.52), "planks"),
    Finish((0.72, 0.70, 0.66), "tiles"),
    Finish((0.50, 0.52, 0.55), "carpet"),
    Finish((0.58, 0.50, 0.42), "carpet"),
)


@dataclass(frozen=True)
class Wall:
    """One straight wall seen from inside, its interior on the left of ``start`` -> ``end``."""

    start: np.ndarray
    end: np.ndarray

    @property
    def length(self) -> float:
        """Length, metres."""
        return float(np.linalg.norm(self.end - self.start))

    @property
    def yaw(self) -> float:
        """Rotation about z, radians, that turns the front of furniture (+y) into the room."""
        along = self.end - self.start
        return float(np.arctan2(along[1], along[0]))

    def point(self, along: float, out: float = 0.0) -> tuple[float, float]:
        """Return the point ``along`` metres from the start and ``out`` metres into the room."""
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        x, y = self.start + along * np.array([c, s]) + out * np.array([-s, c])
        return float(x), float(y)


@dataclass(frozen=True)
class FloorPlan:
    """A rectangular room centred on the origin, or an L: the rectangle minus one corner.

    Attributes:
        width: along x, metres.
        depth: along y, metres.
        height: of the ceiling, metres.
        notch: (width, depth) cut out of the corner of largest x and y, (0, 0) for none.
        openings: doors and windows.
    """

    width: float
    depth: float
    height: float
    notch: tuple[float, float] = (0.0, 0.0)
    openings: tuple[Opening, ...] = field(default=())

    @property
    def corners(self) -> np.ndarray:
        """Corners of the outline, (4 or 6, 2) metres, counter-clockwise."""
        x, y = self.width / 2, self.depth / 2
        if not self.notch[0]:
            return np.array([(-x, -y), (x, -y), (x, y), (-x, y)])
        u, v = x - self.notch[0], y - self.notch[1]
        return np.array([(-x, -y), (x, -y), (x, v), (u, v), (u, y), (-x, y)])

    @property
    def walls(self) -> list[Wall]:
        """Walls between the corners, in the same order."""
        corners = self.corners
        return [Wall(a, b) for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True)]

    @property
    def middle(self) -> tuple[float, float]:
        """The middle of the larger part of the room, metres."""
        return (-self.notch[0] / 2, 0.0)

    def contains(self, x0: float, y0: float, x1: float, y1: float) -> bool:
        """Return whether an axis-aligned rectangle lies inside; metres."""
        x, y, slack = self.width / 2, self.depth / 2, 1e-3
        inside = x0 >= -x - slack and y0 >= -y - slack and x1 <= x + slack and y1 <= y + slack
        in_notch = (
            self.notch[0] > 0 and x1 > x - self.notch[0] + slack and y1 > y - self.notch[1] + slack
        )
        return inside and not in_notch


def draw_plan(rng: Rng) -> FloorPlan:
    """Draw a floor plan of 18 to 45 square metres with one door and one or two windows."""
    width, depth, height = rng.uniform(4.8, 7.2), rng.uniform(4.2, 6.2), rng.uniform(2.4, 2.9)
    notch = (0.0, 0.0)
    if rng.random() < 0.35:
        notch = (width * rng.uniform(0.25, 0.4), depth * rng.uniform(0.25, 0.4))
    plan = FloorPlan(width, depth, height, notch)
    walls = plan.walls
    order = [i for i in rng.permutation(len(walls)) if walls[i].length > 2.2]
    span = walls[order[0]].length
    start = rng.uniform(0.35, span - 1.35)
    openings = [Opening(int(order[0]), start, start + 0.92, 0.0, 2.06, "door")]
    for i in order[1 : 1 + int(rng.integers(1, 3))]:
        span, wide = walls[i].length, rng.uniform(1.0, 1.7)
        start = rng.uniform(0.3, span - wide - 0.3)
        low = rng.uniform(0.85, 1.0)
        openings.append(Opening(int(i), start, start + wide, low, rng.uniform(2.0, 2.2), "window"))
    return FloorPlan(width, depth, height, notch, tuple(openings))


def build_shell(plan: FloorPlan, rng: Rng) -> Mesh:
    """Build floor, walls, ceiling, door and windows of a plan."""
    paint = pick(rng, WALL_COLORS)
    accent = int(rng.integers(len(plan.walls) * 2))
    texture = pick(rng, ("plaster", "plaster", "plain", "stripes"))
    ground, parts = pick(rng, FLOORS), []
    for x, y, dx, dy in floor_rectangles(plan):
        parts.append(patch((x, y, 0), (dx, 0, 0), (0, dy, 0), ground, "floor"))
        parts.append(patch((x, y, plan.height), (0, dy, 0), (dx, 0, 0), FRAME, "ceiling"))
    for number, wall in enumerate(plan.walls):
        color = tuple(np.asarray(paint) * (0.72 if number == accent else 1.0))
        holes = sorted((o for o in plan.openings if o.wall == number), key=lambda o: o.start)
        parts.append(wall_with_holes(wall, plan.height, holes, Finish(color, texture)))
        for hole in holes:
            fill = window if hole.kind == "window" else door
            parts.append(on_wall(wall, fill(hole, rng)))
    return join(*parts)


def floor_rectangles(plan: FloorPlan) -> list[tuple[float, float, float, float]]:
    """Return the plan as rectangles (x, y, width, depth) that touch without overlap."""
    x, y, (u, v) = -plan.width / 2, -plan.depth / 2, plan.notch
    if not u:
        return [(x, y, plan.width, plan.depth)]
    return [(x, y, plan.width - u, plan.depth), (-x - u, y, u, plan.depth - v)]


def wall_with_holes(wall: Wall, height: float, holes: list[Opening], finish: Finish) -> Mesh:
    """Build the wall's face around its holes, with a skirting board where it meets the floor."""
    panels, at = [], 0.0
    for hole in holes:
        panels.append((at, hole.start, 0.0, height))
        panels += [
            (hole.start, hole.end, 0.0, hole.low),
            (hole.start, hole.end, hole.high, height),
        ]
        at = hole.end
    panels.append((at, wall.length, 0.0, height))
    parts = []
    for start, end, low, high in panels:
        if end - start < 1e-6 or high - low < 1e-6:
            continue
        # The face points to +y of the wall's frame, into the room.
        corner = (end, 0.0, low)
        parts.append(patch(corner, (start - end, 0, 0), (0, 0, high - low), finish, "wall"))
        if low == 0.0:
            size, middle = (end - start, 0.014, 0.07), ((start + end) / 2, 0.007, 0.035)
            parts.append(box(size, middle, FRAME, "wall"))
    return on_wall(wall, join(*parts))


def on_wall(wall: Wall, mesh: Mesh) -> Mesh:
    """Move a mesh from the wall's frame (x along it, y into the room) to the room's frame."""
    x, y = wall.start
    return mesh.placed(x, y, 0.0, wall.yaw)
