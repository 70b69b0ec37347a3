# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Shelves full of things, racks with boxes, work benches, school desks, kitchen islands.

Builders follow the convention of :mod:`concerto_ros.sim.pieces.furniture`. What stands in a shelf
belongs to it, as books do: it is cabinet.
"""

from __future__ import annotations

import numpy as np

from concerto_ros.sim.library.in_rooms import or_from_library
from concerto_ros.sim.mesh import Finish, Mesh, blob, box, join, lathe, rod
from concerto_ros.sim.names import named
from concerto_ros.sim.pieces.cabinets import fronts
from concerto_ros.sim.pieces.finishes import WHITE, any_color, lacquer, metal
from concerto_ros.sim.pieces.furniture import BLACK, METAL, Rng, pick, wooden
from concerto_ros.sim.pieces.small_objects import worn


@named("shelf")
@or_from_library("shelf")
def full_shelf(rng: Rng) -> Mesh:
    """An open shelf of one to four columns, full of things, with or without a back."""
    finish, columns = lacquer(rng), int(rng.integers(1, 5))
    cell, deep = rng.uniform(0.32, 0.8), rng.uniform(0.24, 0.42)
    tall, thick = rng.uniform(0.8, 2.3), rng.uniform(0.018, 0.035)
    levels = max(2, round(tall / rng.uniform(0.28, 0.42)))
    width, pitch = columns * cell, (tall - thick) / levels
    parts = []
    if rng.random() < 0.6:
        parts.append(box((width, 0.01, tall), (0, 0.005, tall / 2), finish, "cabinet"))
    for i in range(columns + 1):
        x = i * cell - width / 2
        parts.append(box((thick, deep, tall), (x, deep / 2, tall / 2), finish, "cabinet"))
    for level in range(levels + 1):
        at = (0, deep / 2, level * pitch + thick / 2)
        parts.append(box((width, deep, thick), at, finish, "cabinet"))
    for i in range(columns):
        for level in range(levels):
            if rng.random() < 0.85:
                x, z = (i + 0.5) * cell - width / 2, level * pitch + thick
                inner = (cell - thick - 0.02, deep, pitch - thick - 0.02)
                parts += [one.placed(x, 0, z) for one in _filling(rng, inner)]
    return join(*parts)


def _filling(rng: Rng, inner) -> list[Mesh]:
    """What fills one cell: books, binders, boxes, a basket, bowls and vases, folded cloth."""
    wide, deep, tall = inner
    style = rng.integers(5)
    if style == 0:  # one basket or box
        size = (
            wide * rng.uniform(0.75, 1.0),
            deep * rng.uniform(0.7, 1.0),
            tall * rng.uniform(0.5, 0.98),
        )
        return [
            box(size, (0, deep - size[1] / 2, size[2] / 2), any_color(rng, "fabric"), "cabinet")
        ]
    parts: list[Mesh] = []
    x = -wide / 2
    while x < wide / 2 - 0.04 and len(parts) < 14:
        if style == 1:  # books and binders
            size = (
                rng.uniform(0.02, 0.08),
                deep * rng.uniform(0.5, 0.9),
                tall * rng.uniform(0.55, 0.95),
            )
        else:
            size = (
                rng.uniform(0.07, 0.25),
                deep * rng.uniform(0.3, 0.9),
                tall * rng.uniform(0.2, 0.9),
            )
        size = (min(size[0], wide / 2 - x), size[1], size[2])
        at, finish = (x + size[0] / 2, deep * rng.uniform(0.45, 0.6), 0.0), any_color(rng)
        if style == 2 and size[0] > 0.05:
            r = min(size[0], deep) / 2
            profile = [
                (r * 0.6, 0),
                (r, size[2] * 0.4),
                (r * 0.4, size[2] * 0.8),
                (r * 0.5, size[2]),
            ]
            parts.append(lathe(profile, at, finish, "cabinet", 10))
        elif style == 3:
            parts.append(blob(size, (at[0], at[1], size[2] / 2), worn(rng), "cabinet", 0.4))
        else:
            parts.append(box(size, (at[0], at[1], size[2] / 2), finish, "cabinet"))
        x += size[0] + rng.uniform(0.002, 0.02 if style == 1 else 0.12)
    return parts


@named("storage rack")
def storage_rack(rng: Rng) -> Mesh:
    """A deep metal rack with cartons, crates and bins on its boards."""
    frame, width, deep = metal(rng), rng.uniform(0.9, 2.2), rng.uniform(0.4, 0.75)
    levels, pitch = int(rng.integers(3, 6)), rng.uniform(0.4, 0.6)
    tall = (levels - 1) * pitch + rng.uniform(0.1, 0.3)
    parts = []
    for x in (-width / 2, width / 2):
        for y in (0.02, deep - 0.02):
            parts.append(box((0.045, 0.04, tall), (x, y, tall / 2), frame, "cabinet"))
    for level in range(levels):
        z = 0.08 + level * pitch
        parts.append(box((width, deep, 0.03), (0, deep / 2, z), frame, "cabinet"))
        x = -width / 2 + 0.04
        while x < width / 2 - 0.15 and rng.random() < 0.88:
            wide, high = rng.uniform(0.15, 0.55), pitch * rng.uniform(0.35, 0.88)
            wide = min(wide, width / 2 - 0.04 - x)
            brown = Finish(tuple(np.array((0.66, 0.51, 0.35)) * rng.uniform(0.8, 1.15)))
            skin, y = pick(rng, (brown, brown, any_color(rng))), deep * rng.uniform(0.6, 0.95)
            at = (x + wide / 2, deep / 2, z + 0.016 + high / 2)
            parts.append(box((wide, y, high), at, skin, "cabinet"))
            x += wide + rng.uniform(0.005, 0.12)
    return join(*parts)


@named("cardboard box")
def stack_of_cartons(rng: Rng) -> Mesh:
    """Two to nine cartons or crates, stacked."""
    parts, x = [], 0.0
    for _ in range(int(rng.integers(1, 4))):
        size, z = rng.uniform(0.3, 0.6, 2), 0.0
        for _ in range(int(rng.integers(1, 5))):
            high = rng.uniform(0.18, 0.42)
            brown = Finish(tuple(np.array((0.66, 0.51, 0.35)) * rng.uniform(0.8, 1.15)))
            skin = pick(rng, (brown, brown, brown, any_color(rng)))
            one = box((*size, high), (0, 0, high / 2), skin, "other")
            parts.append(one.placed(x, 0.32, z, rng.normal(0, 0.05)))
            z += high
        x += size[0] + 0.06
    return join(*parts)


@named("workbench")
def work_bench(rng: Rng) -> Mesh:
    """A heavy table with a board below and a wall of tools behind it half of the time."""
    wood, width, deep = wooden(rng), rng.uniform(1.2, 2.4), rng.uniform(0.55, 0.8)
    top, thick = rng.uniform(0.8, 0.95), rng.uniform(0.04, 0.09)
    parts = [box((width, deep, thick), (0, deep / 2, top - thick / 2), wood, "table")]
    for x in (-width / 2 + 0.08, width / 2 - 0.08):
        for y in (0.06, deep - 0.06):
            parts.append(box((0.09, 0.09, top - thick), (x, y, (top - thick) / 2), wood, "table"))
    parts.append(box((width - 0.1, deep - 0.1, 0.03), (0, deep / 2, 0.2), wood, "table"))
    if rng.random() < 0.5:
        high = rng.uniform(0.5, 0.8)
        at = (0, 0.01, top + 0.1 + high / 2)
        parts.append(box((width, 0.02, high), at, any_color(rng), "wall"))
        for _ in range(int(rng.integers(3, 12))):
            x, z = rng.uniform(-0.45, 0.45) * width, top + 0.1 + high * rng.uniform(0.2, 0.8)
            size = (rng.uniform(0.03, 0.1), 0.04, rng.uniform(0.1, 0.3))
            tool = box(size, (x, 0.04, z), pick(rng, (METAL, BLACK, any_color(rng))), "other")
            parts.append(tool.called("tool"))
    return join(*parts)


@named("standing desk")
def standing_desk(rng: Rng) -> Mesh:
    """A high table on two columns."""
    finish, frame = lacquer(rng), metal(rng)
    width, deep, top = rng.uniform(1.1, 2.0), rng.uniform(0.6, 0.9), rng.uniform(0.9, 1.2)
    parts = [box((width, deep, 0.03), (0, deep / 2, top), finish, "table")]
    for x in (-width / 2 + 0.25, width / 2 - 0.25):
        parts.append(box((0.08, 0.06, top), (x, deep / 2, top / 2), frame, "table"))
        parts.append(box((0.07, deep - 0.1, 0.03), (x, deep / 2, 0.015), frame, "table"))
    return join(*parts)


@named("kitchen island")
def island(rng: Rng) -> Mesh:
    """A block in the middle of a kitchen: cabinet, its top wider than its body."""
    finish, top = lacquer(rng), wooden(rng)
    width, deep, high = rng.uniform(1.2, 2.4), rng.uniform(0.6, 1.0), rng.uniform(0.86, 0.95)
    over = rng.uniform(0.0, 0.3)
    field = fronts(rng, width - 0.02, 0.1, high - 0.05, max(2, round(width / 0.5)), 1, finish)
    return join(
        box((width, deep, high - 0.04), (0, deep / 2, (high - 0.04) / 2), finish, "cabinet"),
        field.placed(0, deep),
        box(
            (width + 0.06, deep + over, 0.04), (0, (deep - over) / 2, high - 0.02), top, "cabinet"
        ),
    )


@named("refrigerator")
@or_from_library("refrigerator")
def refrigerator(rng: Rng) -> Mesh:
    """A refrigerator of one or two doors: cabinet, as the rest of a kitchen row."""
    cold, width = pick(rng, (WHITE, WHITE, METAL, BLACK)), pick(rng, (0.55, 0.6, 0.7, 0.92))
    tall, deep = rng.uniform(1.4, 2.0) if rng.random() < 0.8 else 0.85, rng.uniform(0.58, 0.72)
    split = tall * rng.uniform(0.3, 0.72)
    parts = [box((width, deep, tall), (0, deep / 2, tall / 2), cold, "cabinet")]
    side = pick(rng, (-1, 1)) * (width / 2 - 0.06)
    for low, high in ((0.05, split), (split, tall)):
        size = (width - 0.006, 0.05, high - low - 0.012)
        middle = (low + high) / 2
        parts.append(box(size, (0, deep + 0.03, middle), cold, "cabinet"))
        grip = (0.025, 0.04, (high - low) * 0.5)
        parts.append(box(grip, (side, deep + 0.08, middle), METAL, "cabinet"))
    return join(*parts)


@named("kitchen cabinet")
def kitchen_wall(rng: Rng) -> Mesh:
    """A row of base units with oven, sink and hob, wall units and a hood above."""
    finish, top = lacquer(rng), pick(rng, (wooden(rng), any_color(rng)))
    cells = int(rng.integers(2, 6))
    width, deep, high = 0.6 * cells, rng.uniform(0.58, 0.65), rng.uniform(0.86, 0.94)
    parts = [
        box(
            (width, deep - 0.02, high - 0.04),
            (0, deep / 2 - 0.01, high / 2 - 0.02),
            finish,
            "cabinet",
        ),
        box((width, deep + 0.02, 0.04), (0, deep / 2 + 0.01, high - 0.02), top, "cabinet"),
    ]
    oven, sink = (int(i) for i in rng.permutation(cells)[:2])
    for i in range(cells):
        x = (i + 0.5) * 0.6 - width / 2
        if i == oven:
            front = box((0.58, 0.03, 0.58), (x, deep, high - 0.38), BLACK, "cabinet")
            grip = box((0.45, 0.04, 0.02), (x, deep + 0.03, high - 0.16), METAL, "cabinet")
            hob = box((0.54, 0.48, 0.008), (x, deep / 2, high + 0.003), BLACK, "cabinet")
            parts += [join(front, grip).called("oven"), hob.called("stove")]
        else:
            rows = int(rng.choice([1, 1, 3]))
            parts.append(
                fronts(rng, 0.59, 0.1, high - 0.05, 1, rows, finish).placed(x, deep - 0.02)
            )
        if i == sink:
            end = (x, 0.26, high + 0.23)
            basin = join(
                box((0.5, 0.4, 0.012), (x, deep / 2, high + 0.004), METAL, "other"),
                rod((x, 0.08, high), (x, 0.08, high + 0.25), 0.013, METAL, "other", 6),
                rod((x, 0.08, high + 0.25), end, 0.012, METAL, "other", 6),
            )
            parts.append(basin.called("sink"))
        low = high + 0.52
        if i != oven and rng.random() < 0.85:
            up = rng.uniform(0.55, 0.58) + 0.1
            parts.append(box((0.6, 0.32, up), (x, 0.16, low + up / 2), finish, "cabinet"))
            parts.append(fronts(rng, 0.59, low, low + up, 1, 1, finish).placed(x, 0.32))
        elif i == oven and rng.random() < 0.6:
            hood = box((0.58, 0.45, 0.12), (x, 0.23, low + 0.1), METAL, "cabinet")
            flue = box((0.25, 0.25, 0.5), (x, 0.13, low + 0.4), METAL, "cabinet")
            parts.append(join(hood, flue).called("range hood"))
    return join(*parts)


@named("school desk")
def school_desk(rng: Rng) -> Mesh:
    """A desk for one or two pupils."""
    finish, frame = pick(rng, (wooden(rng), WHITE, lacquer(rng))), metal(rng)
    width, deep, top = pick(rng, (0.65, 1.25)), rng.uniform(0.45, 0.6), rng.uniform(0.62, 0.78)
    parts = [box((width, deep, 0.025), (0, deep / 2, top), finish, "table")]
    for x in (-width / 2 + 0.05, width / 2 - 0.05):
        for y in (0.05, deep - 0.05):
            parts.append(rod((x, y, 0), (x, y, top), 0.015, frame, "table", 6))
    if rng.random() < 0.5:
        parts.append(
            box((width - 0.1, deep - 0.1, 0.015), (0, deep / 2, top - 0.13), frame, "table")
        )
    return join(*parts)


@named("car")
def car(rng: Rng) -> Mesh:
    """A car, other indoors."""
    paint, long, wide = any_color(rng), rng.uniform(3.4, 4.3), rng.uniform(1.6, 1.8)
    glass = Finish((0.12, 0.14, 0.16))
    parts = [
        blob((wide, long, 0.75), (0, long / 2, 0.6), paint, "other", 0.25),
        blob((wide * 0.86, long * 0.58, 0.85), (0, long * 0.47, 1.0), glass, "other", 0.4),
        blob((wide * 0.8, long * 0.42, 0.12), (0, long * 0.47, 1.4), paint, "other", 0.5),
    ]
    for x in (-wide / 2 + 0.1, wide / 2 - 0.1):
        for y in (long * 0.18, long * 0.8):
            parts.append(rod((x - 0.09, y, 0.31), (x + 0.09, y, 0.31), 0.31, BLACK, "other", 16))
    return join(*parts)
