# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Furniture built of parts, each piece of its own size and appearance.

A builder takes a random generator and returns a mesh that stands on z = 0, its back along y = 0,
its front towards +y, x centred, in metres.
"""

from __future__ import annotations

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
from concerto_ros.sim.pieces.books import row_of_books, stocked

Rng = np.random.Generator

WOODS = ((0.72, 0.53, 0.34), (0.55, 0.37, 0.22), (0.82, 0.68, 0.50), (0.36, 0.24, 0.17))
PAINTS = ((0.92, 0.91, 0.88), (0.82, 0.82, 0.80), (0.30, 0.31, 0.33), (0.55, 0.62, 0.60))
FABRICS = (
    (0.42, 0.47, 0.55),
    (0.62, 0.56, 0.48),
    (0.30, 0.38, 0.33),
    (0.63, 0.36, 0.28),
    (0.38, 0.36, 0.36),
    (0.75, 0.70, 0.60),
    (0.22, 0.30, 0.46),
)
METAL = Finish((0.52, 0.53, 0.55))
BLACK = Finish((0.12, 0.12, 0.13))


def pick(rng: Rng, choices):
    """Return one of ``choices``, each equally likely."""
    return choices[int(rng.integers(len(choices)))]


def wooden(rng: Rng) -> Finish:
    """Wood, or paint one time in three."""
    if rng.random() < 0.33:
        return Finish(pick(rng, PAINTS))
    return Finish(_vary(rng, pick(rng, WOODS)), "wood")


def cloth(rng: Rng) -> Finish:
    """Upholstery of some colour."""
    return Finish(_vary(rng, pick(rng, FABRICS)), "fabric")


def _vary(rng: Rng, color):
    return tuple(np.clip(np.asarray(color) * rng.uniform(0.85, 1.15), 0, 1))


def _legs(rng: Rng, width, depth, height, inset, finish: Finish, label: str) -> Mesh:
    """Four legs under a rectangle centred on (0, depth / 2), square, turned or splayed."""
    thick = rng.uniform(0.035, 0.06)
    style = rng.integers(3)
    legs = []
    for x in (-width / 2 + inset, width / 2 - inset):
        for y in (inset, depth - inset):
            if style == 0:
                leg = box((thick, thick, height), (x, y, height / 2), finish, label)
            elif style == 1:
                profile = [(0.35 * thick, 0), (0.6 * thick, 0.7 * height), (0.5 * thick, height)]
                leg = lathe(profile, (x, y, 0), finish, label, 8)
            else:
                out = 0.06 * np.sign([x, y - depth / 2])
                foot = (x + out[0] / 2, y + out[1] / 2, 0)
                leg = rod(foot, (x - out[0] / 2, y - out[1] / 2, height), thick / 2, finish, label)
            legs.append(leg)
    return join(*legs)


@named("dining table")
@or_from_library("dining table")
def dining_table(rng: Rng) -> Mesh:
    """A rectangular table, or a round one on a column."""
    top, height, thick = wooden(rng), rng.uniform(0.71, 0.77), rng.uniform(0.025, 0.045)
    if rng.random() < 0.3:
        radius = rng.uniform(0.45, 0.6)
        profile = [(0, height - thick), (radius, height - thick), (radius, height), (0, height)]
        foot = [(0.3, 0), (0.3, 0.02), (0.05, 0.06), (0.04, height - thick)]
        center = (0, radius, 0)
        return join(
            lathe(profile, center, top, "table", 28), lathe(foot, center, METAL, "table", 16)
        )
    width, depth = rng.uniform(1.2, 1.8), rng.uniform(0.75, 0.95)
    under = top if rng.random() < 0.6 else METAL
    return join(
        box((width, depth, thick), (0, depth / 2, height - thick / 2), top, "table"),
        _legs(rng, width, depth, height - thick, 0.06, under, "table"),
        box((width - 0.2, 0.02, 0.07), (0, 0.08, height - thick - 0.035), under, "table"),
        box((width - 0.2, 0.02, 0.07), (0, depth - 0.08, height - thick - 0.035), under, "table"),
    )


@named("desk")
@or_from_library("desk")
def desk(rng: Rng) -> Mesh:
    """A desk with a panel at the back and often a block of drawers."""
    finish, height = wooden(rng), rng.uniform(0.71, 0.75)
    width, depth = rng.uniform(1.1, 1.6), rng.uniform(0.6, 0.75)
    parts = [
        box((width, depth, 0.03), (0, depth / 2, height - 0.015), finish, "table"),
        _legs(rng, width, depth, height - 0.03, 0.05, finish, "table"),
        box((width - 0.1, 0.02, 0.3), (0, 0.06, height - 0.18), finish, "table"),
    ]
    if rng.random() < 0.6:
        x = (width / 2 - 0.25) * pick(rng, (-1, 1))
        parts.append(box((0.4, depth - 0.1, 0.55), (x, depth / 2, height - 0.31), finish, "table"))
        for level in range(3):
            z = height - 0.12 - 0.18 * level
            parts.append(box((0.12, 0.02, 0.02), (x, depth - 0.04, z), METAL, "table"))
    return join(*parts)


@named("coffee table")
@or_from_library("coffee table")
def coffee_table(rng: Rng) -> Mesh:
    """A low table, with a shelf below half of the time."""
    finish, height = wooden(rng), rng.uniform(0.36, 0.46)
    width, depth = rng.uniform(0.8, 1.2), rng.uniform(0.45, 0.65)
    parts = [
        box((width, depth, 0.04), (0, depth / 2, height - 0.02), finish, "table"),
        _legs(rng, width, depth, height - 0.04, 0.06, finish, "table"),
    ]
    if rng.random() < 0.5:
        parts.append(box((width - 0.1, depth - 0.1, 0.02), (0, depth / 2, 0.15), finish, "table"))
    return join(*parts)


@named("chair")
@or_from_library("chair")
def chair(rng: Rng) -> Mesh:
    """A chair with four legs; the back has slats, bars or a panel, some have arm rests."""
    finish, seat = wooden(rng), rng.uniform(0.43, 0.48)
    width, depth = rng.uniform(0.40, 0.48), rng.uniform(0.40, 0.47)
    pad = cloth(rng) if rng.random() < 0.5 else finish
    parts = [
        box((width, depth, 0.035), (0, depth / 2, seat - 0.018), pad, "chair"),
        _legs(rng, width, depth, seat - 0.03, 0.03, finish, "chair"),
    ]
    rise = rng.uniform(0.38, 0.55)
    back = [
        box((0.03, 0.03, rise), (x, 0, rise / 2), finish, "chair")
        for x in (-width / 2 + 0.02, width / 2 - 0.02)
    ]
    style = rng.integers(3)
    inner = width - 0.06
    if style == 0:
        heights = np.linspace(0.14, rise - 0.03, 3)
        back += [box((inner, 0.02, 0.06), (0, 0, z), finish, "chair") for z in heights]
    elif style == 1:
        places = np.linspace(-inner / 2.6, inner / 2.6, 4)
        back += [rod((x, 0, 0), (x, 0, rise), 0.01, finish, "chair") for x in places]
        back.append(box((width, 0.03, 0.06), (0, 0, rise), finish, "chair"))
    else:
        back.append(box((inner, 0.025, rise * 0.6), (0, 0.005, rise * 0.68), pad, "chair"))
    lean = rotation_about("x", rng.uniform(0.05, 0.2))
    parts.append(join(*back).transformed(lean, (0, 0.03, seat)))
    if rng.random() < 0.25:
        for x in (-width / 2, width / 2):
            parts.append(
                box((0.04, depth * 0.8, 0.03), (x, depth / 2, seat + 0.2), finish, "chair")
            )
            parts.append(box((0.03, 0.03, 0.2), (x, depth * 0.85, seat + 0.1), finish, "chair"))
    return join(*parts)


@named("office chair")
@or_from_library("office chair")
def office_chair(rng: Rng) -> Mesh:
    """A swivel chair on a star of five feet."""
    pad, seat, middle = cloth(rng), rng.uniform(0.44, 0.52), (0.0, 0.32)
    parts = [rod((*middle, 0.08), (*middle, seat), 0.03, METAL, "chair")]
    for angle in np.arange(5) * 2 * np.pi / 5 + rng.uniform(0, 1):
        tip = (middle[0] + 0.3 * np.cos(angle), middle[1] + 0.3 * np.sin(angle))
        parts.append(rod((*middle, 0.11), (*tip, 0.07), 0.02, BLACK, "chair", 6))
        parts.append(blob((0.06, 0.06, 0.06), (*tip, 0.03), BLACK, "chair", 1.0))
    parts.append(cushion((0.5, 0.5, 0.1), (*middle, seat + 0.03), pad, "chair", 0.045))
    tall = rng.uniform(0.45, 0.65)
    back = cushion((0.46, 0.08, tall), (0, 0, 0.12 + tall / 2), pad, "chair", 0.038)
    parts.append(back.transformed(rotation_about("x", 0.15), (0, 0.08, seat)))
    parts.append(rod((0, 0.16, seat), (0, 0.05, seat + 0.2), 0.025, BLACK, "chair"))
    if rng.random() < 0.6:
        for x in (-0.28, 0.28):
            parts.append(box((0.06, 0.26, 0.03), (x, 0.32, seat + 0.23), BLACK, "chair"))
            parts.append(box((0.03, 0.05, 0.23), (x, 0.32, seat + 0.12), BLACK, "chair"))
            parts.append(box((0.28, 0.05, 0.02), (x / 2, 0.32, seat), BLACK, "chair"))
    return join(*parts)


@or_from_library("sofa", "armchair")
def sofa(rng: Rng) -> Mesh:
    """An armchair or a sofa of two or three seats, with cushions."""
    finish, seats = cloth(rng), int(rng.choice([1, 2, 2, 3]))
    seat_width, depth = rng.uniform(0.58, 0.7), rng.uniform(0.82, 0.95)
    arm, width = rng.uniform(0.12, 0.22), seats * seat_width
    seat, back, low = rng.uniform(0.40, 0.46), rng.uniform(0.74, 0.92), rng.uniform(0.04, 0.1)
    base = seat - 0.14
    full = width + 2 * arm
    parts = [
        box((full, depth, base - low), (0, depth / 2, (base + low) / 2), finish, "sofa"),
        cushion((full, 0.24, back - low), (0, 0.12, (back + low) / 2), finish, "sofa"),
    ]
    for x in (-(width + arm) / 2, (width + arm) / 2):
        tall = seat + rng.uniform(0.14, 0.2)
        parts.append(
            cushion((arm, depth, tall - low), (x, depth / 2, (tall + low) / 2), finish, "sofa")
        )
        for y in (0.08, depth - 0.08):
            parts.append(box((0.05, 0.05, low), (x, y, low / 2), BLACK, "sofa"))
    for i in range(seats):
        x = (i - (seats - 1) / 2) * seat_width
        size = (seat_width, depth - 0.2, 0.17)
        parts.append(cushion(size, (x, 0.2 + size[1] / 2, base + 0.07), finish, "sofa"))
        rest = blob((seat_width * 0.96, 0.2, back - seat + 0.05), (0, 0, 0), finish, "sofa")
        lean = rotation_about("x", 0.2)
        parts.append(rest.transformed(lean, (x, 0.27, (back + seat) / 2 + 0.02)))
    if rng.random() < 0.7:
        pillow = blob((0.42, 0.14, 0.42), (0, 0, 0), cloth(rng), "sofa", 0.5)
        x = pick(rng, (-1, 1)) * max(0.0, width / 2 - 0.25)
        parts.append(pillow.transformed(rotation_about("x", 0.35), (x, 0.42, seat + 0.24)))
    return join(*parts).called("armchair" if seats == 1 else "sofa")


@named("bed")
@or_from_library("bed")
def bed(rng: Rng) -> Mesh:
    """A single or double bed, its head board at the back."""
    width, length = pick(rng, (0.9, 1.4, 1.6)) + rng.uniform(-0.05, 0.05), rng.uniform(2.0, 2.1)
    frame, head, low = wooden(rng), rng.uniform(0.75, 1.15), rng.uniform(0.1, 0.2)
    top = rng.uniform(0.42, 0.55)
    linen = Finish(_vary(rng, pick(rng, ((0.93, 0.92, 0.9), (0.8, 0.84, 0.88)))), "fabric")
    cover = Finish(_vary(rng, pick(rng, FABRICS)), pick(rng, ("fabric", "stripes", "pattern")))
    rail = (width + 0.06, length, 0.16)
    parts = [
        box(rail, (0, length / 2, low + 0.08), frame, "bed"),
        box((width + 0.08, 0.06, head), (0, 0.03, head / 2), frame, "bed"),
        _legs(rng, width, length, low, 0.08, frame, "bed"),
        cushion((width, length - 0.1, 0.26), (0, length / 2 + 0.03, top - 0.1), linen, "bed"),
    ]
    drop = rng.uniform(0.1, 0.22)
    spread = (width + 0.08, length * rng.uniform(0.55, 0.72), drop)
    center = (0, length - spread[1] / 2 + 0.02, top - drop / 2 + 0.07)
    parts.append(cushion(spread, center, cover, "bed"))
    for x in (-width / 4, width / 4) if width > 1.2 else (0.0,):
        place = (x, rng.uniform(0.28, 0.34), top + 0.08)
        parts.append(blob((0.6, 0.38, 0.16), place, linen, "bed", 0.5))
    return join(*parts)


@or_from_library("wardrobe", "sideboard")
def cupboard(rng: Rng) -> Mesh:
    """A closed cabinet: wardrobe, sideboard or chest, of doors or drawers with handles."""
    finish, inside = wooden(rng), Finish((0.08, 0.08, 0.08))
    tall = pick(rng, (0.8, 1.0, 1.9, 2.1)) + rng.uniform(-0.08, 0.08)
    columns = int(rng.integers(2, 5 if tall > 1.3 else 4))
    width, depth = columns * rng.uniform(0.4, 0.5), rng.uniform(0.38, 0.6)
    rows = 1 if tall > 1.3 else int(rng.integers(1, 5))
    inner, gap = tall - 0.08, 0.006
    case = (width, depth - 0.02, tall - 0.06)
    corner = (width / 2 - 0.01, depth - 0.009, 0.07)
    parts = [
        box(case, (0, depth / 2 - 0.01, tall / 2 + 0.03), finish, "cabinet"),
        # The plinth lies back, and what shows between the fronts is dark.
        box((width, depth - 0.07, 0.06), (0, depth / 2 - 0.035, 0.03), finish, "cabinet"),
        patch(corner, (0.02 - width, 0, 0), (0, 0, tall - 0.09), inside, "cabinet"),
    ]
    cell = (width / columns, inner / rows)
    for i in range(columns):
        for j in range(rows):
            x, z = (i + 0.5) * cell[0] - width / 2, 0.08 + (j + 0.5) * cell[1] - 0.02
            front = (cell[0] - gap, 0.02, cell[1] - gap)
            parts.append(box(front, (x, depth - 0.005, z), finish, "cabinet"))
            grip = (0.02, 0.03, 0.14) if rows == 1 else (0.14, 0.03, 0.02)
            side = cell[0] * 0.36 * (-1) ** i if rows == 1 else 0.0
            parts.append(box(grip, (x + side, depth + 0.015, z), METAL, "cabinet"))
    return join(*parts).called("wardrobe" if tall > 1.3 else "sideboard")


@named("bookshelf")
@or_from_library("shelf", then=stocked)
def bookshelf(rng: Rng) -> Mesh:
    """An open shelf with rows of books and a few gaps."""
    finish, tall = wooden(rng), rng.uniform(1.1, 2.1)
    width, depth, board = rng.uniform(0.7, 1.2), rng.uniform(0.27, 0.35), 0.022
    levels = max(3, round(tall / 0.36))
    pitch = (tall - board) / levels
    parts = [
        box((width, 0.012, tall), (0, 0.006, tall / 2), finish, "cabinet"),
        box(
            (board, depth, tall), (-width / 2 + board / 2, depth / 2, tall / 2), finish, "cabinet"
        ),
        box((board, depth, tall), (width / 2 - board / 2, depth / 2, tall / 2), finish, "cabinet"),
    ]
    for level in range(levels + 1):
        z = level * pitch + board / 2
        parts.append(box((width - 2 * board, depth, board), (0, depth / 2, z), finish, "cabinet"))
    for level in range(levels):
        x, end = -width / 2 + board, width / 2 - board
        end -= rng.uniform(0.0, 0.6) * width
        parts += row_of_books(rng, x, end, level * pitch + board, pitch, depth)
    return join(*parts)
