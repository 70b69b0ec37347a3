# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Doors of all kinds: flush and the colour of the wall, deep, sliding, glazed, missing; closets.

Builders take a hole and return what fills it, in the wall's frame: x along it, y into the room.
Leaf, handle and frame are door, the floor of a doorway floor; the sides of a hole without a frame
are wall. What closes a closet is cabinet.
"""

from __future__ import annotations

import numpy as np

from concerto_ros.sim.mesh import Finish, Mesh, box, join, patch, rod
from concerto_ros.sim.pieces import clothes
from concerto_ros.sim.pieces.cabinets import closet_front
from concerto_ros.sim.pieces.finishes import any_color, lacquer
from concerto_ros.sim.pieces.furniture import BLACK, METAL, Rng, pick, wooden
from concerto_ros.sim.rooms.doors import DARK, THICK, corridor, door, handles, jambs, leaf
from concerto_ros.sim.rooms.models import modelled_door
from concerto_ros.sim.rooms.openings import Opening, casing, lining

#: How far the space behind a hole goes to the left, to the right and back, metres.
Reach = tuple[float, float, float]
#: Kinds of doors and how often they are built.
KINDS = ("classic", "flush", "deep", "sliding", "glazed", "missing")
SHARES = (0.42, 0.16, 0.11, 0.07, 0.13, 0.11)


def varied_door(hole: Opening, rng: Rng, paint: Finish, span: float, reach: Reach) -> Mesh:
    """Build a door of any kind, or take one of a furniture library.

    Args:
        hole: the doorway.
        rng: draws its kind and look.
        paint: the finish of the wall.
        span: length of the wall, metres; a sliding door needs space beside the hole.
        reach: space behind the hole, see :func:`~concerto_ros.sim.rooms.doors.corridor`.
    """
    if hole.end - hole.start > 1.95:
        return _garage_door(hole, rng)
    model = modelled_door(hole, rng)
    if model is not None:
        return model
    kind = str(rng.choice(KINDS, p=SHARES))
    if hole.end - hole.start > 1.15 and kind in ("flush", "deep", "glazed"):
        kind = "classic"  # two leaves
    if kind == "missing":
        return _missing(hole, rng, paint, reach)
    if kind == "flush":
        return _flush(hole, rng, paint, reach)
    if kind == "deep":
        return _deep(hole, rng, paint, reach)
    if kind == "glazed":
        return _glazed(hole, rng, reach)
    wide = hole.end - hole.start
    if kind == "sliding" and (hole.start > wide + 0.1 or span - hole.end > wide + 0.1):
        return _sliding(hole, rng, paint, span, reach)
    return door(hole, rng, reach)


def _skin(rng: Rng, paint: Finish) -> Finish:
    """The colour of a leaf: white, that of the wall, wood, or any."""
    white = rng.uniform(0.84, 0.96)
    return pick(
        rng, (Finish((white,) * 3), Finish((white,) * 3), paint, wooden(rng), lacquer(rng),
              any_color(rng))
    )  # fmt: skip


def _floor(hole: Opening, deep: float, rng: Rng) -> Mesh:
    tone = Finish(tuple(rng.uniform(0.2, 0.7) * np.ones(3)))
    corner, wide = (hole.start, -deep, 0), hole.end - hole.start
    return patch(corner, (wide, 0, 0), (0, deep, 0), tone, "floor")


def _swung(hole: Opening, rng: Rng, one: Mesh, face: float) -> Mesh:
    """Hang a leaf in its hole on either side, its face at y = ``face``; two in three are shut."""
    angle = pick(rng, (0.0, 0.0, 0.0, 0.0, rng.uniform(0.05, 0.7), rng.uniform(0.7, 2.4)))
    inward = face > -0.05
    # Against a wall beside it, a leaf opens by 2.4 rad into the room but not into the wall.
    angle = angle if inward else -min(angle, 1.5)
    if rng.random() < 0.5:
        return one.placed(hole.start, face, 0.0, angle)
    return one.transformed(np.diag((-1.0, 1.0, 1.0)), (0, 0, 0)).placed(
        hole.end, face, 0.0, -angle
    )


def _behind(hole: Opening, deep: float, rng: Rng, reach: Reach, shut: bool) -> Mesh:
    """What is seen through the gaps, or the corridor beyond."""
    if not shut:
        return corridor(hole, deep, rng, reach)
    back, wide = (hole.end, -deep, 0), hole.end - hole.start
    return patch(back, (-wide, 0, 0), (0, 0, hole.high), DARK, "door")


def _is_shut(mesh: Mesh) -> bool:
    """Whether a hung leaf lies in the plane of the wall."""
    low, high = mesh.bounds()
    return bool(high[1] - low[1] < 0.25)


def _flush(hole: Opening, rng: Rng, paint: Finish, reach: Reach) -> Mesh:
    """A leaf in the plane of the wall, mostly of its colour, without a frame or nearly so."""
    deep, style = rng.uniform(0.08, 0.15), int(rng.integers(2**31))
    skin = paint if rng.random() < 0.6 else _skin(rng, paint)
    wide, face = hole.end - hole.start, rng.uniform(-0.01, 0.012)
    if rng.random() < 0.5:
        one = leaf(np.random.default_rng(style), wide, hole.high, skin)
    else:
        size = (wide - 0.01, THICK, hole.high - 0.01)
        plain = box(size, (wide / 2, -THICK / 2, hole.high / 2), skin, "door")
        one = join(plain, handles(rng, wide))
    hung = _swung(hole, rng, one, face)
    parts = [hung, _floor(hole, deep, rng), _behind(hole, deep, rng, reach, _is_shut(hung))]
    if rng.random() < 0.4:
        frame = pick(rng, (paint, skin, METAL, BLACK))
        parts.append(casing(hole, "door", False, frame, rng.uniform(0.02, 0.05), 0.006))
    return join(*parts, _sides(hole, deep, paint, "wall"))


def _sides(hole: Opening, deep: float, finish: Finish, label: str) -> Mesh:
    """The two sides and the head of a hole."""
    wide, tall = hole.end - hole.start, hole.high
    left, right = (hole.start, -deep, 0), (hole.end, -deep, 0)
    return join(
        patch(left, (0, deep, 0), (0, 0, tall), finish, label),
        patch(right, (0, 0, tall), (0, deep, 0), finish, label),
        patch((hole.start, -deep, tall), (0, deep, 0), (wide, 0, 0), finish, label),
    )


def _deep(hole: Opening, rng: Rng, paint: Finish, reach: Reach) -> Mesh:
    """A leaf far back in a thick wall, whose sides are plastered or boarded."""
    deep, skin = rng.uniform(0.18, 0.5), _skin(rng, paint)
    one = leaf(rng, hole.end - hole.start, hole.high, skin)
    hung = _swung(hole, rng, one, THICK - deep)
    boarded = rng.random() < 0.5
    parts = [
        hung,
        _sides(hole, deep, skin if boarded else paint, "door" if boarded else "wall"),
        _floor(hole, deep, rng),
        _behind(hole, deep + 0.01, rng, reach, _is_shut(hung)),
    ]
    if boarded:
        parts.append(casing(hole, "door", False, skin, rng.uniform(0.06, 0.12), 0.015))
    return join(*parts)


def _sliding(hole: Opening, rng: Rng, paint: Finish, span: float, reach: Reach) -> Mesh:
    """A leaf that hangs before the wall from a rail, shut, open or anywhere between."""
    wide, deep = hole.end - hole.start, rng.uniform(0.1, 0.16)
    right = span - hole.end > wide + 0.1 and (hole.start < wide + 0.1 or rng.random() < 0.5)
    shift = pick(rng, (0.0, 0.0, 0.0, 1.0, rng.uniform(0.1, 1.0))) * wide * (1 if right else -1)
    one = leaf(rng, wide + 0.1, hole.high + 0.05, _skin(rng, paint))
    low = min(hole.start, hole.start + (wide if right else -wide))
    rail = (2 * wide + 0.1, 0.03, 0.05)
    trim = _skin(rng, paint)
    return join(
        one.placed(hole.start - 0.05 + shift, THICK + 0.025, 0.005),
        box(rail, (low + wide, 0.03, hole.high + 0.09), pick(rng, (METAL, BLACK)), "door"),
        jambs(hole, deep, trim, Finish(tuple(rng.uniform(0.2, 0.7) * np.ones(3)))),
        corridor(hole, deep, rng, reach),
    )


def _glazed(hole: Opening, rng: Rng, reach: Reach) -> Mesh:
    """A leaf that is mostly glass between rails and bars; the glass is door too."""
    wide, tall, deep = hole.end - hole.start, hole.high, rng.uniform(0.08, 0.15)
    frame = pick(rng, (METAL, BLACK, wooden(rng), Finish((0.92, 0.92, 0.9))))
    tone = rng.uniform(0.3, 0.85)
    glass = Finish((tone, tone * 1.03, tone * 1.05), pick(rng, ("plain", "plain", "stripes")))
    edge, low = rng.uniform(0.03, 0.12), rng.uniform(0.05, 0.3)
    mid, y = wide / 2, -THICK / 2
    parts = [box((wide - 0.02, 0.012, tall - 0.02), (mid, y, tall / 2), glass, "door")]
    for x in (edge / 2 + 0.005, wide - edge / 2 - 0.005):
        parts.append(box((edge, THICK, tall - 0.01), (x, y, tall / 2), frame, "door"))
    for z, high in ((low / 2, low), (tall - edge / 2 - 0.005, edge)):
        parts.append(box((wide - 2 * edge, THICK, high), (mid, y, z), frame, "door"))
    for z in np.linspace(low, tall, int(rng.choice([1, 1, 2, 4, 5])) + 1)[1:-1]:
        parts.append(box((wide - 2 * edge, THICK * 0.8, 0.03), (mid, y, z), frame, "door"))
    if rng.random() < 0.3:
        parts.append(box((0.03, THICK * 0.8, tall), (mid, y, tall / 2), frame, "door"))
    hung = _swung(hole, rng, join(*parts, handles(rng, wide)), rng.uniform(-0.015, 0.01))
    trim = pick(rng, (frame, Finish((0.92, 0.92, 0.9))))
    ground = Finish(tuple(rng.uniform(0.2, 0.7) * np.ones(3)))
    return join(
        hung,
        casing(hole, "door", False, trim, rng.uniform(0.03, 0.09), rng.uniform(0.008, 0.03)),
        jambs(hole, deep, trim, ground),
        _behind(hole, deep, rng, reach, _is_shut(hung)),
    )


def _garage_door(hole: Opening, rng: Rng) -> Mesh:
    """A wide door of level sections, shut."""
    wide, mid, deep = hole.end - hole.start, (hole.start + hole.end) / 2, rng.uniform(0.1, 0.25)
    skin, count = (
        pick(rng, (Finish((0.9, 0.9, 0.89)), METAL, any_color(rng))),
        int(rng.integers(3, 9)),
    )
    ground, high = Finish(tuple(rng.uniform(0.2, 0.7) * np.ones(3))), hole.high / count
    parts = [jambs(hole, deep, skin, ground)]
    for i in range(count):
        size, z = (wide, 0.04, high - 0.012), (i + 0.5) * high
        parts.append(box(size, (mid, 0.02 - deep, z), skin, "door"))
    back = (hole.end, 0.005 - deep, 0)
    parts.append(patch(back, (-wide, 0, 0), (0, 0, hole.high), DARK, "door"))
    return join(*parts).called("garage door")


def _missing(hole: Opening, rng: Rng, paint: Finish, reach: Reach) -> Mesh:
    """A doorway without a leaf: with a frame, or only a hole in the wall."""
    deep, trim = rng.uniform(0.1, 0.3), _skin(rng, paint)
    parts = [corridor(hole, deep, rng, reach)]
    if rng.random() < 0.55:
        ground = Finish(tuple(rng.uniform(0.2, 0.7) * np.ones(3)))
        parts.append(jambs(hole, deep, trim, ground))
        parts.append(casing(hole, "door", False, trim, rng.uniform(0.05, 0.1), 0.02))
    else:
        parts += [_sides(hole, deep, paint, "wall"), _floor(hole, deep, rng)]
    return join(*parts)


def closet_opening(hole: Opening, rng: Rng, paint: Finish) -> Mesh:
    """Close a hole with the doors of a built-in closet, flush with the wall; some stand open."""
    wide, mid = hole.end - hole.start, (hole.start + hole.end) / 2
    frame = pick(rng, (paint, paint, Finish((0.92, 0.92, 0.91)), wooden(rng)))
    parts = []
    if rng.random() < 0.4:
        parts.append(casing(hole, "cabinet", False, frame, rng.uniform(0.03, 0.08), 0.015))
    if rng.random() < 0.82:
        back = rng.uniform(0.0, 0.04)
        parts.append(closet_front(rng, wide, hole.high, paint).placed(mid, -back))
        parts.append(lining(hole, back + 0.03, frame, "cabinet"))
        return join(*parts).called("closet")
    deep = rng.uniform(0.45, 0.65)
    inner = pick(rng, (paint, Finish((0.85, 0.85, 0.83)), wooden(rng)))
    parts.append(lining(hole, deep, inner, "cabinet"))
    corner = (hole.end, -deep, 0)
    parts.append(patch(corner, (-wide, 0, 0), (0, 0, hole.high), inner, "cabinet"))
    rail = min(hole.high - 0.25, rng.uniform(1.5, 1.8))
    parts.append(box((wide, deep - 0.05, 0.02), (mid, -deep / 2, rail + 0.1), inner, "cabinet"))
    ends = ((hole.start, -deep / 2, rail), (hole.end, -deep / 2, rail))
    parts.append(rod(*ends, 0.014, METAL, "cabinet", 6))
    x = hole.start + 0.1
    while x < hole.end - 0.1:
        hung = clothes.garment(rng, along_wall=False).called("clothes")
        parts.append(hung.placed(x, -deep / 2, rail - 0.03, rng.normal(0, 0.1)))
        x += rng.uniform(0.05, 0.25)
    return join(*parts).called("closet")
