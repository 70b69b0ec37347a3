# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The shell of a room: floor plan, walls with a door and windows, ceiling."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from concerto_ros.sim.furniture import METAL, Rng, cloth, pick, wooden
from concerto_ros.sim.mesh import Finish, Mesh, box, join, patch

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
FRAME = Finish((0.93, 0.93, 0.91))


@dataclass(frozen=True)
class Wall:
    """One straight wall seen from inside, its interior on the left of ``start`` -> ``end``."""

    start: np.ndarray
    end: np.ndarray

    @property
    def length(self) -> float:
        return float(np.linalg.norm(self.end - self.start))

    @property
    def yaw(self) -> float:
        """Turn about z that brings furniture's front (+y) to face into the room."""
        along = self.end - self.start
        return float(np.arctan2(along[1], along[0]))

    def point(self, along: float, out: float = 0.0) -> tuple[float, float]:
        """The place ``along`` metres from the start and ``out`` metres into the room."""
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        x, y = self.start + along * np.array([c, s]) + out * np.array([-s, c])
        return float(x), float(y)


@dataclass(frozen=True)
class Opening:
    """A hole in wall number ``wall``: ``start`` to ``end`` along it, ``low`` to ``high`` up it."""

    wall: int
    start: float
    end: float
    low: float
    high: float
    kind: str


@dataclass(frozen=True)
class Plan:
    """A rectangular room centred on the origin, or an L: the rectangle less one corner.

    ``notch`` is the (width, depth) cut out of the corner of largest x and y, (0, 0) for none.
    """

    width: float
    depth: float
    height: float
    notch: tuple[float, float] = (0.0, 0.0)
    openings: tuple[Opening, ...] = field(default=())

    @property
    def corners(self) -> np.ndarray:
        """The outline, (4 or 6, 2) metres, counter-clockwise."""
        x, y = self.width / 2, self.depth / 2
        if not self.notch[0]:
            return np.array([(-x, -y), (x, -y), (x, y), (-x, y)])
        u, v = x - self.notch[0], y - self.notch[1]
        return np.array([(-x, -y), (x, -y), (x, v), (u, v), (u, y), (-x, y)])

    @property
    def walls(self) -> list[Wall]:
        corners = self.corners
        return [Wall(a, b) for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True)]

    def contains(self, x0: float, y0: float, x1: float, y1: float) -> bool:
        """Whether an axis-aligned rectangle lies inside."""
        x, y, slack = self.width / 2, self.depth / 2, 1e-3
        inside = x0 >= -x - slack and y0 >= -y - slack and x1 <= x + slack and y1 <= y + slack
        in_notch = (
            self.notch[0] > 0 and x1 > x - self.notch[0] + slack and y1 > y - self.notch[1] + slack
        )
        return inside and not in_notch


def draw_plan(rng: Rng) -> Plan:
    """A floor plan of 18 to 45 square metres with one door and one or two windows."""
    width, depth, height = rng.uniform(4.8, 7.2), rng.uniform(4.2, 6.2), rng.uniform(2.4, 2.9)
    notch = (0.0, 0.0)
    if rng.random() < 0.35:
        notch = (width * rng.uniform(0.25, 0.4), depth * rng.uniform(0.25, 0.4))
    plan = Plan(width, depth, height, notch)
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
    return Plan(width, depth, height, notch, tuple(openings))


def build_shell(plan: Plan, rng: Rng) -> Mesh:
    """Floor, walls, ceiling, door and windows of a plan."""
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
            fill = _door if hole.kind == "door" else window
            parts.append(on_wall(wall, fill(hole, rng)))
    return join(*parts)


def floor_rectangles(plan: Plan) -> list[tuple[float, float, float, float]]:
    """The plan as rectangles (x, y, width, depth) that meet without overlap."""
    x, y, (u, v) = -plan.width / 2, -plan.depth / 2, plan.notch
    if not u:
        return [(x, y, plan.width, plan.depth)]
    return [(x, y, plan.width - u, plan.depth), (-x - u, y, u, plan.depth - v)]


def wall_with_holes(wall: Wall, height: float, holes: list[Opening], finish: Finish) -> Mesh:
    """The wall's face round its holes, with a skirting board where it meets the floor."""
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
        # Faces -y of the wall's own frame would be outside: +y is the room.
        corner = (end, 0.0, low)
        parts.append(patch(corner, (start - end, 0, 0), (0, 0, high - low), finish, "wall"))
        if low == 0.0:
            size, middle = (end - start, 0.014, 0.07), ((start + end) / 2, 0.007, 0.035)
            parts.append(box(size, middle, FRAME, "wall"))
    return on_wall(wall, join(*parts))


def on_wall(wall: Wall, mesh: Mesh) -> Mesh:
    """From the wall's own frame (x along it, y into the room) to the room's."""
    return mesh.placed(*wall.start, 0.0, wall.yaw)


