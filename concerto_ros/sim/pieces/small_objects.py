# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""People, screens and the many small objects of an inhabited room.

Builders follow the convention of :mod:`concerto_ros.sim.pieces.furniture`; objects for tables
stand on z = 0 of their own frame.
"""

from __future__ import annotations

import numpy as np

from concerto_ros.sim.library.in_rooms import or_from_library
from concerto_ros.sim.mesh import Finish, Mesh, blob, box, join, lathe, patch, rod, rotation_about
from concerto_ros.sim.names import named
from concerto_ros.sim.pieces.furniture import BLACK, METAL, PAINTS, Rng, cloth, pick, wooden

SKINS = ((0.87, 0.68, 0.56), (0.70, 0.50, 0.38), (0.45, 0.31, 0.24))
GREEN = (0.22, 0.42, 0.18)


def worn(rng: Rng) -> Finish:
    """Cloth of any colour, half of it as light and dark as upholstery."""
    return pick(rng, (cloth(rng), Finish(tuple(rng.uniform(0.06, 0.92, 3)), "fabric")))


@named("person")
@or_from_library("person")
def person(rng: Rng) -> Mesh:
    """A standing adult, facing +y."""
    tall, label = rng.uniform(1.58, 1.88), "person"
    shirt, trousers = worn(rng), Finish(tuple(rng.uniform(0.12, 0.4, 3)), "fabric")
    skin, hair = Finish(pick(rng, SKINS)), Finish(tuple(rng.uniform(0.05, 0.35) * np.ones(3)))
    hip, shoulder, y = 0.50 * tall, 0.82 * tall, 0.2
    parts = []
    for side in (-1, 1):
        leg = [(0.05, 0.03), (0.06, 0.27 * tall), (0.085, hip), (0.0, hip + 0.02)]
        stride = side * rng.uniform(0.0, 0.06)
        parts.append(lathe(leg, (side * 0.09, y + stride, 0), trousers, label))
        shoe = (0.10, 0.27, 0.10)
        parts.append(blob(shoe, (side * 0.09, y + stride + 0.05, 0.05), BLACK, label, 0.6))
        elbow = (side * 0.26, y + rng.uniform(-0.03, 0.06), 0.63 * tall)
        hand = (side * rng.uniform(0.2, 0.3), y + rng.uniform(0.0, 0.28), 0.50 * tall)
        parts.append(rod((side * 0.19, y, shoulder - 0.03), elbow, 0.045, shirt, label))
        parts.append(rod(elbow, hand, 0.036, shirt, label))
        parts.append(blob((0.08, 0.09, 0.12), hand, skin, label, 0.9))
    chest = (0.44, 0.25, shoulder - hip + 0.10)
    parts.append(blob(chest, (0, y, (shoulder + hip) / 2), shirt, label, 0.6))
    parts.append(rod((0, y, shoulder - 0.02), (0, y + 0.01, 0.89 * tall), 0.055, skin, label))
    parts.append(blob((0.16, 0.20, 0.24), (0, y + 0.02, tall - 0.12), skin, label, 0.95))
    parts.append(blob((0.18, 0.20, 0.18), (0, y - 0.01, tall - 0.08), hair, label, 0.95))
    return join(*parts)


@named("television")
@or_from_library("television")
def television(rng: Rng) -> Mesh:
    """A flat screen on two feet, 0.8 to 1.3 m wide, dark or on."""
    width = rng.uniform(0.8, 1.3)
    return _display(rng, width, width * 9 / 16, 0.05, 0.06)


@named("monitor")
@or_from_library("monitor", "television")
def monitor(rng: Rng) -> Mesh:
    """A desktop monitor on a stand."""
    width = rng.uniform(0.45, 0.65)
    return _display(rng, width, width * 9 / 16, 0.04, rng.uniform(0.10, 0.18))


@named("laptop")
@or_from_library("laptop")
def laptop(rng: Rng) -> Mesh:
    """An open laptop computer."""
    width, depth, case = rng.uniform(0.31, 0.37), 0.24, Finish(pick(rng, ((0.7,) * 3, (0.2,) * 3)))
    lid = join(
        box((width, 0.008, depth), (0, 0, depth / 2), case, "screen"),
        _image(rng, width - 0.02, depth - 0.02, (0, 0.005, 0.01)),
    )
    keys = Finish((0.1, 0.1, 0.1), "text")
    return join(
        box((width, depth, 0.016), (0, depth / 2, 0.008), case, "screen"),
        box((width - 0.05, 0.1, 0.002), (0, 0.09, 0.017), keys, "screen"),
        lid.transformed(rotation_about("x", rng.uniform(0.15, 0.4)), (0, 0, 0.012)),
    )


def _display(rng: Rng, width: float, tall: float, thick: float, lift: float) -> Mesh:
    y = 0.12
    return join(
        box((width, thick, tall), (0, y, lift + tall / 2), BLACK, "screen"),
        _image(rng, width - 0.03, tall - 0.03, (0, y + thick / 2 + 0.002, lift + 0.015)),
        box((0.05, 0.03, lift + 0.1), (0, y - thick / 2, (lift + 0.1) / 2), BLACK, "screen"),
        box((width * 0.4, 0.2, 0.014), (0, y, 0.007), BLACK, "screen"),
    )


def _image(rng: Rng, width: float, tall: float, low) -> Mesh:
    """What a screen shows: black, a page of text or a picture. ``low`` is mid bottom."""
    show = rng.integers(3)
    color = tuple(rng.uniform(0.35, 0.75, 3))
    finish = (
        Finish((0.05, 0.05, 0.06)),
        Finish((0.62, 0.65, 0.70), "text", glow=1.0),
        Finish(color, "picture", glow=0.9),
    )[show]
    corner = (low[0] + width / 2, low[1], low[2])
    return patch(corner, (-width, 0, 0), (0, 0, tall), finish, "screen")


@named("potted plant")
@or_from_library("plant")
def plant(rng: Rng) -> Mesh:
    """A plant in a pot, knee to breast high."""
    pot, tall = Finish(pick(rng, ((0.62, 0.35, 0.24), (0.85, 0.84, 0.8)))), rng.uniform(0.5, 1.2)
    parts = [lathe([(0.1, 0), (0.15, 0.26), (0.13, 0.27), (0, 0.25)], (0, 0.2, 0), pot, "other")]
    for _ in range(int(rng.integers(9, 16))):
        angle, lift = rng.uniform(0, 2 * np.pi), rng.uniform(0.45, 1.0) * tall
        reach = rng.uniform(0.04, 0.2)
        tip = np.array([reach * np.cos(angle), 0.2 + reach * np.sin(angle), lift])
        tint = Finish(tuple(np.asarray(GREEN) * rng.uniform(0.7, 1.3)), "fabric")
        leaf = blob((0.10, 0.24, 0.02), (0, 0.05, 0), tint, "other", 0.9)
        turn = rotation_about("z", angle - np.pi / 2) @ rotation_about("x", rng.uniform(-0.6, 0.9))
        parts.append(leaf.transformed(turn, tip))
        parts.append(rod((0, 0.2, 0.24), tip, 0.006, tint, "other", 5))
    return join(*parts)


@named("floor lamp")
@or_from_library("floor lamp")
def floor_lamp(rng: Rng) -> Mesh:
    """A lamp with a cloth shade on a thin column."""
    tall, shade = rng.uniform(1.4, 1.7), Finish((0.95, 0.90, 0.78), "fabric", glow=0.95)
    return join(
        lathe([(0.15, 0), (0.15, 0.02), (0, 0.03)], (0, 0.2, 0), METAL, "other"),
        rod((0, 0.2, 0), (0, 0.2, tall), 0.012, METAL, "other"),
        lathe([(0.2, tall - 0.3), (0.13, tall)], (0, 0.2, 0), shade, "other", 20),
    )


@named("cardboard box")
@or_from_library("floor thing", "large thing")
def carton(rng: Rng) -> Mesh:
    """A cardboard box: taped shut, some with a second one on top, or open with its flaps out."""
    shade = rng.uniform(0.75, 1.15)
    brown = Finish(tuple(shade * np.array((0.68, 0.53, 0.36))), "plaster")
    size = rng.uniform(0.25, 0.5, 3)
    if rng.random() < 0.4:
        return _open_carton(rng, size, brown)
    parts = [box(size, (0, 0.3, size[2] / 2), brown, "other")]
    tape = Finish(pick(rng, ((0.80, 0.74, 0.60), (0.55, 0.40, 0.25), (0.88, 0.88, 0.86))))
    parts.append(box((size[0] + 0.004, 0.05, 0.004), (0, 0.3, size[2]), tape, "other"))
    if rng.random() < 0.4:
        small = size * rng.uniform(0.5, 0.85)
        parts.append(box(small, (0.02, 0.3, size[2] + small[2] / 2), brown, "other"))
    return join(*parts)


def _open_carton(rng: Rng, size, brown: Finish) -> Mesh:
    """Four walls, a bottom and four flaps that hang or stand."""
    wide, deep, tall = size
    parts = [box((wide, deep, 0.006), (0, 0.3, 0.003), brown, "other")]
    for turn, across, away in ((0, wide, deep), (1, deep, wide), (2, wide, deep), (3, deep, wide)):
        flap = box((across, 0.005, away / 2), (0, 0, away / 4), brown, "other")
        lean = rotation_about("x", -rng.uniform(0.2, 2.4))
        side = join(
            box((across, 0.006, tall), (0, away / 2, tall / 2), brown, "other"),
            flap.transformed(lean, (0, away / 2, tall)),
        )
        parts.append(side.placed(0, 0.3, 0, turn * np.pi / 2))
    return join(*parts)


@named("trash can")
@or_from_library("bin")
def waste_bin(rng: Rng) -> Mesh:
    """A bin for paper."""
    finish = pick(rng, (Finish(pick(rng, PAINTS)), BLACK, Finish(tuple(rng.uniform(0.1, 0.8, 3)))))
    profile = [(0.11, 0), (0.14, 0.3), (0.13, 0.3), (0.1, 0.02), (0, 0.02)]
    return lathe(profile, (0, 0.15, 0), finish, "other")


@named("backpack")
@or_from_library("bag")
def backpack(rng: Rng) -> Mesh:
    """A bag that leans against the wall."""
    finish = worn(rng)
    return join(
        blob((0.32, 0.18, 0.46), (0, 0.14, 0.23), finish, "other", 0.5),
        blob((0.24, 0.10, 0.22), (0, 0.26, 0.15), finish, "other", 0.5),
    )


@named("ball")
def ball(rng: Rng) -> Mesh:
    """A ball for play or gymnastics."""
    across = rng.uniform(0.22, 0.6)
    finish = Finish(tuple(rng.uniform(0.2, 0.8, 3)))
    return blob((across,) * 3, (0, across / 2, across / 2), finish, "other", 1.0)


@named("cup")
@or_from_library("table thing")
def cup(rng: Rng) -> Mesh:
    """A mug."""
    finish = Finish(tuple(rng.uniform(0.3, 0.95, 3)))
    profile = [(0.035, 0), (0.042, 0.09), (0.037, 0.09), (0.03, 0.01), (0, 0.01)]
    return lathe(profile, (0, 0.05, 0), finish, "other", 12)


@named("bottle")
@or_from_library("table thing")
def bottle(rng: Rng) -> Mesh:
    """A bottle."""
    finish = Finish(pick(rng, ((0.15, 0.35, 0.2), (0.5, 0.6, 0.7), (0.35, 0.18, 0.1))))
    profile = [(0.037, 0), (0.037, 0.19), (0.014, 0.24), (0.014, 0.3), (0, 0.3)]
    return lathe(profile, (0, 0.05, 0), finish, "other", 12)


@named("bowl")
@or_from_library("table thing", "table plant")
def bowl(rng: Rng) -> Mesh:
    """A bowl of fruit."""
    finish = Finish(tuple(rng.uniform(0.5, 0.95, 3)))
    profile = [(0.05, 0), (0.14, 0.08), (0.13, 0.08), (0.05, 0.015), (0, 0.015)]
    parts = [lathe(profile, (0, 0.15, 0), finish, "other", 18)]
    for angle in np.arange(4) * np.pi / 2:
        fruit = Finish(pick(rng, ((0.8, 0.3, 0.15), (0.85, 0.7, 0.2), (0.45, 0.6, 0.2))))
        place = (0.055 * np.cos(angle), 0.15 + 0.055 * np.sin(angle), 0.065)
        parts.append(blob((0.08, 0.08, 0.08), place, fruit, "other", 1.0))
    return join(*parts)


@named("book")
@or_from_library("machine", "kitchen machine")
def books(rng: Rng) -> Mesh:
    """A stack of books."""
    parts, z = [], 0.0
    for _ in range(int(rng.integers(1, 5))):
        thick, size = rng.uniform(0.015, 0.045), rng.uniform(0.15, 0.26, 2)
        cover = Finish(tuple(rng.uniform(0.15, 0.85, 3)))
        book = box((*size, thick), (0, 0, thick / 2), cover, "other")
        parts.append(book.placed(0, 0.15, z, rng.uniform(-0.4, 0.4)))
        z += thick
    return join(*parts)


@named("paper")
def papers(rng: Rng) -> Mesh:
    """Two to four piles of paper, one on the other, each 5 to 30 mm thick."""
    finish, sheets, z = Finish((0.85, 0.85, 0.83), "text"), [], 0.0
    for _ in range(int(rng.integers(2, 5))):
        thick = rng.uniform(0.005, 0.03)
        pile = box((0.21, 0.297, thick), (0, 0, thick / 2), finish, "other")
        shift = rng.uniform(-0.03, 0.03)
        sheets.append(pile.placed(shift, 0.2, z, rng.uniform(-0.3, 0.3)))
        z += thick
    return join(*sheets)


@named("keyboard")
def keyboard(rng: Rng) -> Mesh:
    """A keyboard and a mouse."""
    case = Finish(pick(rng, ((0.15, 0.15, 0.16), (0.85, 0.85, 0.84))))
    return join(
        box((0.42, 0.14, 0.02), (0, 0.1, 0.01), case, "other"),
        box((0.40, 0.12, 0.004), (0, 0.1, 0.021), Finish(case.color, "text"), "other"),
        blob((0.06, 0.1, 0.035), (0.3, 0.1, 0.017), case, "other", 0.8),
    )


@named("desk lamp")
@or_from_library("table lamp")
def desk_lamp(rng: Rng) -> Mesh:
    """A lamp with two arms."""
    elbow, tip = (-0.05, 0.1, 0.28), (0.12, 0.16, 0.4)
    shade = [(0.07, -0.09), (0.025, 0.02), (0, 0.02)]
    finish = Finish(pick(rng, PAINTS))
    return join(
        lathe([(0.08, 0), (0.08, 0.02), (0, 0.025)], (0, 0.1, 0), finish, "other"),
        rod((0, 0.1, 0.02), elbow, 0.009, METAL, "other"),
        rod(elbow, tip, 0.009, METAL, "other"),
        lathe(shade, tip, finish, "other"),
    )


@named("picture")
def picture(rng: Rng) -> Mesh:
    """A framed picture; its back is against the wall, its middle at z = 0; it counts as wall."""
    width, tall = rng.uniform(0.3, 0.9, 2)
    image = Finish(tuple(rng.uniform(0.35, 0.85, 3)), "picture")
    corner = (width / 2 - 0.03, 0.026, -tall / 2 + 0.03)
    return join(
        box((width, 0.025, tall), (0, 0.0125, 0), wooden(rng), "wall"),
        patch(corner, (0.06 - width, 0, 0), (0, 0, tall - 0.06), image, "wall"),
    )


#: Things that stand on the floor, and things that lie on a table.
ON_FLOOR = (plant, floor_lamp, carton, waste_bin, backpack, ball)
ON_TABLE = (cup, bottle, bowl, books, papers, desk_lamp)
