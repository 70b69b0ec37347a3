# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Furniture and fittings of offices, meeting rooms and kitchens.

Builders follow the convention of :mod:`concerto_ros.sim.pieces.furniture`.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from concerto_ros.sim.library.in_rooms import or_from_library
from concerto_ros.sim.mesh import (
    Finish,
    Mesh,
    blob,
    box,
    cushion,
    join,
    lathe,
    patch,
    rod,
    rotation_about,
)
from concerto_ros.sim.names import named
from concerto_ros.sim.pieces.books import stocked
from concerto_ros.sim.pieces.furniture import (
    BLACK,
    METAL,
    PAINTS,
    Rng,
    cloth,
    pick,
    wooden,
)
from concerto_ros.sim.pieces.small_objects import SKINS, worn

WHITE = Finish((0.90, 0.90, 0.89))


@named("desk")
@or_from_library("desk")
def office_desk(rng: Rng) -> Mesh:
    """A plain top on steel legs, trestles or closed sides; one time in four with a return."""
    finish = pick(rng, (WHITE, Finish((0.75, 0.75, 0.74)), wooden(rng)))
    frame = pick(rng, (METAL, BLACK, WHITE))
    width, depth, height = rng.uniform(1.2, 2.0), rng.uniform(0.6, 0.95), rng.uniform(0.68, 0.78)
    parts = [box((width, depth, 0.03), (0, depth / 2, height - 0.015), finish, "table")]
    style = rng.integers(3)
    for x in (-width / 2 + 0.06, width / 2 - 0.06):
        if style == 0:
            leg = (0.06, 0.06, height - 0.03)
            for y in (0.06, depth - 0.06):
                parts.append(box(leg, (x, y, height / 2 - 0.015), frame, "table"))
        elif style == 1:
            tall = height - 0.07
            parts.append(box((0.07, 0.09, tall), (x, depth / 2, 0.04 + tall / 2), frame, "table"))
            parts.append(box((0.07, depth - 0.1, 0.04), (x, depth / 2, 0.02), frame, "table"))
        else:
            side = (0.03, depth - 0.04, height - 0.03)
            parts.append(box(side, (x, depth / 2, height / 2 - 0.015), finish, "table"))
    if rng.random() < 0.5:
        low = rng.uniform(0.1, 0.4)
        panel = (width - 0.14, 0.02, height - 0.05 - low)
        middle = (0, rng.uniform(0.03, 0.2), (height - 0.05 + low) / 2)
        parts.append(box(panel, middle, finish, "table"))
    if rng.random() < 0.25:
        side, reach = pick(rng, (-1, 1)), rng.uniform(0.4, 0.8)
        x = side * (width / 2 - 0.3)
        parts.append(
            box((0.6, reach, 0.03), (x, depth + reach / 2, height - 0.015), finish, "table")
        )
        foot = (side * (width / 2 - 0.06), depth + reach - 0.06, height / 2 - 0.015)
        parts.append(box((0.05, 0.05, height - 0.03), foot, frame, "table"))
    return join(*parts)


@named("meeting table")
@or_from_library("dining table")
def meeting_table(rng: Rng) -> Mesh:
    """A long or round table on panels or a column."""
    finish, height = wooden(rng), rng.uniform(0.70, 0.77)
    if rng.random() < 0.35:
        radius = rng.uniform(0.4, 0.8)
        top = [(0, height - 0.04), (radius, height - 0.04), (radius, height), (0, height)]
        foot = [(0.32, 0), (0.32, 0.03), (0.05, 0.05), (0.05, height - 0.04)]
        return join(
            lathe(top, (0, radius, 0), finish, "table", 28),
            lathe(foot, (0, radius, 0), METAL, "table", 14),
        )
    width, depth = rng.uniform(1.6, 3.2), rng.uniform(0.8, 1.3)
    parts = [box((width, depth, 0.04), (0, depth / 2, height - 0.02), finish, "table")]
    for x in (-0.32 * width, 0.32 * width):
        leg = (0.08, depth * 0.55, height - 0.04)
        parts.append(box(leg, (x, depth / 2, height / 2 - 0.02), finish, "table"))
    return join(*parts)