def lining(hole: Opening, depth: float, finish: Finish, label: str) -> Mesh:
    """The inner faces of a hole that goes ``depth`` into the wall."""
    wide, tall = hole.end - hole.start, hole.high - hole.low
    low_left, low_right = (hole.start, -depth, hole.low), (hole.end, -depth, hole.low)
    top_left = (hole.start, -depth, hole.high)
    return join(
        patch(low_left, (0, depth, 0), (0, 0, tall), finish, label),
        patch(low_right, (0, 0, tall), (0, depth, 0), finish, label),
        patch(top_left, (0, depth, 0), (wide, 0, 0), finish, label),
        patch(low_left, (wide, 0, 0), (0, depth, 0), finish, label),
    )


def casing(hole: Opening, label: str, with_sill: bool, finish: Finish = FRAME) -> Mesh:
    """Boards on the wall round a hole."""
    wide, tall, mid = hole.end - hole.start, hole.high - hole.low, (hole.start + hole.end) / 2
    parts = [box((wide + 0.14, 0.03, 0.07), (mid, 0.015, hole.high + 0.035), finish, label)]
    for x in (hole.start - 0.035, hole.end + 0.035):
        parts.append(box((0.07, 0.03, tall), (x, 0.015, hole.low + tall / 2), finish, label))
    if with_sill:
        parts.append(box((wide + 0.2, 0.14, 0.03), (mid, 0.05, hole.low - 0.015), finish, label))
    return join(*parts)


def _door(hole: Opening, rng: Rng) -> Mesh:
    """A leaf, shut or some way open onto a short corridor, with panels and a handle."""
    wide, tall = hole.end - hole.start, hole.high
    finish = wooden(rng)
    swing = rng.uniform(0.3, 1.3) if rng.random() < 0.4 else 0.0
    leaf = [box((wide, 0.04, tall - 0.01), (wide / 2, 0, tall / 2), finish, "door")]
    for z, high in ((0.28 * tall, 0.34 * tall), (0.70 * tall, 0.36 * tall)):
        for y in (-0.024, 0.024):
            panel = (wide * 0.62, 0.012, high)
            leaf.append(box(panel, (wide / 2, y, z), finish, "door"))
    for y in (-0.06, 0.06):
        leaf.append(box((0.13, 0.02, 0.02), (wide - 0.12, y, 1.03), METAL, "door"))
        leaf.append(box((0.03, 0.06, 0.03), (wide - 0.07, y / 2, 1.03), METAL, "door"))
    hinged = join(*leaf).placed(hole.start, -0.03, 0.005, swing)
    parts = [hinged, casing(hole, "door", False), lining(hole, 0.12, FRAME, "door")]
    if swing:
        a, b, far = hole.start - 0.6, hole.end + 0.6, -1.4
        paint = Finish((0.8, 0.78, 0.72), "plaster")
        parts += [
            patch((a, far, 0), (b - a, 0, 0), (0, -0.12 - far, 0), FLOORS[3], "floor"),
            patch((b, far, 0), (a - b, 0, 0), (0, 0, 2.4), paint, "wall"),
            patch((a, far, 0), (0, 0, 2.4), (0, -0.12 - far, 0), paint, "wall"),
            patch((b, far, 0), (0, -0.12 - far, 0), (0, 0, 2.4), paint, "wall"),
            patch((a, far, 2.4), (0, -0.12 - far, 0), (b - a, 0, 0), FRAME, "ceiling"),
        ]
    return join(*parts)


def window(hole: Opening, rng: Rng) -> Mesh:
    """A bright pane with a cross bar, a sill, and curtains one time in two; it counts as wall."""
    wide, tall = hole.end - hole.start, hole.high - hole.low
    mid, up = (hole.start + hole.end) / 2, (hole.low + hole.high) / 2
    pane = Finish((0.86, 0.92, 0.98), "plain", glow=1.15)
    corner = (hole.end, -0.14, hole.low)
    parts = [
        patch(corner, (-wide, 0, 0), (0, 0, tall), pane, "wall"),
        box((0.05, 0.05, tall), (mid, -0.12, up), FRAME, "wall"),
        box((wide, 0.05, 0.05), (mid, -0.12, hole.low + 0.025), FRAME, "wall"),
        box((wide, 0.05, 0.05), (mid, -0.12, hole.high - 0.025), FRAME, "wall"),
        lining(hole, 0.14, FRAME, "wall"),
        casing(hole, "wall", True),
    ]
    if rng.random() < 0.5:
        finish, drop = (
            cloth(rng),
            hole.high + 0.1 - (0.05 if rng.random() < 0.5 else hole.low - 0.1),
        )
        for side in (-1, 1):
            for fold in range(4):
                x = mid + side * (wide / 2 + 0.12 - 0.07 * fold)
                middle = (x, 0.08 + 0.025 * (fold % 2), hole.high + 0.1 - drop / 2)
                parts.append(box((0.07, 0.03, drop), middle, finish, "wall"))
        rail = (mid, 0.09, hole.high + 0.11)
        parts.append(box((wide + 0.5, 0.025, 0.025), rail, METAL, "wall"))
    return join(*parts)
