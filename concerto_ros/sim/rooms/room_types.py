# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Room types: which furniture belongs to an office, a meeting room, a kitchen, a corridor.

The ``home`` of :func:`concerto_ros.sim.rooms.layout.furnish` always holds every class, for the
demonstration; these differ more from room to room, for training: every piece comes in stretched
proportions and often in other colours than its builder's.
"""

from __future__ import annotations

import numpy as np

from concerto_ros.sim.mesh import CLASSES, Mesh, join
from concerto_ros.sim.pieces import cabinets, furniture, small_objects, storage
from concerto_ros.sim.pieces import office_furniture as office
from concerto_ros.sim.pieces.building import stairs
from concerto_ros.sim.pieces.clothes import ON_THE_FLOOR, bag, hook_rail
from concerto_ros.sim.pieces.finishes import recolored
from concerto_ros.sim.pieces.furniture import Rng, pick
from concerto_ros.sim.pieces.on_walls import ON_WALLS, pipes
from concerto_ros.sim.rooms import assortment
from concerto_ros.sim.rooms.layout import (
    Placement,
    add_ceiling_lamp,
    add_rug,
    seats_round,
    things_on,
)
from concerto_ros.sim.rooms.models import add_models
from concerto_ros.sim.rooms.more_rooms import (
    furnish_bathroom,
    furnish_classroom,
    furnish_storage,
    furnish_workshop,
    laden,
)
from concerto_ros.sim.rooms.polygon_layout import PolygonLayout
from concerto_ros.sim.rooms.polygon_plan import PolygonPlan

_ON_FLOOR = (*small_objects.ON_FLOOR, *ON_THE_FLOOR)


def varied(mesh: Mesh, rng: Rng) -> Mesh:
    """Return the piece in other proportions and colours; people keep their shape."""
    if not (mesh.label == CLASSES.index("person")).any():
        stretch = np.diag(rng.uniform((0.88, 0.88, 0.93), (1.18, 1.15, 1.08)))
        if rng.random() < 0.5:
            stretch[0, 0] *= -1  # the mirror image
        mesh = mesh.transformed(stretch, (0, 0, 0))
    return recolored(mesh, rng)


class VariedLayout(PolygonLayout):
    """A layout whose pieces are all :func:`varied`, with less space than a robot needs to pass."""

    def against_wall(
        self, mesh: Mesh, front: float = 0.55, tall: bool = False
    ) -> Placement | None:
        """Place a varied piece against a wall, at most 0.55 m in front of it free."""
        return super().against_wall(varied(mesh, self.rng), min(front, 0.55), tall)

    def fitted(self, mesh: Mesh, front: float = 0.4) -> Placement | None:
        """Place a piece against a wall as it is: it was made to the measure of the room."""
        return super().against_wall(mesh, front, tall=True)

    def freestanding(self, mesh: Mesh, margin: float = 0.5) -> Placement | None:
        """Place a varied piece anywhere, at most 0.5 m around it free."""
        return super().freestanding(varied(mesh, self.rng), min(margin, 0.5))


def furnish_kind(plan: PolygonPlan, rng: Rng, kind: str) -> Mesh:
    """Build furniture and small objects of a room type, a key of :data:`KINDS`."""
    layout = VariedLayout(plan, rng)
    KINDS[kind](layout)
    if rng.random() < 0.35:
        layout.freestanding(small_objects.person(rng), 0.2)
    for _ in range(int(rng.integers(1, 7))):
        layout.against_wall(pick(rng, _ON_FLOOR)(rng), front=0.1)
    if rng.random() < 0.5:
        layout.freestanding(pick(rng, _ON_FLOOR)(rng), 0.2)
    if rng.random() < 0.25:
        _hang(layout, hook_rail, 1.5, 1.8)
    for _ in range(int(rng.integers(0, 5))):
        _hang(layout, pick(rng, ON_WALLS), 1.4, 1.75)
    if rng.random() < 0.4:
        layout.against_wall(office.radiator(rng), 0.1)
    if kind not in ("bathroom", "classroom") and rng.random() < 0.08:
        layout.fitted(stairs(rng, plan.height))
    if rng.random() < 0.08:
        layout.freestanding(office.column(rng, plan.height), 0.2)
    if rng.random() < 0.15:
        layout.fitted(pipes(rng, plan.height), 0.0)
    add_models(layout, kind)
    if not plan.open_above:
        add_ceiling_lamp(layout)
    if kind in ("flat", "lounge", "bedroom", "hotel"):
        add_rug(layout)
    return join(*layout.meshes)


def _desk_with(rng: Rng) -> Mesh:
    """A desk, what stands on and below it, and often somebody's seat before it."""
    desk = varied(pick(rng, (furniture.desk, office.office_desk, office.office_desk))(rng), rng)
    (x0, y0, _), (x1, _, top) = desk.bounds()
    y1 = min(0.9, float(desk.bounds()[1][1]))
    parts = [desk]
    used: list[tuple[float, float]] = []
    for _ in range(int(rng.choice([0, 1, 1, 2, 2]))):
        screen = pick(rng, (small_objects.monitor, small_objects.monitor, office.tube_monitor))(
            rng
        )
        across = float(screen.bounds()[1][0])
        x = rng.uniform(x0 + across, x1 - across) if x1 - x0 > 2 * across else 0.0
        if all(abs(x - other) > across + reach for other, reach in used):
            used.append((x, across))
            turn = rng.normal(0, 0.25)
            parts.append(screen.placed(x, y0 + rng.uniform(0.05, 0.15), top, turn))
    if not used or rng.random() < 0.2:
        parts.append(small_objects.laptop(rng).placed(rng.uniform(-0.3, 0.3), y1 - 0.4, top))
    if rng.random() < 0.85:
        x = used[0][0] if used else 0.0
        parts.append(small_objects.keyboard(rng).placed(x, y1 - rng.uniform(0.2, 0.35), top))
    parts += things_on(
        rng,
        (x0, y0, x1, y1),
        top,
        int(rng.integers(0, 9)),
        small_objects.ON_TABLE + office.ON_DESK[:1],
    )
    if rng.random() < 0.3:
        parts.append(
            pick(rng, (office.computer, office.printer))(rng).placed(x0 + 0.25, y0 + 0.05, top)
        )
    side = pick(rng, (-1, 1))
    if rng.random() < 0.4:
        parts.append(office.computer(rng).placed(side * (x1 - 0.25), y0 + 0.1))
    if rng.random() < 0.4:
        block = office.pedestal(rng)
        if block.bounds()[1][2] < top - 0.03:
            parts.append(block.placed(-side * (x1 - 0.35), y0 + 0.05))
    if rng.random() < 0.75:
        out = rng.uniform(0.1, 0.3) if rng.random() < 0.35 else rng.uniform(0.3, 0.75)
        parts.append(_seat(rng, rng.uniform(-0.2, 0.2), y1 + out))
    return join(*parts)


