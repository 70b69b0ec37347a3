# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Placement of the furniture: against walls or free, never overlapping, with space to pass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from concerto_ros.sim.mesh import Finish, Mesh, box, join, lathe, patch, rotation_about
from concerto_ros.sim.pieces import furniture, small_objects
from concerto_ros.sim.pieces.furniture import Rng, pick
from concerto_ros.sim.rooms.floor_plan import FloorPlan

#: Free width kept between pieces so that a robot can pass, metres.
PASSAGE = 0.75

Rectangle = tuple[float, float, float, float]


@dataclass(frozen=True)
class Placement:
    """Position and orientation of a piece of furniture.

    Attributes:
        x: of the middle of its back edge, metres.
        y: likewise.
        yaw: rotation of its front about z, radians.
    """

    x: float
    y: float
    yaw: float

    def ahead(self, forward: float, right: float = 0.0) -> tuple[float, float]:
        """Return the point ``forward`` metres in front of the back edge, ``right`` along x."""
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        return self.x + right * c - forward * s, self.y + right * s + forward * c


class Layout:
    """Collects placed meshes and remembers the floor they occupy.

    Attributes:
        plan: the floor plan.
        rng: the random generator of all placements.
        meshes: the placed meshes, in the room's frame.
        taken: rectangles (x0, y0, x1, y1) that furniture occupies.
        clear: rectangles that must stay free of it: in front of doors and cabinets, beside beds.
    """

    def __init__(self, plan: FloorPlan, rng: Rng):
        self.plan = plan
        self.rng = rng
        self.meshes: list[Mesh] = []
        self.taken: list[Rectangle] = []
        self.clear: list[Rectangle] = []
        for opening in plan.openings:
            if opening.kind != "window":
                wall = plan.walls[opening.wall]
                near, far = wall.point(opening.start), wall.point(opening.end, 1.1)
                self.clear.append(_rectangle(near, far))

    def against_wall(
        self, mesh: Mesh, front: float = PASSAGE, tall: bool = False
    ) -> Placement | None:
        """Place a piece with its back to some wall.

        Args:
            mesh: the piece.
            front: metres in front of it that stay clear.
            tall: whether it may not stand in front of a window.

        Returns:
            Where it stands; None if no free position was found.
        """
        low, high = mesh.bounds()
        width, depth = float(high[0] - low[0]), float(high[1])
        for _ in range(120):
            number = int(self.rng.integers(len(self.plan.walls)))
            wall = self.plan.walls[number]
            if wall.length < width + 0.1:
                continue
            along = self.rng.uniform(width / 2 + 0.02, wall.length - width / 2 - 0.02)
            gap = 0.16 if self._before_window(number, along, width) else 0.03
            if tall and gap > 0.03:
                continue
            placement = Placement(*wall.point(along, gap), wall.yaw)
            start, end = wall.point(along - width / 2), wall.point(along + width / 2, gap + depth)
            reach = wall.point(along + width / 2, gap + depth + front)
            body, zone = _rectangle(start, end), _rectangle(start, reach)
            if self._fits(body, zone):
                self._take(mesh, placement, body, zone)
                return placement
        return None

    def freestanding(self, mesh: Mesh, margin: float = PASSAGE) -> Placement | None:
        """Place a piece somewhere in the room with ``margin`` metres on all sides.

        Returns where it stands; None if no free position was found.
        """
        low, high = mesh.bounds()
        middle = (low + high) / 2
        outline = _outline(mesh) - middle[:2]
        for _ in range(160):
            yaw = pick(self.rng, (0.0, np.pi / 2)) + self.rng.normal(0.0, 0.06)
            x = self.rng.uniform(-0.5, 0.5) * self.plan.width
            y = self.rng.uniform(-0.5, 0.5) * self.plan.depth
            turned = outline @ rotation_about("z", yaw)[:2, :2].T + (x, y)
            (x0, y0), (x1, y1) = turned.min(0).tolist(), turned.max(0).tolist()
            body = (x0, y0, x1, y1)
            zone = (x0 - margin, y0 - margin, x1 + margin, y1 + margin)
            if self._fits(body, zone):
                shift = middle[1]
                placement = Placement(x + shift * np.sin(yaw), y - shift * np.cos(yaw), yaw)
                self._take(mesh, placement, body, zone)
                return placement
        return None

    def add(self, mesh: Mesh) -> None:
        """Add a mesh that occupies no floor."""
        self.meshes.append(mesh)

    def _fits(self, body: Rectangle, zone: Rectangle) -> bool:
        return (
            self.plan.contains(*body)
            and not any(_overlap(body, other) for other in self.taken + self.clear)
            and not any(_overlap(zone, other) for other in self.taken)
        )

    def _take(self, mesh: Mesh, placement: Placement, body: Rectangle, zone: Rectangle) -> None:
        self.meshes.append(mesh.placed(placement.x, placement.y, 0.0, placement.yaw))
        self.taken.append(body)
        self.clear.append(zone)

    def _before_window(self, number: int, along: float, width: float) -> bool:
        return any(
            o.wall == number
            and o.kind == "window"
            and o.start - 0.3 < along + width / 2
            and o.end + 0.3 > along - width / 2
            for o in self.plan.openings
        )