@named("chair")
@or_from_library("chair")
def visitor_chair(rng: Rng) -> Mesh:
    """A chair of bent steel tube, or a moulded shell on four thin legs, some with arm rests."""
    pad, frame = cloth(rng), pick(rng, (METAL, BLACK))
    if rng.random() < 0.4:
        pad = Finish(tuple(rng.uniform(0.1, 0.9, 3)))
    seat, rise = rng.uniform(0.42, 0.48), rng.uniform(0.32, 0.5)
    width, depth = rng.uniform(0.42, 0.54), rng.uniform(0.42, 0.5)
    parts = [cushion((width, depth, 0.06), (0, depth / 2 + 0.04, seat), pad, "chair", 0.025)]
    back = cushion((width - 0.02, 0.05, rise), (0, 0, rise / 2), pad, "chair", 0.02)
    start = rng.uniform(0.02, 0.16)
    lean = rotation_about("x", rng.uniform(0.08, 0.3))
    parts.append(back.transformed(lean, (0, 0.04, seat + start)))
    cantilever = rng.random() < 0.4
    for x in (-width / 2, width / 2):
        front, rear = (x, depth + 0.02, 0), (x, 0.03, 0)
        up = (x, depth + 0.02, seat)
        parts.append(rod(front, up, 0.013, frame, "chair", 6))
        if cantilever:
            parts.append(rod((x, 0.0, 0.012), (x, depth + 0.02, 0.012), 0.013, frame, "chair", 6))
            parts.append(rod(up, (x, 0.03, seat), 0.013, frame, "chair", 6))
        else:
            parts.append(rod(rear, (x, 0.05, seat), 0.013, frame, "chair", 6))
        parts.append(rod((x, 0.05, seat), (x, 0.02, seat + start + 0.1), 0.013, frame, "chair", 6))
    if rng.random() < 0.35:
        for x in (-width / 2 - 0.02, width / 2 + 0.02):
            high = seat + rng.uniform(0.18, 0.25)
            parts.append(box((0.04, depth * 0.9, 0.03), (x, depth / 2, high), BLACK, "chair"))
            parts.append(
                rod((x, depth * 0.9, seat - 0.02), (x, depth * 0.9, high), 0.013, frame, "chair")
            )
    return join(*parts)


@or_from_library("stool")
def stool(rng: Rng) -> Mesh:
    """A stool, of table or of bar height."""
    seat, radius = pick(rng, (0.45, 0.62, 0.74)), rng.uniform(0.15, 0.2)
    finish, center = pick(rng, (wooden(rng), cloth(rng))), (0, radius, 0)
    top = [(0, seat - 0.05), (radius, seat - 0.05), (radius, seat), (0, seat)]
    parts = [lathe(top, center, finish, "chair", 18)]
    for angle in np.arange(4) * np.pi / 2 + np.pi / 4:
        c, s = np.cos(angle), np.sin(angle)
        foot = (radius * 1.05 * c, radius * (1 + 1.05 * s), 0)
        high = (radius * 0.7 * c, radius * (1 + 0.7 * s), seat - 0.04)
        parts.append(rod(foot, high, 0.014, METAL, "chair", 6))
    return join(*parts).called("bar stool" if seat > 0.6 else "stool")


@named("filing cabinet")
@or_from_library("nightstand")
def pedestal(rng: Rng) -> Mesh:
    """A block of drawers, knee to breast high: beside a desk or a filing cabinet."""
    finish = pick(rng, (Finish(pick(rng, PAINTS)), wooden(rng)))
    drawers = int(rng.integers(2, 5))
    width, depth, pitch = rng.uniform(0.38, 0.5), rng.uniform(0.45, 0.65), rng.uniform(0.18, 0.33)
    tall = drawers * pitch + 0.06
    parts = [box((width, depth, tall), (0, depth / 2, tall / 2), finish, "cabinet")]
    for level in range(drawers):
        z = 0.05 + (level + 0.5) * pitch
        front = (width - 0.02, 0.015, pitch - 0.02)
        parts.append(box(front, (0, depth + 0.005, z), finish, "cabinet"))
        parts.append(box((0.14, 0.025, 0.015), (0, depth + 0.02, z + 0.05), METAL, "cabinet"))
    return join(*parts)


