# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Room shells (walls, floor, ceiling) of many outlines, sizes, surfaces, doors and windows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from concerto_ros.sim.mesh import Finish, Mesh, join
from concerto_ros.sim.pieces.furniture import Rng, pick
from concerto_ros.sim.rooms.ceilings import build_ceiling, flat_surface
from concerto_ros.sim.rooms.floor_plan import FLOORS, FloorPlan, Wall, on_wall
from concerto_ros.sim.rooms.openings import Opening
from concerto_ros.sim.rooms.polygon_plan import PolygonPlan, add_slopes, polygon_plan
from concerto_ros.sim.rooms.varied_doors import Reach, closet_opening, varied_door
from concerto_ros.sim.rooms.varied_windows import glass_wall, varied_window
from concerto_ros.sim.rooms.wall_surfaces import WallStyle, draw_style, finished_wall, paint

#: Minimum and maximum width and depth of each room type, metres; mostly 2.3 to 3.4 m high.
SIZES = {
    "office": ((2.6, 6.5), (2.6, 5.5)),
    "meeting": ((3.2, 7.5), (3.0, 5.5)),
    "kitchen": ((2.4, 5.5), (2.4, 5.0)),
    "bedroom": ((2.8, 5.5), (2.6, 5.0)),
    "lounge": ((3.2, 7.0), (3.0, 6.0)),
    "flat": ((4.5, 8.0), (4.0, 6.5)),
    "corridor": ((4.5, 11.0), (1.3, 2.6)),
    "hall": ((6.0, 11.0), (5.0, 9.0)),
    "bathroom": ((1.7, 3.6), (1.6, 3.2)),
    "storage": ((2.2, 6.0), (2.0, 5.0)),
    "workshop": ((3.5, 8.0), (3.2, 7.0)),
    "classroom": ((5.5, 9.5), (5.0, 8.0)),
    "hotel": ((3.0, 5.0), (3.2, 6.5)),
}
#: Room types that are seldom anything but rectangular.
_PLAIN = ("corridor", "bathroom", "storage", "workshop", "classroom")
#: How far a closet or a door to a corridor may reach back, metres.
_FAR: Reach = (1.5, 1.5, 3.0)


def draw_varied_plan(rng: Rng, kind: str) -> PolygonPlan:
    """Draw a floor plan for a room type with one to seven doors, windows and built-in closets.

    ``kind`` is a key of :data:`SIZES`.
    """
    (w0, w1), (d0, d1) = SIZES[kind]
    width, depth, height = rng.uniform(w0, w1), rng.uniform(d0, d1), rng.uniform(2.3, 3.4)
    if rng.random() < (0.3 if kind in ("hall", "workshop", "storage") else 0.05):
        height = rng.uniform(3.6, 6.0)
    notch = (0.0, 0.0)
    if rng.random() < 0.3 and kind not in ("corridor", "bathroom"):
        notch = (width * rng.uniform(0.15, 0.45), depth * rng.uniform(0.15, 0.45))
    bends = int(rng.choice([0, 0, 0, 1]) if kind in _PLAIN else rng.choice([0, 0, 1, 1, 2, 3]))
    plan = polygon_plan(FloorPlan(width, depth, height, notch), rng, bends)
    if rng.random() < (0.15 if kind in ("bedroom", "flat", "lounge", "office", "hotel") else 0.04):
        plan = add_slopes(plan, rng)
    plan = replace(plan, open_above=rng.random() < 0.06)
    return replace(plan, openings=tuple(_draw_openings(plan, rng, kind)))


def _draw_openings(plan: PolygonPlan, rng: Rng, kind: str) -> list[Opening]:
    """Doors, then closets, then windows, where there is space for them."""
    doors = int(rng.integers(2, 8)) if kind == "corridor" else int(rng.choice([1, 1, 2, 3]))
    windows = int(rng.integers(0, 2)) if kind == "corridor" else int(rng.integers(0, 5))
    closets = (
        int(rng.choice([0, 0, 1, 1, 2]))
        if kind in ("bedroom", "hotel", "flat")
        else int(rng.random() < 0.2)
    )
    openings: list[Opening] = []
    for make in [_door] * doors + [_closet] * closets + [_window] * windows:
        wide, shape = make(plan, rng, kind)
        opening = _free_stretch(plan, openings, wide, shape, rng)
        if opening is not None:
            openings.append(opening)
    return openings


def _door(plan: PolygonPlan, rng: Rng, kind: str) -> tuple[float, Opening]:
    wide, high = rng.uniform(0.7, 1.02), rng.uniform(1.95, 2.15)
    if kind == "workshop" and rng.random() < 0.35:
        wide = rng.uniform(2.2, 3.0)
    elif rng.random() < 0.08:
        wide *= 1.75
    return wide, Opening(0, 0.0, 0.0, 0.0, high, "door")