def furnish(plan: FloorPlan, rng: Rng) -> Mesh:
    """Build furniture and small objects for a plan, the largest pieces first."""
    layout = Layout(plan, rng)
    _bed(layout)
    _dining(layout)
    _sofa(layout)
    _television(layout)
    _workplace(layout)
    for build in (furniture.bookshelf, furniture.cupboard, furniture.cupboard):
        layout.against_wall(build(rng), tall=True)
    layout.freestanding(small_objects.person(rng), margin=0.35)
    for _ in range(int(rng.integers(4, 8))):
        layout.against_wall(pick(rng, small_objects.ON_FLOOR)(rng), front=0.1)
    add_pictures(layout)
    add_ceiling_lamp(layout)
    add_rug(layout)
    return join(*layout.meshes)


def _bed(layout: Layout) -> None:
    layout.against_wall(furniture.bed(layout.rng), front=PASSAGE)


def _dining(layout: Layout) -> None:
    """Place a table with chairs on some of its sides, and objects on it."""
    rng, table = layout.rng, furniture.dining_table(layout.rng)
    (x0, y0, _), (x1, y1, top) = table.bounds()
    model = int(rng.integers(2**31))
    seats = [(x, y1, np.pi) for x in (-0.3, 0.3)] + [(x, y0, 0.0) for x in (-0.3, 0.3)]
    seats += [(x0, y1 / 2, -np.pi / 2), (x1, y1 / 2, np.pi / 2)]
    if x1 - x0 < 1.3:
        seats = [(0.0, y1, np.pi), (0.0, y0, 0.0), *seats[4:]]
    taken = rng.permutation(len(seats))[: int(rng.integers(2, 5))]
    group = [table]
    for i in taken:
        x, y, yaw = seats[i]
        seat = furniture.chair(np.random.default_rng(model))
        # Pulled out a little or a lot, measured from the table's edge to the chair's back.
        out = rng.uniform(0.25, 0.5)
        place = (x + out * np.sin(yaw), y - out * np.cos(yaw), 0.0)
        group.append(seat.placed(*place, yaw + rng.normal(0.0, 0.15)))
    group += things_on(rng, (x0, y0, x1, y1), top, int(rng.integers(3, 7)))
    whole = join(*group)
    if layout.freestanding(whole) is None:
        layout.against_wall(join(table, *group[len(taken) + 1 :]))


