# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Models of a furniture library that no builder stands for: sanitary ware, pets, lamps, doors."""

from __future__ import annotations

import numpy as np

from concerto_ros.sim.library.in_rooms import drawn, models_of, taken
from concerto_ros.sim.mesh import Mesh, join, patch
from concerto_ros.sim.pieces.furniture import Rng, pick
from concerto_ros.sim.rooms.doors import DARK
from concerto_ros.sim.rooms.openings import Opening
from concerto_ros.sim.rooms.polygon_layout import PolygonLayout

#: Kinds that a room type may have, against a wall and free, each with a chance.
_ANYWHERE = {
    "large thing": 0.35,
    "floor thing": 0.5,
    "heater": 0.15,
    "animal": 0.1,
    "armchair": 0.15,
    "easy chair": 0.15,
    "person on the ground": 0.08,
    "wheelchair": 0.03,
    "plant": 0.25,
    "hung thing": 0.25,
    "wall television": 0.06,
}
_OF_TYPE = {
    "lounge": {"piano": 0.25, "armchair": 0.5, "easy chair": 0.3, "game table": 0.1},
    "flat": {"piano": 0.1, "washing machine": 0.2, "cot": 0.1, "toilet": 0.1},
    "bedroom": {"cot": 0.2, "high bed": 0.15},
    "kitchen": {"large appliance": 0.6, "washing machine": 0.3, "high chair": 0.15},
    "hall": {"game table": 0.2, "large thing": 0.4},
    "bathroom": {"hung washbasin": 0.3, "washing machine": 0.4, "urinal": 0.1},
    "hotel": {"cot": 0.1, "armchair": 0.3},
    "storage": {"large appliance": 0.2, "large thing": 0.5, "floor thing": 0.5},
    "workshop": {"large thing": 0.5, "floor thing": 0.5, "washing machine": 0.2},
}
#: A model of a door is stretched to its hole by no less and no more than this.
LEAST_STRETCH, MOST_STRETCH = 0.8, 1.25
#: Types with a row of kitchen cabinets, and how often.
_KITCHENS = {"kitchen": 0.6, "flat": 0.3}


def add_models(layout: PolygonLayout, room_type: str) -> None:
    """Add models to a furnished room; without a library it stays as it is.

    Args:
        layout: The room.
        room_type: A key of :data:`~concerto_ros.sim.rooms.room_types.KINDS`.
    """
    rng = layout.rng
    if models_of("kitchen cabinet") and rng.random() < _KITCHENS.get(room_type, 0.0):
        layout.against_wall(kitchen_row(rng))
    for kind, chance in (*_OF_TYPE.get(room_type, {}).items(), *_ANYWHERE.items()):
        models = models_of(kind)
        if not models or rng.random() > chance:
            continue
        model = pick(rng, models)
        piece = taken(model, rng)
        if model.kind.place == "hung":
            piece = piece.placed(0.0, 0.0, model.entry.elevation)
        if model.kind.place == "free" and rng.random() < 0.6:
            layout.freestanding(piece, 0.2)
        else:
            layout.against_wall(piece, 0.15, tall=bool(piece.bounds()[1][2] > 1.3))
    _hang_lamp(layout)


def kitchen_row(rng: Rng) -> Mesh:
    """Cabinets and appliances side by side, some with cabinets on the wall above them."""
    upper = models_of("wall cabinet")
    parts: list[Mesh] = []
    x, lift = 0.0, rng.uniform(1.35, 1.55)
    hung = bool(upper) and rng.random() < 0.6
    for _ in range(int(rng.integers(2, 6))):
        kinds = ("kitchen cabinet", "kitchen cabinet", "large appliance", "washing machine")
        models = models_of(pick(rng, kinds)) or models_of("kitchen cabinet")
        piece = taken(pick(rng, models), rng)
        low, high = piece.bounds()
        parts.append(piece.placed(x - float(low[0]), 0.0))
        if hung and high[2] < lift - 0.1 and rng.random() < 0.8:
            above = taken(pick(rng, upper), rng)
            left, right = above.bounds()
            if right[0] - left[0] < high[0] - low[0] + 0.02:
                parts.append(above.placed(x - float(left[0]), 0.0, lift))
        x += float(high[0] - low[0]) + 0.002
    return join(*parts).placed(-x / 2, 0.0)


def _hang_lamp(layout: PolygonLayout) -> None:
    """Hang a lamp from the ceiling, near the middle of the room, two times in five."""
    rng, plan, models = layout.rng, layout.plan, models_of("ceiling lamp")
    if not models or plan.open_above or rng.random() > 0.4:
        return
    lamp = taken(pick(rng, models), rng)
    low, high = lamp.bounds()
    place = np.asarray(plan.middle) + rng.uniform(-0.8, 0.8, 2)
    ceiling = float(plan.headroom(place[None])[0])
    if high[2] - low[2] < ceiling - 1.7 and plan.inside(place[None])[0]:
        x, y = place - (low + high)[:2] / 2
        layout.add(lamp.placed(float(x), float(y), ceiling - float(high[2])))


def modelled_door(hole: Opening, rng: Rng) -> Mesh | None:
    """A shut door of the library in a hole of a wall, in the wall's frame, one time in four.

    Args:
        hole: The doorway.
        rng: The random generator; it is used only where the library has doors.

    Returns:
        The door with its frame; None if the library has none that fits, and in the other cases.
    """
    wide, tall = hole.end - hole.start, hole.high - hole.low
    model = drawn(rng, ("door", "double door"), share=0.25)
    if model is None:
        return None
    size = model.size
    stretch = np.array([wide / size[0], rng.uniform(0.9, 1.1), tall / size[2]])
    if stretch.min() < LEAST_STRETCH or stretch.max() > MOST_STRETCH:
        return None
    stretch[0] *= pick(rng, (-1, 1))  # hinges on the other side
    leaf = taken(model, rng).transformed(np.diag(stretch), (0, 0, 0))
    low, high = leaf.bounds()
    if rng.random() < 0.5:  # seen from the other side
        leaf = leaf.placed(0.0, float(low[1] + high[1]), 0.0, np.pi)
    deep = float(high[1]) - rng.uniform(0.005, 0.05)
    back, middle = (hole.end, -deep, hole.low), (hole.start + hole.end) / 2
    return join(
        leaf.placed(middle, -deep, hole.low),
        patch(back, (-wide, 0, 0), (0, 0, tall), DARK, "door"),
    )