def _seat(rng: Rng, x: float, y: float) -> Mesh:
    """A chair whose back edge is at (x, y), facing -y more or less, now and then with a sitter."""
    seat = varied(assortment.desk_chair(rng), rng)
    turn = rng.normal(0, 0.45) if rng.random() < 0.8 else rng.uniform(-np.pi, np.pi)
    if rng.random() < 0.15:
        seat = join(seat, office.seated_person(rng))
    return seat.placed(x, y, 0.0, np.pi + turn)


def _many(layout: VariedLayout, build, low: int, high: int, free: float = 0.0, **options) -> None:
    """Between ``low`` and ``high`` pieces against walls, or free-standing with this chance."""
    for _ in range(int(layout.rng.integers(low, high + 1))):
        if layout.rng.random() < free:
            layout.freestanding(build(layout.rng), 0.3)
        else:
            layout.against_wall(build(layout.rng), **options)


def _storage(layout: VariedLayout, low: int, high: int) -> None:
    """Low cabinets with things on them, and high ones; one room in five has a closet."""
    rng, plan = layout.rng, layout.plan
    if rng.random() < 0.2 and plan.height < 3.2:
        longest = max(wall.length for wall in plan.walls) - 0.2
        layout.fitted(assortment.closet(rng, plan.height, longest))
    for _ in range(int(layout.rng.integers(low, high + 1))):
        if layout.rng.random() < 0.5:
            layout.against_wall(assortment.low_cabinet(layout.rng), front=0.35)
        else:
            layout.against_wall(assortment.high_cabinet(layout.rng), front=0.35, tall=True)