@named("shelf")
@or_from_library("shelf", then=stocked)
def open_rack(rng: Rng) -> Mesh:
    """A shelf without a back, with boxes and binders; the boxes belong to it."""
    finish = pick(rng, (METAL, WHITE, wooden(rng)))
    width, depth = rng.uniform(0.8, 1.4), rng.uniform(0.3, 0.5)
    levels, pitch = int(rng.integers(3, 6)), rng.uniform(0.34, 0.42)
    tall = levels * pitch + 0.05
    parts = []
    for x in (-width / 2 + 0.02, width / 2 - 0.02):
        for y in (0.02, depth - 0.02):
            parts.append(box((0.035, 0.035, tall), (x, y, tall / 2), finish, "cabinet"))
    for level in range(levels + 1):
        z = 0.06 + level * pitch * 0.97
        parts.append(box((width, depth, 0.025), (0, depth / 2, z), finish, "cabinet"))
        x = -width / 2 + 0.05
        while level < levels and x < width / 2 - 0.1 and rng.random() < 0.9:
            wide, high = rng.uniform(0.07, 0.35), pitch * rng.uniform(0.4, 0.85)
            wide = min(wide, width / 2 - 0.04 - x)
            deep = depth * rng.uniform(0.6, 0.95)
            skin = Finish(tuple(rng.uniform(0.1, 0.9, 3)))
            place = (x + wide / 2, depth / 2, z + 0.0125 + high / 2)
            parts.append(box((wide, deep, high), place, skin, "cabinet"))
            x += wide + rng.uniform(0.005, 0.15)
    return join(*parts)


@or_from_library("wall cabinet")
def wall_unit(rng: Rng) -> Mesh:
    """A cupboard or a board with books, to be hung on a wall; its underside is at z = 0."""
    width, depth = rng.uniform(0.6, 1.6), rng.uniform(0.22, 0.38)
    finish = pick(rng, (WHITE, wooden(rng)))
    if rng.random() < 0.6:
        tall, cells = rng.uniform(0.4, 0.75), max(1, round(width / 0.5))
        parts = [box((width, depth, tall), (0, depth / 2, tall / 2), finish, "cabinet")]
        for i in range(cells):
            x = (i + 0.5) * width / cells - width / 2
            front = (width / cells - 0.012, 0.016, tall - 0.02)
            parts.append(box(front, (x, depth + 0.006, tall / 2), finish, "cabinet"))
        return join(*parts).called("wall cabinet")
    parts = [box((width, depth, 0.03), (0, depth / 2, 0.015), finish, "cabinet")]
    x = -width / 2 + 0.03
    while x < width / 2 - 0.08:
        thick, high = rng.uniform(0.02, 0.09), rng.uniform(0.18, 0.32)
        cover = Finish(tuple(rng.uniform(0.1, 0.9, 3)))
        place = (x + thick / 2, depth / 2, 0.03 + high / 2)
        parts.append(box((thick, depth * 0.8, high), place, cover, "cabinet"))
        x += thick + (rng.uniform(0.1, 0.4) if rng.random() < 0.15 else 0.003)
    return join(*parts).called("wall shelf")


@named("kitchen cabinet")
def kitchen_row(rng: Rng) -> Mesh:
    """Base units under a worktop with a sink and a tap, wall units above, often a refrigerator."""
    finish, top = pick(rng, (WHITE, wooden(rng))), wooden(rng)
    cells = int(rng.integers(2, 5))
    width, depth, height = 0.6 * cells, 0.6, rng.uniform(0.86, 0.94)
    parts = [
        box(
            (width, depth - 0.03, height - 0.14),
            (0, depth / 2, height / 2 + 0.03),
            finish,
            "cabinet",
        ),
        box((width, depth, 0.04), (0, depth / 2, height - 0.02), top, "cabinet"),
        box((width, 0.02, 0.1), (0, depth - 0.08, 0.05), BLACK, "cabinet"),
    ]
    for i in range(cells):
        x = (i + 0.5) * 0.6 - width / 2
        front = (0.585, 0.02, height - 0.16)
        parts.append(box(front, (x, depth - 0.01, height / 2 + 0.03), finish, "cabinet"))
        parts.append(box((0.3, 0.025, 0.02), (x, depth + 0.012, height - 0.12), METAL, "cabinet"))
    x = (width - 0.6) / 2 * pick(rng, (-1, 1))
    tap = [(x, 0.12, height), (x, 0.12, height + 0.25), (x, 0.3, height + 0.22)]
    parts += [rod(*ends, 0.012, METAL, "other").called("sink") for ends in pairwise(tap)]
    if rng.random() < 0.75:
        tall, low = rng.uniform(0.5, 0.75), height + rng.uniform(0.45, 0.6)
        parts.append(box((width, 0.34, tall), (0, 0.17, low + tall / 2), finish, "cabinet"))
        for i in range(cells):
            x = (i + 0.5) * 0.6 - width / 2
            parts.append(
                box((0.585, 0.016, tall - 0.015), (x, 0.348, low + tall / 2), finish, "cabinet")
            )
    if rng.random() < 0.6:
        high = rng.uniform(1.4, 2.0)
        x = width / 2 + 0.31
        cold = pick(rng, (WHITE, METAL))
        fridge = join(
            box((0.6, 0.62, high), (x, 0.31, high / 2), cold, "cabinet"),
            box((0.59, 0.02, high * 0.6), (x, 0.63, high * 0.68), cold, "cabinet"),
        )
        parts.append(fridge.called("refrigerator"))
    return join(*parts)