def seats_round(rng: Rng, table: Mesh, build, pitch: float) -> list[tuple[Mesh, tuple]]:
    """Place chairs of one model along the sides of a table, some positions left empty.

    Args:
        rng: the random generator.
        table: the table.
        build: the builder of the chair.
        pitch: metres between two chairs.

    Returns:
        Each chair with the (x, y, z, yaw) at which it stands.
    """
    (x0, y0, _), (x1, y1, _) = table.bounds()
    model, seats = int(rng.integers(2**31)), []
    for along in np.linspace(x0, x1, max(1, int((x1 - x0) / pitch)) * 2 + 1)[1::2]:
        seats += [(along, y1, np.pi), (along, y0, 0.0)]
    if y1 - y0 > 0.7:
        seats += [(x0, (y0 + y1) / 2, -np.pi / 2), (x1, (y0 + y1) / 2, np.pi / 2)]
    chairs, full = [], rng.uniform(0.3, 1.0)
    for x, y, yaw in seats:
        if rng.random() < full:
            # One in three is pushed under the table.
            out = rng.uniform(0.05, 0.25) if rng.random() < 0.33 else rng.uniform(0.2, 0.6)
            turn = yaw + rng.normal(0.0, 0.2)
            place = (x + out * np.sin(yaw), y - out * np.cos(yaw), 0.0, turn)
            chairs.append((build(np.random.default_rng(model)).placed(*place), place))
    return chairs


def _sofa(layout: Layout) -> None:
    """Place a sofa, and a coffee table in front of it where there is space."""
    rng, seat = layout.rng, furniture.sofa(layout.rng)
    low_table = furniture.coffee_table(rng)
    (x0, y0, _), (x1, y1, top) = low_table.bounds()
    things = things_on(rng, (x0, y0, x1, y1), top, int(rng.integers(1, 5)))
    front = float(seat.bounds()[1][1]) + 0.4
    group = join(seat, join(low_table, *things).placed(0.0, front))
    if layout.against_wall(group) is None:
        layout.against_wall(seat)


def _television(layout: Layout) -> None:
    """Place a screen on a low board."""
    rng = layout.rng
    screen = small_objects.television(rng)
    width, depth, tall = rng.uniform(1.2, 1.7), rng.uniform(0.35, 0.45), rng.uniform(0.4, 0.55)
    finish = furniture.wooden(rng)
    board = [box((width, depth, tall - 0.06), (0, depth / 2, tall / 2 + 0.03), finish, "cabinet")]
    board += [
        box(
            (width / 3 - 0.01, 0.016, tall - 0.1),
            (i * width / 3, depth, tall / 2 + 0.03),
            finish,
            "cabinet",
        )
        for i in (-1, 0, 1)
    ]
    board += [
        box((0.05, 0.05, 0.06), (x, y, 0.03), furniture.BLACK, "cabinet")
        for x in (-width / 2 + 0.06, width / 2 - 0.06)
        for y in (0.06, depth - 0.06)
    ]
    stand = join(*board).called("television stand")
    layout.against_wall(join(stand, screen.placed(0, 0.06, tall)), tall=True)


def _workplace(layout: Layout) -> None:
    """Place a desk with a monitor or a laptop, and an office chair in front of it."""
    rng, desk = layout.rng, furniture.desk(layout.rng)
    (x0, _, _), (x1, y1, top) = desk.bounds()
    group = [desk]
    if rng.random() < 0.7:
        group.append(small_objects.monitor(rng).placed(rng.uniform(-0.15, 0.15), 0.03, top))
        group.append(small_objects.keyboard(rng).placed(0.0, y1 - 0.28, top))
    else:
        group.append(small_objects.laptop(rng).placed(0.0, y1 - 0.4, top, rng.normal(0.0, 0.15)))
    edge = x1 - 0.25
    group += things_on(rng, (edge - 0.2, 0.05, x1, y1), top, 1)
    group += things_on(rng, (x0, 0.05, x0 + 0.4, y1), top, 1)
    seat = furniture.office_chair(rng)
    group.append(seat.placed(rng.uniform(-0.1, 0.1), y1 + 0.55, 0.0, np.pi + rng.normal(0, 0.3)))
    if layout.against_wall(join(*group), front=0.4) is None:
        layout.against_wall(join(*group[:-1]))