def _hang(layout: VariedLayout, build, low: float, high: float) -> None:
    """Hang something on a wall between two heights."""
    layout.hang(varied(build(layout.rng), layout.rng), low, high)


def _office(layout: VariedLayout) -> None:
    rng = layout.rng
    _many(layout, _desk_with, 1, 4, free=0.3, front=0.3)
    if rng.random() < 0.3:
        _double_desk(layout)
    if rng.random() < 0.3:
        table = pick(rng, (storage.standing_desk, office.meeting_table))(rng)
        layout.freestanding(laden(rng, table, 16), 0.3)
    _storage(layout, 1, 4)
    if rng.random() < 0.5:
        _hang(layout, office.whiteboard, 1.4, 1.6)
    if rng.random() < 0.4:
        _hang(layout, office.wall_unit, 1.3, 1.7)
    _many(layout, assortment.side_chair, 0, 2, free=0.5, front=0.2)
    if rng.random() < 0.2:
        layout.freestanding(office.screen_panel(rng), 0.3)
    if rng.random() < 0.2:
        layout.against_wall(assortment.sofa(rng))


def _double_desk(layout: VariedLayout) -> None:
    """Two desks back to back, with or without a panel between."""
    rng = layout.rng
    one, other = _desk_with(rng), _desk_with(rng)
    parts = [one, other.placed(0, -0.02, 0, np.pi)]
    if rng.random() < 0.4:
        parts.append(office.screen_panel(rng).placed(0, -0.035))
    layout.freestanding(join(*parts), 0.4)


def _meeting(layout: VariedLayout) -> None:
    rng, table = layout.rng, varied(office.meeting_table(layout.rng), layout.rng)
    build = pick(rng, (assortment.side_chair, assortment.desk_chair))
    chairs = seats_round(rng, table, build, 0.75)
    (x0, y0, _), (x1, y1, top) = table.bounds()
    things = things_on(rng, (x0, y0, x1, y1), top, int(rng.integers(0, 6)),
                       (*small_objects.ON_TABLE, small_objects.laptop))  # fmt: skip
    sitters = [
        join(chair, office.seated_person(rng).placed(*place)) if rng.random() < 0.15 else chair
        for chair, place in chairs
    ]
    if layout.freestanding(join(table, *sitters, *things), 0.35) is None:
        layout.against_wall(join(table, *things))
    _storage(layout, 0, 2)
    if rng.random() < 0.7:
        _hang(layout, office.whiteboard, 1.4, 1.6)
    if rng.random() < 0.5:
        _hang(layout, small_objects.television, 1.0, 1.5)
    _many(layout, assortment.side_chair, 0, 3, front=0.2)


def _kitchen(layout: VariedLayout) -> None:
    rng = layout.rng
    for _ in range(int(rng.integers(1, 3))):
        if layout.against_wall(storage.kitchen_wall(rng), tall=True) is None:
            layout.against_wall(office.kitchen_row(rng))
    if rng.random() < 0.6:
        layout.against_wall(storage.refrigerator(rng), 0.4, tall=True)
    if rng.random() < 0.35:
        layout.freestanding(laden(rng, storage.island(rng), 7), 0.4)
    for _ in range(int(rng.integers(1, 3))):
        table = varied(pick(rng, (furniture.dining_table, office.meeting_table))(rng), rng)
        build = pick(rng, (assortment.side_chair, assortment.side_chair, office.stool))
        chairs = [chair for chair, _ in seats_round(rng, table, build, 0.6)]
        (x0, y0, _), (x1, y1, top) = table.bounds()
        things = things_on(
            rng, (x0, y0, x1, y1), top, int(rng.integers(0, 7)), small_objects.ON_TABLE
        )
        if layout.freestanding(join(table, *chairs, *things), 0.3) is None:
            layout.against_wall(join(table, *things), front=0.3)
    _storage(layout, 0, 2)