@named("monitor")
def tube_monitor(rng: Rng) -> Mesh:
    """An old monitor with a deep back, for desks."""
    width, case = (
        rng.uniform(0.36, 0.46),
        Finish(pick(rng, ((0.8, 0.78, 0.7), (0.15, 0.15, 0.15)))),
    )
    tall, deep = width * 0.86, width * rng.uniform(0.85, 1.05)
    lift = 0.08
    front = deep
    corner = (width / 2 - 0.035, front + 0.002, lift + 0.035)
    shown = Finish((0.1, 0.11, 0.12)) if rng.random() < 0.5 else Finish((0.5,) * 3, "text", 0.9)
    return join(
        box((width, 0.14, tall), (0, front - 0.07, lift + tall / 2), case, "screen"),
        box(
            (width * 0.72, deep - 0.14, tall * 0.75),
            (0, (deep - 0.14) / 2, lift + tall / 2),
            case,
            "screen",
        ),
        patch(corner, (0.07 - width, 0, 0), (0, 0, tall - 0.07), shown, "screen"),
        box((width * 0.6, deep * 0.6, lift), (0, deep * 0.55, lift / 2), case, "screen"),
    )


@named("telephone")
def telephone(rng: Rng) -> Mesh:
    """A desk telephone."""
    case = Finish(pick(rng, ((0.12,) * 3, (0.75,) * 3)))
    body = box((0.19, 0.2, 0.05), (0, 0.1, 0.025), case, "other")
    return join(body, rod((-0.06, 0.02, 0.075), (-0.06, 0.19, 0.075), 0.022, case, "other"))


@named("computer")
def computer(rng: Rng) -> Mesh:
    """The case of a desktop computer."""
    size = (rng.uniform(0.17, 0.22), rng.uniform(0.38, 0.5), rng.uniform(0.36, 0.48))
    case = Finish(pick(rng, ((0.12,) * 3, (0.75, 0.74, 0.7), (0.4,) * 3)))
    return box(size, (0, size[1] / 2, size[2] / 2), case, "other")


@named("printer")
def printer(rng: Rng) -> Mesh:
    """A printer or a copier's upper half, for cabinets and tables."""
    width, tall, case = rng.uniform(0.38, 0.6), rng.uniform(0.2, 0.45), pick(rng, (WHITE, BLACK))
    return join(
        box((width, 0.42, tall), (0, 0.21, tall / 2), case, "other"),
        box((width * 0.7, 0.2, 0.02), (0, 0.5, tall * 0.4), case, "other"),
    )


@named("whiteboard")
def whiteboard(rng: Rng) -> Mesh:
    """A board with a frame, to be hung on a wall; its middle is at z = 0. It counts as wall."""
    width, tall = rng.uniform(0.9, 2.4), rng.uniform(0.8, 1.2)
    face = Finish(tuple(rng.uniform(0.85, 0.97, 3)), pick(rng, ("plain", "text")))
    if rng.random() < 0.25:
        face = Finish(pick(rng, ((0.12, 0.25, 0.2), (0.6, 0.45, 0.3))))
    corner = (width / 2, 0.025, -tall / 2)
    return join(
        box((width + 0.04, 0.02, tall + 0.04), (0, 0.01, 0), METAL, "wall"),
        patch(corner, (-width, 0, 0), (0, 0, tall), face, "wall"),
        box((width * 0.5, 0.07, 0.02), (0, 0.05, -tall / 2), METAL, "wall"),
    )