def things_on(
    rng: Rng, area: Rectangle, top: float, count: int, choice=small_objects.ON_TABLE
) -> list[Mesh]:
    """Place small objects on a table top, none on another and none over the edge.

    Args:
        rng: the random generator.
        area: the rectangle (x0, y0, x1, y1) of the top, metres.
        top: its height, metres.
        count: how many objects to place at most.
        choice: builders of the objects.
    """
    x0, y0, x1, y1 = area
    placed: list[Rectangle] = []
    meshes = []
    for _ in range(count):
        thing = pick(rng, choice)(rng)
        low, high = thing.bounds()
        half = (high - low)[:2] / 2 + 0.03
        if x1 - x0 < 2 * half[0] or y1 - y0 < 2 * half[1]:
            continue
        for _ in range(10):
            x = rng.uniform(x0 + half[0], x1 - half[0])
            y = rng.uniform(y0 + half[1], y1 - half[1])
            placement = (x - half[0], y - half[1], x + half[0], y + half[1])
            if not any(_overlap(placement, other) for other in placed):
                placed.append(placement)
                middle = (low + high) / 2
                meshes.append(thing.placed(x - middle[0], y - middle[1], top))
                break
    return meshes


def add_pictures(layout: Layout) -> None:
    """Add pictures on walls that have space for one."""
    rng, plan = layout.rng, layout.plan
    for number, wall in enumerate(plan.walls):
        along = rng.uniform(0.6, max(0.7, wall.length - 0.6))
        busy = any(o.wall == number and o.start - 0.8 < along < o.end + 0.8 for o in plan.openings)
        if wall.length > 1.6 and not busy and rng.random() < 0.7:
            layout.add(small_objects.picture(rng).placed(*wall.point(along), 1.65, wall.yaw))


def add_ceiling_lamp(layout: Layout) -> None:
    """Add a flat lamp of frosted glass on the middle of the ceiling; its class is ceiling."""
    x, y = lamp_place(layout.plan)
    shade = Finish((0.97, 0.95, 0.90), glow=1.0)
    profile = [(0.0, -0.12), (0.12, -0.10), (0.2, -0.04), (0.2, 0.0)]
    lamp = lathe(profile, (x, y, layout.plan.height), shade, "ceiling", 20)
    layout.add(lamp.called("ceiling lamp"))


def lamp_place(plan: FloorPlan) -> tuple[float, float]:
    """Return where the ceiling lamp hangs: the middle of the larger part of the room."""
    return plan.middle


def add_rug(layout: Layout) -> None:
    """Add a rug in the middle, three times in five; its class is floor."""
    rng = layout.rng
    if rng.random() < 0.4:
        return
    finish = Finish(pick(rng, furniture.FABRICS), pick(rng, ("carpet", "pattern", "stripes")))
    wide, deep = rng.uniform(1.5, 2.4), rng.uniform(1.0, 1.7)
    x, y = lamp_place(layout.plan)
    corner = (x - wide / 2, y - deep / 2, 0.006)
    layout.add(patch(corner, (wide, 0, 0), (0, deep, 0), finish, "floor").called("rug"))


def _outline(mesh: Mesh) -> np.ndarray:
    """Return the convex hull (n, 2), metres, of the floor that a mesh covers."""
    import cv2

    return cv2.convexHull(np.ascontiguousarray(mesh.corners[..., :2].reshape(-1, 2)))[:, 0]


def _rectangle(a, b) -> Rectangle:
    """The axis-aligned rectangle between two opposite corners."""
    return (min(a[0], b[0]), min(a[1], b[1]), max(a[0], b[0]), max(a[1], b[1]))


def _overlap(a: Rectangle, b: Rectangle) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