def _bedroom(layout: VariedLayout) -> None:
    rng = layout.rng
    _many(layout, assortment.bed, 1, 3, front=0.25)
    _storage(layout, 1, 3)
    _many(layout, assortment.low_cabinet, 0, 2, front=0.2)
    if rng.random() < 0.5:
        _many(layout, _desk_with, 1, 1, front=0.3)
    if rng.random() < 0.3:
        layout.against_wall(assortment.sofa(rng))
    if rng.random() < 0.4:
        _hang(layout, office.wall_unit, 1.3, 1.7)
    build = pick(rng, (assortment.side_chair, assortment.easy_chair))
    _many(layout, build, 0, 2, free=0.4, front=0.2)


def _lounge(layout: VariedLayout) -> None:
    rng = layout.rng
    _many(layout, assortment.sofa, 1, 3, free=0.3)
    _many(layout, assortment.easy_chair, 0, 3, free=0.4)
    _many(layout, furniture.coffee_table, 1, 2, free=0.8)
    if rng.random() < 0.6:
        board = furniture.cupboard(rng)
        _, (_, _, top) = board.bounds()
        if top < 1.2:
            board = join(board, small_objects.television(rng).placed(0, 0.06, float(top)))
        layout.against_wall(board, tall=True)
    else:
        _hang(layout, small_objects.television, 0.9, 1.4)
    _storage(layout, 0, 3)


def _flat(layout: VariedLayout) -> None:
    """Everything in one room."""
    rng = layout.rng
    parts = np.array([_bedroom, _lounge, _kitchen, _office], dtype=object)
    for part in rng.permutation(parts)[: int(rng.integers(2, 4))]:
        part(layout)


def _corridor(layout: VariedLayout) -> None:
    _storage(layout, 0, 2)
    _many(layout, assortment.side_chair, 0, 3, front=0.1)
    _many(layout, small_objects.person, 0, 2, free=1.0)


def _hall(layout: VariedLayout) -> None:
    """A class room or laboratory: rows of tables with chairs."""
    rng = layout.rng
    for _ in range(int(rng.integers(2, 7))):
        layout.freestanding(_desk_with(rng), 0.25)
    for _ in range(int(rng.integers(0, 2))):
        layout.freestanding(office.column(rng, layout.plan.height), 0.3)
    _storage(layout, 1, 5)
    _hang(layout, office.whiteboard, 1.4, 1.6)
    _many(layout, assortment.side_chair, 0, 4, free=0.6, front=0.1)
    _many(layout, small_objects.person, 0, 3, free=1.0)


def _classroom(layout: VariedLayout) -> None:
    _hang(layout, office.whiteboard, 1.3, 1.6)
    furnish_classroom(layout)
    if layout.rng.random() < 0.6:
        layout.freestanding(_desk_with(layout.rng), 0.2)


def _hotel(layout: VariedLayout) -> None:
    """A bed between nightstands, a desk, a screen and a closet or coats on hooks."""
    rng = layout.rng
    bed = assortment.bed(rng)
    (x0, _, _), (x1, _, _) = bed.bounds()
    stand, group = int(rng.integers(2**31)), [bed]
    for x in (float(x0) - 0.35, float(x1) + 0.35):
        if rng.random() < 0.75:
            group.append(cabinets.nightstand(np.random.default_rng(stand)).placed(x, 0.0))
    if layout.against_wall(join(*group), front=0.4) is None:
        layout.against_wall(bed, front=0.3)
    _many(layout, _desk_with, 0, 1, front=0.3)
    _hang(layout, small_objects.television, 0.9, 1.5)
    _storage(layout, 1, 3)
    _many(layout, assortment.easy_chair, 0, 2, free=0.4, front=0.2)
    _many(layout, bag, 0, 2, free=0.3, front=0.1)


#: Furnishing of each room type; its size has the same key in
#: :mod:`concerto_ros.sim.rooms.room_shells`.
KINDS = {
    "office": _office,
    "meeting": _meeting,
    "kitchen": _kitchen,
    "bedroom": _bedroom,
    "lounge": _lounge,
    "flat": _flat,
    "corridor": _corridor,
    "hall": _hall,
    "bathroom": furnish_bathroom,
    "storage": furnish_storage,
    "workshop": furnish_workshop,
    "classroom": _classroom,
    "hotel": _hotel,
}
