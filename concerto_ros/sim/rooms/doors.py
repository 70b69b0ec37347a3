# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Doors of houses and offices: a frame on the wall, and a leaf that is shut or open.

Sizes are those of interior doors on the market: leaves 40 mm thick, frames 5 to 9 cm wide that
stand 1 to 3 cm off the wall, handles at 0.95 to 1.10 m. Seen from the side to which it opens, a
leaf is flush with its frame; from the other side it is recessed by the depth of the wall.
"""

from __future__ import annotations

import numpy as np

from concerto_ros.sim.mesh import Finish, Mesh, box, join, patch, rod
from concerto_ros.sim.pieces.furniture import BLACK, METAL, Rng, pick, wooden
from concerto_ros.sim.rooms.openings import FRAME, Opening, casing

#: Leaf thickness, and the gap between a leaf and its frame, metres.
THICK, GAP = 0.04, 0.005
BRASS = Finish((0.62, 0.50, 0.27))
#: What shows through the gaps round a shut leaf.
DARK = Finish((0.05, 0.05, 0.05))


def door(hole: Opening, rng: Rng, reach: tuple[float, float, float] = (1.5, 1.5, 3.0)) -> Mesh:
    """Build a door in a hole of a wall, in the wall's frame: x along it, y into the room.

    Leaf, handle and frame have the class door, the floor of the doorway floor. Seven in ten are
    shut, some are ajar or open, and one in twelve has no leaf; then a piece of corridor is visible
    behind, of a size limited by ``reach`` as for :func:`corridor`.
    """
    leaf_finish, trim = _finishes(rng)
    deep, into_room = rng.uniform(0.10, 0.18), rng.random() < 0.5
    states = ("shut", "ajar", "open", "no leaf")
    state = str(rng.choice(states, p=(0.70, 0.09, 0.13, 0.08)))
    wide, style = hole.end - hole.start, int(rng.integers(2**31))
    width = rng.uniform(0.05, 0.09)
    parts = [
        casing(hole, "door", False, trim, width, rng.uniform(0.012, 0.03)),
        jambs(hole, deep, trim, Finish(tuple(rng.uniform(0.2, 0.7) * np.ones(3)))),
    ]
    turn = {"shut": 0.0, "ajar": rng.uniform(0.06, 0.6), "open": rng.uniform(1.1, 1.6)}
    # The hinges' line: the room's face of the wall, or the far end of the jambs.
    face = rng.uniform(-0.015, 0.01) if into_room else THICK - deep
    right = rng.random() < 0.5
    # Of two leaves the second is open as seldom as not.
    sides = (right,) if wide < 1.15 else (right, not right)
    for number, on_right in enumerate(() if state == "no leaf" else sides):
        angle = turn[state] if number == 0 or rng.random() < 0.3 else 0.0
        one = leaf(np.random.default_rng(style), wide / len(sides), hole.high, leaf_finish)
        swing = angle if into_room else -angle
        if on_right:
            one = one.transformed(np.diag((-1.0, 1.0, 1.0)), (0, 0, 0))
        at = hole.end if on_right else hole.start
        parts.append(one.placed(at, face, 0.0, -swing if on_right else swing))
    if state == "shut":
        back = (hole.end, -deep, 0)
        parts.append(patch(back, (-wide, 0, 0), (0, 0, hole.high), DARK, "door"))
    else:
        parts.append(corridor(hole, deep, rng, reach))
    return join(*parts)


def _finishes(rng: Rng) -> tuple[Finish, Finish]:
    """Of leaf and frame: white, wood, grey or, seldom, of a colour; half of the frames match."""
    white, grey = rng.uniform(0.84, 0.95), rng.uniform(0.3, 0.75)
    shades = (
        Finish((white, white, white * rng.uniform(0.93, 1.0))),
        wooden(rng),
        Finish((grey, grey, grey * rng.uniform(0.95, 1.05))),
        Finish(tuple(rng.uniform(0.1, 0.85, 3))),
    )
    leaf = shades[int(rng.choice(4, p=(0.35, 0.40, 0.15, 0.10)))]
    return leaf, pick(rng, (leaf, leaf, leaf, FRAME, FRAME, shades[2]))


def jambs(hole: Opening, deep: float, trim: Finish, ground: Finish) -> Mesh:
    """Build the two sides and the head of a doorway ``deep`` metres thick, and its floor."""
    wide, tall = hole.end - hole.start, hole.high
    left, right = (hole.start, -deep, 0), (hole.end, -deep, 0)
    return join(
        patch(left, (0, deep, 0), (0, 0, tall), trim, "door"),
        patch(right, (0, 0, tall), (0, deep, 0), trim, "door"),
        patch((hole.start, -deep, tall), (0, deep, 0), (wide, 0, 0), trim, "door"),
        patch(left, (wide, 0, 0), (0, deep, 0), ground, "floor"),
    )


def leaf(rng: Rng, wide: float, tall: float, finish: Finish) -> Mesh:
    """Build a leaf hinged at x = 0; its face towards the room is the plane y = 0."""
    wide, tall = wide - 2 * GAP, tall - 2 * GAP
    mid, y = GAP + wide / 2, -THICK / 2
    parts = [box((wide, THICK, tall), (mid, y, GAP + tall / 2), finish, "door")]
    style = str(rng.choice(("plain", "panels", "pane", "slit"), p=(0.4, 0.3, 0.2, 0.1)))
    if style == "panels":
        parts += _panels(rng, wide, tall, finish)
    elif style != "plain":
        tone = rng.uniform(0.35, 0.75)
        glass = Finish((tone, tone * 1.04, tone * 1.06))
        across = wide * (rng.uniform(0.45, 0.7) if style == "pane" else rng.uniform(0.1, 0.2))
        high = tall * rng.uniform(0.3, 0.75)
        at = mid if style == "pane" else GAP + wide * rng.uniform(0.5, 0.8)
        size = (across, THICK + 0.006, high)
        parts.append(box(size, (at, y, tall * 0.92 - high / 2), glass, "door"))
    if rng.random() < 0.08:
        size = (wide - 0.04, THICK + 0.004, rng.uniform(0.15, 0.3))
        parts.append(box(size, (mid, y, 0.02 + size[2] / 2), METAL, "door"))
    return join(*parts, handles(rng, wide))


def _panels(rng: Rng, wide: float, tall: float, finish: Finish) -> list[Mesh]:
    """Two to six raised panels in one or two columns."""
    rows, columns = int(rng.integers(2, 4)), int(rng.integers(1, 3))
    bounds = np.cumsum([0.06, *(rng.uniform(0.7, 1.3, rows) / rows * 0.88)]) * tall
    bounds *= 0.94 * tall / bounds[-1]
    shade = Finish(tuple(0.9 * np.asarray(finish.color)), finish.texture)
    cell = (wide - 0.12) / columns
    return [
        box(
            (cell - 0.09, THICK + 0.016, high - low - 0.09),
            (GAP + 0.06 + (i + 0.5) * cell, -THICK / 2, (low + high) / 2),
            shade,
            "door",
        )
        for low, high in zip(bounds[:-1], bounds[1:], strict=True)
        for i in range(columns)
    ]


def handles(rng: Rng, wide: float) -> Mesh:
    """Build levers or knobs on both faces of a leaf, at the edge away from the hinges."""
    metal, z = pick(rng, (METAL, METAL, BLACK, BRASS)), rng.uniform(0.95, 1.1)
    x, knob = wide - rng.uniform(0.05, 0.08), rng.random() < 0.25
    plate = pick(rng, ((0.045, 0.22), (0.05, 0.05)))
    parts = []
    for face, side in ((0.0, 1), (-THICK, -1)):
        parts.append(box((plate[0], 0.01, plate[1]), (x, face + side * 0.004, z), metal, "door"))
        parts.append(rod((x, face, z), (x, face + side * 0.055, z), 0.011, metal, "door", 6))
        reach = (0.05, 0.05, 0.05) if knob else (0.13, 0.02, 0.02)
        at = x if knob else x - 0.055
        parts.append(box(reach, (at, face + side * 0.055, z), metal, "door"))
    return join(*parts)


def corridor(
    hole: Opening, deep: float, rng: Rng, reach: tuple[float, float, float] = (1.5, 1.5, 3.0)
) -> Mesh:
    """A piece of corridor behind an open door.

    Args:
        hole: the doorway.
        deep: thickness of the wall, metres.
        rng: draws its size and colours.
        reach: how far it may go to the left, to the right and back, metres.
    """
    a, b = hole.start - rng.uniform(0.1, reach[0]), hole.end + rng.uniform(0.1, reach[1])
    far, high = (
        -deep - rng.uniform(1.15, max(1.2, reach[2])),
        max(hole.high, rng.uniform(2.3, 2.8)),
    )
    long, tone = -deep - far, rng.uniform(0.55, 0.95)
    paint = Finish(tuple(np.clip(tone + rng.uniform(-0.06, 0.06, 3), 0, 0.97)), "plaster")
    ground = Finish(
        tuple(rng.uniform(0.2, 0.75) + rng.uniform(-0.08, 0.08, 3)),
        pick(rng, ("plain", "tiles", "carpet", "planks")),
    )
    return join(
        patch((a, far, 0), (b - a, 0, 0), (0, long, 0), ground, "floor"),
        patch((b, far, 0), (a - b, 0, 0), (0, 0, high), paint, "wall"),
        patch((a, far, 0), (0, 0, high), (0, long, 0), paint, "wall"),
        patch((b, far, 0), (0, long, 0), (0, 0, high), paint, "wall"),
        patch((a, far, high), (0, long, 0), (b - a, 0, 0), FRAME, "ceiling"),
    )
