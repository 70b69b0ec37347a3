# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Room shells (walls, floor, ceiling) of many sizes, paints, and types of doors and windows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from concerto_ros.sim.mesh import Finish, Mesh, box, join, patch
from concerto_ros.sim.pieces.furniture import Rng, pick, wooden
from concerto_ros.sim.rooms.doors import door
from concerto_ros.sim.rooms.floor_plan import (
    FLOORS,
    FloorPlan,
    floor_rectangles,
    on_wall,
    wall_with_holes,
)
from concerto_ros.sim.rooms.openings import Opening, window

#: Minimum and maximum width and depth of each room type, metres; 2.3 to 3.4 m high.
SIZES = {
    "office": ((2.6, 6.5), (2.6, 5.5)),
    "meeting": ((3.2, 7.5), (3.0, 5.5)),
    "kitchen": ((2.4, 5.5), (2.4, 5.0)),
    "bedroom": ((2.8, 5.5), (2.6, 5.0)),
    "lounge": ((3.2, 7.0), (3.0, 6.0)),
    "flat": ((4.5, 8.0), (4.0, 6.5)),
    "corridor": ((4.5, 11.0), (1.5, 2.6)),
    "hall": ((6.0, 11.0), (5.0, 9.0)),
}


def draw_varied_plan(rng: Rng, kind: str) -> FloorPlan:
    """Draw a floor plan for a room type with one to five doors and up to four windows.

    ``kind`` is a key of :data:`SIZES`.
    """
    (w0, w1), (d0, d1) = SIZES[kind]
    width, depth, height = rng.uniform(w0, w1), rng.uniform(d0, d1), rng.uniform(2.3, 3.4)
    notch = (0.0, 0.0)
    if rng.random() < 0.3 and kind != "corridor":
        notch = (width * rng.uniform(0.15, 0.45), depth * rng.uniform(0.15, 0.45))
    plan = FloorPlan(width, depth, height, notch)
    openings: list[Opening] = []
    doors = int(rng.integers(2, 6)) if kind == "corridor" else int(rng.choice([1, 1, 2, 3]))
    windows = int(rng.integers(0, 2)) if kind == "corridor" else int(rng.integers(0, 5))
    for number in range(doors + windows):
        if number < doors:
            opening_kind, low = "door", 0.0
            wide, high = rng.uniform(0.7, 1.02), rng.uniform(1.95, 2.15)
            if rng.random() < 0.08:
                wide *= 1.75
        elif rng.random() < 0.08:
            # Down to the floor, and wider than a door: a narrow one would look like a door.
            opening_kind, wide, low, high = (
                "window",
                rng.uniform(1.4, 2.6),
                0.0,
                rng.uniform(1.9, 2.25),
            )
        else:
            opening_kind, wide, low = (
                "window",
                rng.uniform(0.6, 2.4),
                pick(rng, (0.5, 0.8, 0.9, 1.0, 1.1)),
            )
            high = min(low + rng.uniform(0.9, 1.6), height - 0.15)
        opening = _free_stretch(plan, openings, wide, rng)
        if opening is not None:
            openings.append(
                replace(opening, low=low + 0.02 * (low > 0), high=high, kind=opening_kind)
            )
    return replace(plan, openings=tuple(openings))


def _free_stretch(plan: FloorPlan, taken: list[Opening], wide: float, rng: Rng) -> Opening | None:
    """Return a free stretch of some wall, or None."""
    for _ in range(20):
        number = int(rng.integers(len(plan.walls)))
        span = plan.walls[number].length
        if span < wide + 0.5:
            continue
        start = rng.uniform(0.2, span - wide - 0.2)
        free = all(
            o.wall != number or start > o.end + 0.35 or start + wide < o.start - 0.35
            for o in taken
        )
        if free:
            return Opening(number, start, start + wide, 0.0, 2.0, "")
    return None


def build_varied_shell(plan: FloorPlan, rng: Rng) -> Mesh:
    """Build floor, walls, ceiling and openings of a plan in random colours and textures."""
    paint = _paint(rng, pale=True)
    ground = pick(rng, (*FLOORS, None, None, None))
    if ground is None:
        ground = Finish(_paint(rng), pick(rng, ("plain", "carpet", "tiles", "planks", "pattern")))
    above = Finish(_paint(rng, pale=True), pick(rng, ("plain", "plaster", "tiles")))
    parts = []
    for x, y, dx, dy in floor_rectangles(plan):
        parts.append(patch((x, y, 0), (dx, 0, 0), (0, dy, 0), ground, "floor"))
        parts.append(patch((x, y, plan.height), (0, dy, 0), (dx, 0, 0), above, "ceiling"))
    textures = ("plaster", "plain", "tiles", "stripes", "pattern")
    texture = str(rng.choice(textures, p=(0.45, 0.30, 0.10, 0.08, 0.07)))
    for number, wall in enumerate(plan.walls):
        color = paint if rng.random() < 0.85 else _paint(rng, pale=rng.random() < 0.6)
        holes = sorted((o for o in plan.openings if o.wall == number), key=lambda o: o.start)
        parts.append(wall_with_holes(wall, plan.height, holes, Finish(color, texture)))
        for hole in holes:
            fill = window if hole.kind == "window" else door
            parts.append(on_wall(wall, fill(hole, rng)))
    parts += _overhead(plan, rng)
    return join(*parts)


def _paint(rng: Rng, pale: bool = False) -> tuple[float, float, float]:
    grey = rng.uniform(0.55, 0.95) if pale else rng.uniform(0.12, 0.9)
    tint = rng.uniform(0, 0.08 if rng.random() < 0.7 else 0.25)
    return tuple(np.clip(grey + tint * rng.uniform(-1, 1, 3), 0.04, 0.97))


def _overhead(plan: FloorPlan, rng: Rng) -> list[Mesh]:
    """Lamp panels, beams and ducts under the ceiling."""
    parts, height = [], plan.height
    if rng.random() < 0.4:
        glow = Finish((0.97, 0.97, 0.95), glow=1.05)
        for x in np.arange(-plan.width / 2 + 0.9, plan.width / 2 - 0.6, rng.uniform(1.5, 2.6)):
            for y in np.arange(-plan.depth / 2 + 0.8, plan.depth / 2 - 0.5, rng.uniform(1.5, 2.4)):
                if plan.contains(x - 0.7, y - 0.3, x + 0.7, y + 0.3):
                    parts.append(box((1.2, 0.3, 0.05), (x, y, height - 0.025), glow, "ceiling"))
    if rng.random() < 0.2 and not plan.notch[0]:
        for x in np.arange(-plan.width / 2 + 1.2, plan.width / 2 - 0.8, rng.uniform(1.5, 3.0)):
            size = (rng.uniform(0.12, 0.3), plan.depth - 0.01, rng.uniform(0.1, 0.25))
            parts.append(box(size, (x, 0, height - size[2] / 2), wooden(rng), "ceiling"))
    return parts
