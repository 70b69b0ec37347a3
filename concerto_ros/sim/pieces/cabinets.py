# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Dressers, sideboards, nightstands, wardrobes, and closets that fill a wall.

Builders follow the convention of :mod:`concerto_ros.sim.pieces.furniture`.
"""

from __future__ import annotations

import numpy as np

from concerto_ros.sim.library.in_rooms import or_from_library
from concerto_ros.sim.mesh import Finish, Mesh, blob, box, join, patch, rod
from concerto_ros.sim.names import named
from concerto_ros.sim.pieces.finishes import lacquer
from concerto_ros.sim.pieces.furniture import BLACK, METAL, Rng, pick, wooden

#: What shows in the gaps between fronts.
GAP = Finish((0.07, 0.065, 0.06))
#: Doors and drawers look like this; the last two have no handles.
FRONTS = ("plain", "plain", "panelled", "framed", "louvred", "plain without", "framed without")


def fronts(
    rng: Rng, width: float, low: float, high: float, columns: int, rows: int, finish: Finish
) -> Mesh:
    """A field of doors or drawers on the plane y = 0, x centred, from z = low to high.

    The fronts stand 5 to 22 mm off the plane, with dark gaps of 2 to 8 mm between them.
    """
    style, proud, gap = pick(rng, FRONTS), rng.uniform(0.005, 0.022), rng.uniform(0.002, 0.008)
    metal, grip = pick(rng, (METAL, BLACK, finish)), pick(rng, ("bar", "knob", "long", "cup"))
    across, up = width / columns, (high - low) / rows
    tall = up > 0.8
    parts = [
        patch((width / 2, 0.001, low), (-width, 0, 0), (0, 0, high - low), GAP, "cabinet", 0.5)
    ]
    for i in range(columns):
        for j in range(rows):
            x, z = (i + 0.5) * across - width / 2, low + (j + 0.5) * up
            size = (across - gap, proud, up - gap)
            parts.append(box(size, (x, proud / 2, z), finish, "cabinet"))
            parts += _relief(style, size, (x, proud, z), finish)
            if style.endswith("without"):
                continue
            side = (across / 2 - 0.05) * (-1) ** i if tall else 0.0
            at = (x + side, proud, z if rows == 1 and tall else z + up * 0.12 * (not tall))
            parts.append(_grip(grip, at, tall, min(across * 0.5, 0.3), metal))
    return join(*parts)


def _relief(style: str, size, at, finish: Finish) -> list[Mesh]:
    """What stands off a front: a raised panel, a frame, slats."""
    (wide, _, tall), (x, y, z) = size, at
    if wide < 0.2 or tall < 0.12:
        return []
    if style == "panelled":
        edge = min(0.07, tall * 0.2)
        size = (wide - 2 * edge, 0.012, tall - 2 * edge)
        return [box(size, (x, y + 0.006, z), finish, "cabinet")]
    if style.startswith("framed"):
        edge = min(0.06, tall * 0.2)
        parts = [
            box(
                (edge, 0.012, tall),
                (x + side * (wide - edge) / 2, y + 0.006, z),
                finish,
                "cabinet",
            )
            for side in (-1, 1)
        ]
        parts += [
            box(
                (wide - 2 * edge, 0.012, edge),
                (x, y + 0.006, z + side * (tall - edge) / 2),
                finish,
                "cabinet",
            )  # fmt: skip
            for side in (-1, 1)
        ]
        return parts
    if style == "louvred" and tall > 0.8:
        # Few broad slats: a reading every few centimetres shows no more.
        return [
            box((wide - 0.1, 0.02, 0.05), (x, y + 0.01, up), finish, "cabinet")
            for up in np.arange(z - tall / 2 + 0.12, z + tall / 2 - 0.08, 0.11)
        ]
    return []


def _grip(style: str, at, tall: bool, wide: float, finish: Finish) -> Mesh:
    x, y, z = at
    if style == "knob":
        return blob((0.035, 0.04, 0.035), (x, y + 0.018, z), finish, "cabinet", 1.0)
    if style == "cup":
        return box((0.09, 0.025, 0.03), (x, y + 0.012, z), finish, "cabinet")
    long = wide if style == "long" else 0.13
    size = (0.014, 0.032, long) if tall else (long, 0.032, 0.014)
    return box(size, (x, y + 0.016, z), finish, "cabinet")


def case(
    rng: Rng, width: float, depth: float, tall: float, columns: int, rows: int, finish: Finish
) -> Mesh:
    """A closed cabinet on a plinth, on legs or flat on the floor, with a top that may jut out."""
    style = pick(rng, ("plinth", "legs", "flat"))
    low = {"plinth": 0.07, "legs": rng.uniform(0.08, 0.25), "flat": 0.01}[style]
    if tall < 0.45:
        low = min(low, 0.1)
    parts = [box((width, depth, tall - low), (0, depth / 2, (tall + low) / 2), finish, "cabinet")]
    if style == "plinth":
        back = depth - rng.uniform(0.02, 0.06)
        parts.append(box((width - 0.01, back, low), (0, back / 2, low / 2), finish, "cabinet"))
    elif style == "legs":
        leg = pick(rng, (finish, BLACK, METAL))
        for x in (-width / 2 + 0.06, width / 2 - 0.06):
            for y in (0.05, depth - 0.05):
                parts.append(rod((x, y, 0), (x, y, low), 0.02, leg, "cabinet", 6))
    edge = rng.uniform(0.0, 0.03)
    over = rng.uniform(0.0, 0.025)
    if over > 0.008 and tall < 1.5:
        size = (width + 2 * over, depth + 2 * over, 0.025)
        parts.append(box(size, (0, depth / 2 + over, tall + 0.012), finish, "cabinet"))
    front = finish if rng.random() < 0.8 else lacquer(rng)
    field = fronts(rng, width - 2 * edge, low + edge, tall - edge, columns, rows, front)
    return join(*parts, field.placed(0, depth))


@named("chest of drawers")
@or_from_library("sideboard")
def dresser(rng: Rng) -> Mesh:
    """A chest of drawers, knee to breast high, one to three drawers wide."""
    columns, rows = int(rng.choice([1, 1, 2, 2, 3])), int(rng.integers(2, 7))
    width = columns * rng.uniform(0.42, 0.8)
    tall = max(0.55, min(rows * rng.uniform(0.16, 0.26) + 0.1, 1.35))
    return case(rng, width, rng.uniform(0.38, 0.56), tall, columns, rows, lacquer(rng))


@named("sideboard")
@or_from_library("sideboard")
def sideboard(rng: Rng) -> Mesh:
    """A long low cabinet."""
    columns = int(rng.integers(2, 6))
    width, tall = columns * rng.uniform(0.38, 0.55), rng.uniform(0.42, 0.95)
    return case(
        rng, width, rng.uniform(0.34, 0.5), tall, columns, pick(rng, (1, 1, 2)), lacquer(rng)
    )


@named("nightstand")
@or_from_library("nightstand")
def nightstand(rng: Rng) -> Mesh:
    """A small cabinet for beside a bed."""
    width, tall = rng.uniform(0.32, 0.58), rng.uniform(0.38, 0.68)
    return case(rng, width, rng.uniform(0.3, 0.45), tall, 1, int(rng.integers(1, 4)), lacquer(rng))


@named("wardrobe")
@or_from_library("wardrobe")
def wardrobe(rng: Rng) -> Mesh:
    """A tall cabinet of one to five doors, sometimes with drawers below."""
    doors, tall, finish = int(rng.integers(1, 6)), rng.uniform(1.65, 2.25), lacquer(rng)
    width, depth = doors * rng.uniform(0.38, 0.58), rng.uniform(0.42, 0.64)
    if rng.random() < 0.25:
        base = case(rng, width, depth, 0.5, max(1, doors // 2), 1, finish)
        body = box((width, depth, tall - 0.5), (0, depth / 2, (tall + 0.5) / 2), finish, "cabinet")
        upper = fronts(rng, width, 0.53, tall, doors, 1, finish).placed(0, depth)
        return join(base, body, upper)
    return case(rng, width, depth, tall, doors, 1, finish)


@named("closet")
def closet_front(rng: Rng, width: float, tall: float, wall: Finish) -> Mesh:
    """Floor-to-ceiling doors on the plane y = 0 from z = 0: of a closet that fills a wall.

    Half of them have the colour of the wall. Swinging, folding, or two to four sliding doors.
    """
    white = rng.uniform(0.84, 0.96)
    finish = pick(rng, (wall, Finish((white,) * 3), wooden(rng), lacquer(rng)))
    plinth = pick(rng, (0.0, 0.03, 0.08))
    split = tall - rng.uniform(0.35, 0.6) if tall > 2.2 and rng.random() < 0.4 else tall
    parts = []
    if plinth:
        parts.append(box((width, 0.01, plinth), (0, 0.005, plinth / 2), finish, "cabinet"))
    if rng.random() < 0.3 and width > 1.0:  # sliding doors, each before or behind the next
        count, pane = int(rng.integers(2, 5)), finish
        if rng.random() < 0.35:  # a mirror shows the room as something bright without texture
            tone = rng.uniform(0.5, 0.8)
            pane = Finish((tone, tone * 1.02, tone * 1.03))
        wide = width / count
        for i in range(count):
            x, y = (i + 0.5) * wide - width / 2, 0.012 + 0.03 * (i % 2)
            high = split - plinth - 0.01
            skin = pane if i % 2 == 0 else finish
            parts.append(
                box((wide + 0.02, 0.022, high), (x, y, plinth + high / 2), skin, "cabinet")
            )
            for side in (-1, 1):
                at = (x + side * (wide / 2 - 0.005), y + 0.012, plinth + high / 2)
                parts.append(box((0.03, 0.012, high), at, pick(rng, (METAL, finish)), "cabinet"))
    else:
        doors = max(1, round(width / rng.uniform(0.32, 0.62)))
        parts.append(fronts(rng, width, plinth, split, doors, 1, finish))
    if split < tall - 0.01:
        doors = max(1, round(width / 0.6))
        parts.append(fronts(rng, width, split + 0.01, tall, doors, 1, finish))
    return join(*parts)


def closet(rng: Rng, width: float, tall: float, wall: Finish) -> Mesh:
    """A closet of that width that stands before a wall, up to the ceiling."""
    depth = rng.uniform(0.38, 0.66)
    side = pick(rng, (wall, Finish((0.9, 0.9, 0.89)), wooden(rng)))
    body = box((width, depth, tall), (0, depth / 2, tall / 2), side, "cabinet")
    return join(body, closet_front(rng, width, tall, wall).placed(0, depth))


#: Cabinets to about breast height, on which things stand, and high ones.
LOW_CABINETS = (dresser, dresser, sideboard, nightstand)
HIGH_CABINETS = (wardrobe, wardrobe)