def _closet(plan: PolygonPlan, rng: Rng, kind: str) -> tuple[float, Opening]:
    high = plan.height if rng.random() < 0.5 else min(plan.height, rng.uniform(2.0, 2.4))
    return rng.uniform(0.8, 3.2), Opening(0, 0.0, 0.0, 0.0, min(high, 3.0), "closet")


def _window(plan: PolygonPlan, rng: Rng, kind: str) -> tuple[float, Opening]:
    if rng.random() < 0.1:
        # Down to the floor, and wider than a door: a narrow one would look like a door.
        high = rng.uniform(1.9, 2.25)
        return rng.uniform(1.4, 2.6), Opening(0, 0.0, 0.0, 0.0, high, "window")
    low = pick(rng, (0.5, 0.8, 0.9, 1.0, 1.1)) + 0.02
    high = min(low + rng.uniform(0.9, 1.6), min(plan.height, 3.4) - 0.15)
    return rng.uniform(0.6, 2.4), Opening(0, 0.0, 0.0, low, high, "window")


def _free_stretch(
    plan: PolygonPlan, taken: list[Opening], wide: float, shape: Opening, rng: Rng
) -> Opening | None:
    """Return the opening in a free stretch of some wall that is high enough for it, or None."""
    low_walls = [slope.wall for slope in plan.slopes]
    for _ in range(20):
        number = int(rng.integers(len(plan.walls)))
        wall = plan.walls[number]
        if number in low_walls or wall.length < wide + 0.5:
            continue
        start = rng.uniform(0.2, wall.length - wide - 0.2)
        free = all(
            o.wall != number or start > o.end + 0.35 or start + wide < o.start - 0.35
            for o in taken
        )
        ends = [wall.point(start - 0.1, 0.01), wall.point(start + wide + 0.1, 0.01)]
        if free and plan.headroom(np.array(ends)).min() >= min(shape.high + 0.1, plan.height):
            return replace(shape, wall=number, start=start, end=start + wide)
    return None


def build_varied_shell(plan: PolygonPlan, rng: Rng) -> Mesh:
    """Build floor, walls, ceiling and openings of a plan in random colours and textures."""
    ground = pick(rng, (*FLOORS, None, None, None))
    if ground is None:
        texture = pick(rng, ("plain", "carpet", "tiles", "planks", "pattern"))
        ground = Finish(tuple(rng.uniform(0.12, 0.9) + rng.uniform(-0.08, 0.08, 3)), texture)
        ground = replace(ground, color=tuple(np.clip(ground.color, 0.04, 0.97)))
    style = draw_style(rng)
    parts = [flat_surface(plan.corners, 0.0, ground, "floor"), *build_ceiling(plan, rng)]
    glass = int(rng.integers(len(plan.walls))) if rng.random() < 0.1 else None
    for number, wall in enumerate(plan.walls):
        parts.append(on_wall(wall, _wall(plan, number, wall, style, number == glass, rng)))
    return join(*parts)


def _wall(
    plan: PolygonPlan, number: int, wall: Wall, style: WallStyle, glass: bool, rng: Rng
) -> Mesh:
    """A wall with what fills its holes, in its own frame."""
    holes = sorted((o for o in plan.openings if o.wall == number), key=lambda o: o.start)
    if rng.random() < 0.12:  # a wall of its own colour
        style = replace(style, finish=Finish(paint(rng), style.finish.texture))
    if glass and all(hole.kind == "door" for hole in holes):
        parts = [glass_wall(wall.length, plan.height, holes, rng)]
    else:
        parts = [finished_wall(wall.length, plan.height, holes, style)]
    for hole in holes:
        if hole.kind == "window":
            parts.append(varied_window(hole, rng))
        elif hole.kind == "closet":
            parts.append(closet_opening(hole, rng, style.finish))
        else:
            reach = _free_behind(plan, wall, hole)
            parts.append(varied_door(hole, rng, style.finish, wall.length, reach))
    return join(*parts)


def _free_behind(plan: PolygonPlan, wall: Wall, hole: Opening) -> Reach:
    """How far a corridor behind a hole may reach without cutting into the room itself."""
    for share in (1.0, 0.6, 0.3, 0.1):
        left, right, back = 1.5 * share, 1.5 * share, max(1.2, 3.0 * share)
        along = np.linspace(hole.start - left, hole.end + right, 8)
        out = np.linspace(-0.25, -back - 0.2, 6)
        points = np.array([wall.point(a, o) for a in along for o in out])
        if not plan.inside(points).any():
            return left, right, back
    return 0.1, 0.1, 1.2