@named("radiator")
@or_from_library("heater")
def radiator(rng: Rng) -> Mesh:
    """A ribbed radiator that stands before a wall."""
    width, tall = rng.uniform(0.6, 1.6), rng.uniform(0.4, 0.65)
    parts = [box((width, 0.05, tall), (0, 0.08, 0.12 + tall / 2), WHITE, "other")]
    for x in np.linspace(-width / 2 + 0.03, width / 2 - 0.03, int(width / 0.08)):
        parts.append(box((0.03, 0.03, tall - 0.04), (x, 0.12, 0.12 + tall / 2), WHITE, "other"))
    return join(*parts)


@named("pillar")
def column(rng: Rng, height: float) -> Mesh:
    """A square or round pillar from floor to ceiling; it counts as wall."""
    finish, size = (
        Finish(tuple(rng.uniform(0.6, 0.95) * np.ones(3)), "plaster"),
        rng.uniform(0.25, 0.5),
    )
    if rng.random() < 0.3:
        return lathe([(size / 2, 0), (size / 2, height)], (0, size / 2, 0), finish, "wall", 20)
    return box((size, size, height), (0, size / 2, height / 2), finish, "wall")


@named("partition")
def screen_panel(rng: Rng) -> Mesh:
    """A free-standing partition between desks; it counts as wall."""
    width, tall = rng.uniform(1.0, 1.8), rng.uniform(1.1, 1.7)
    return box((width, 0.05, tall), (0, 0.025, tall / 2), cloth(rng), "wall")


@named("person")
@or_from_library("seated person", then=lambda model, rng: model.placed(0.0, 0.1))
def seated_person(rng: Rng, seat: float = 0.47) -> Mesh:
    """An adult on a seat of height ``seat`` whose back edge is at y = 0, facing +y."""
    label, skin = "person", Finish(pick(rng, SKINS))
    shirt, trousers = worn(rng), Finish(tuple(rng.uniform(0.1, 0.45, 3)), "fabric")
    hair = Finish(tuple(rng.uniform(0.05, 0.4) * np.ones(3)))
    tall, lean = rng.uniform(0.52, 0.62), rng.uniform(-0.1, 0.25)
    hip, neck = (0.0, 0.2, seat + 0.1), (0.0, 0.2 + lean, seat + tall)
    middle = tuple((np.add(hip, neck)) / 2)
    chest = blob((0.42, 0.25, tall + 0.14), (0, 0, 0), shirt, label, 0.6)
    parts = [chest.transformed(rotation_about("x", -lean / tall), middle)]
    for side in (-1, 1):
        thigh, knee = (side * 0.1, 0.2, seat + 0.08), (side * 0.13, 0.6, seat + 0.07)
        foot = (side * 0.13, 0.55 + rng.uniform(-0.15, 0.25), 0.08)
        parts.append(rod(thigh, knee, 0.08, trousers, label))
        parts.append(rod(knee, foot, 0.055, trousers, label))
        parts.append(blob((0.1, 0.26, 0.1), (foot[0], foot[1] + 0.06, 0.05), BLACK, label, 0.6))
        shoulder = (side * 0.2, neck[1], neck[2] - 0.06)
        elbow = (side * 0.27, neck[1] + 0.1, seat + 0.25)
        hand = (side * rng.uniform(0.05, 0.25), neck[1] + rng.uniform(0.3, 0.42), seat + 0.27)
        parts.append(rod(shoulder, elbow, 0.046, shirt, label))
        parts.append(rod(elbow, hand, 0.037, pick(rng, (shirt, skin)), label))
        parts.append(blob((0.08, 0.12, 0.05), hand, skin, label, 0.9))
    head = (0.0, neck[1] + 0.02, neck[2] + 0.2)
    parts.append(rod(neck, head, 0.055, skin, label))
    parts.append(blob((0.16, 0.2, 0.24), head, skin, label, 0.95))
    parts.append(blob((0.18, 0.2, 0.18), (0, head[1] - 0.03, head[2] + 0.05), hair, label, 0.95))
    return join(*parts)


#: What else lies on desks.
ON_DESK = (telephone, computer, printer)
