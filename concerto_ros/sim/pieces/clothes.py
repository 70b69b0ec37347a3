# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Clothes and bags: hung on racks, hooks and doors, or lying in heaps; they are other.

Builders follow the convention of :mod:`concerto_ros.sim.pieces.furniture`.
"""

from __future__ import annotations

import numpy as np

from concerto_ros.sim.library.in_rooms import or_from_library
from concerto_ros.sim.mesh import Mesh, blob, box, join, rod, sheet
from concerto_ros.sim.names import named
from concerto_ros.sim.pieces.beds import heap
from concerto_ros.sim.pieces.finishes import any_color, lacquer, metal
from concerto_ros.sim.pieces.furniture import BLACK, METAL, Rng, pick
from concerto_ros.sim.pieces.small_objects import worn


def garment(rng: Rng, along_wall: bool = True) -> Mesh:
    """A coat, shirt or towel that hangs from the origin; flat along x, or along y."""
    wide, tall = rng.uniform(0.28, 0.55), rng.uniform(0.45, 1.15)
    thick, finish = rng.uniform(0.04, 0.16), worn(rng)
    turn = np.linspace(0, 2 * np.pi, 15)[:, None]
    down = np.linspace(0.0, 1.0, 7)
    # Narrow at the hook, as wide as the shoulders a hand below, and loose at the hem.
    reach = np.interp(down, [0, 0.1, 0.25, 1.0], [0.12, 0.75, 0.9, rng.uniform(0.7, 1.1)])
    fold = 1 + 0.12 * np.sin(3 * turn + rng.uniform(0, 6)) * down
    points = np.stack(
        np.broadcast_arrays(
            reach * fold * np.cos(turn) * wide / 2,
            reach * fold * np.sin(turn) * thick / 2 + thick / 2,
            -tall * down,
        ),
        axis=-1,
    )
    parts = [sheet(points[::-1], finish, "other")]
    if rng.random() < 0.4:  # sleeves
        for side in (-1, 1):
            shoulder = (side * wide * 0.4, thick / 2, -0.12 * tall)
            cuff = (side * wide * rng.uniform(0.45, 0.6), thick / 2, -rng.uniform(0.4, 0.65))
            parts.append(rod(shoulder, cuff, rng.uniform(0.035, 0.055), finish, "other", 8))
    whole = join(*parts)
    return whole if along_wall else whole.placed(0, 0, 0, np.pi / 2)


@named("handbag")
@or_from_library("bag")
def handbag(rng: Rng) -> Mesh:
    """A bag with a strap that hangs from the origin."""
    wide, tall = rng.uniform(0.2, 0.42), rng.uniform(0.2, 0.4)
    finish, strap = worn(rng), rng.uniform(0.15, 0.45)
    body = blob((wide, 0.14, tall), (0, 0.08, -strap - tall / 2), finish, "other", 0.5)
    straps = [
        rod((0, 0.03, 0), (side * wide * 0.35, 0.08, -strap - 0.05), 0.008, finish, "other", 5)
        for side in (-1, 1)
    ]
    return join(body, *straps)


@named("coat rack")
def hook_rail(rng: Rng) -> Mesh:
    """A board with hooks and what hangs on them, to be hung on a wall; hooks are at z = 0."""
    hooks = int(rng.integers(2, 8))
    pitch = rng.uniform(0.12, 0.3)
    width, board = hooks * pitch, lacquer(rng)
    parts = [box((width, 0.02, 0.09), (0, 0.01, 0), board, "other")]
    for i in range(hooks):
        x = (i + 0.5) * pitch - width / 2
        parts.append(rod((x, 0.02, 0), (x, 0.07, 0.02), 0.008, METAL, "other", 5))
        if rng.random() < 0.75:
            hung = handbag(rng) if rng.random() < 0.2 else garment(rng)
            parts.append(hung.placed(x, 0.03, -0.01, rng.normal(0, 0.1)))
    return join(*parts)


@named("clothes rack")
def clothes_rack(rng: Rng) -> Mesh:
    """A rail on two posts, full of clothes; now and then shoes or boxes below."""
    width, tall, frame = rng.uniform(0.7, 1.6), rng.uniform(1.35, 1.8), metal(rng)
    y = 0.28
    parts = [rod((-width / 2, y, tall), (width / 2, y, tall), 0.014, frame, "other", 6)]
    for x in (-width / 2, width / 2):
        parts.append(rod((x, y, 0), (x, y, tall), 0.014, frame, "other", 6))
        parts.append(rod((x, 0.03, 0.02), (x, 2 * y, 0.02), 0.014, frame, "other", 6))
    x = -width / 2 + 0.08
    while x < width / 2 - 0.08:
        parts.append(garment(rng, along_wall=False).placed(x, y, tall - 0.05, rng.normal(0, 0.1)))
        x += rng.uniform(0.04, 0.22)
    return join(*parts)


@named("coat stand")
def coat_stand(rng: Rng) -> Mesh:
    """A post with hooks around its top and coats on some of them."""
    tall, finish = rng.uniform(1.6, 1.9), pick(rng, (lacquer(rng), METAL, BLACK))
    parts = [rod((0, 0.3, 0), (0, 0.3, tall), 0.02, finish, "other")]
    for angle in np.arange(4) * np.pi / 2 + rng.uniform(0, 1):
        c, s = np.cos(angle), np.sin(angle)
        foot = (0.25 * c, 0.3 + 0.25 * s, 0.02)
        parts.append(rod((0, 0.3, 0.2), foot, 0.014, finish, "other", 6))
        hook = (0.13 * c, 0.3 + 0.13 * s, tall - 0.06)
        parts.append(rod((0, 0.3, tall - 0.15), hook, 0.01, finish, "other", 5))
        if rng.random() < 0.6:
            parts.append(garment(rng).placed(hook[0], hook[1], hook[2], angle - np.pi / 2))
    return join(*parts)


@named("clothes")
def pile_of_clothes(rng: Rng) -> Mesh:
    """One to four crumpled pieces of clothing, for beds, chairs and the floor."""
    parts, z = [], 0.0
    for _ in range(int(rng.integers(1, 5))):
        size, tall = rng.uniform(0.22, 0.6, 2), rng.uniform(0.05, 0.18)
        one = heap(rng, size, tall, worn(rng), "other")
        parts.append(
            one.placed(rng.normal(0, 0.06), 0.25 + rng.normal(0, 0.05), z, rng.uniform(0, 6))
        )
        z += tall * 0.35
    return join(*parts)


@named("clothes")
def folded_clothes(rng: Rng) -> Mesh:
    """A stack of folded cloth: clothes, towels, bed linen."""
    parts, z, size = [], 0.0, rng.uniform(0.22, 0.4, 2)
    for _ in range(int(rng.integers(2, 7))):
        thick = rng.uniform(0.02, 0.06)
        body = blob((*size, thick * 1.1), (0, 0.2, z + thick / 2), worn(rng), "other", 0.3)
        parts.append(body)
        z += thick
    return join(*parts)


@named("bag")
@or_from_library("bag")
def bag(rng: Rng) -> Mesh:
    """A bag, sack or suitcase that stands or lies."""
    style, finish = rng.integers(4), worn(rng)
    if style == 0:  # suitcase
        size = (rng.uniform(0.35, 0.5), rng.uniform(0.2, 0.3), rng.uniform(0.5, 0.75))
        handle = (size[0] * 0.3, 0.02, 0.03)
        return join(
            blob(size, (0, size[1] / 2 + 0.02, size[2] / 2 + 0.02), finish, "other", 0.2),
            box(handle, (0, size[1] / 2, size[2] + 0.05), BLACK, "other"),
        ).called("suitcase")
    if style == 1:  # travelling bag
        size = (rng.uniform(0.4, 0.7), rng.uniform(0.25, 0.35), rng.uniform(0.22, 0.35))
        return join(
            blob(size, (0, 0.2, size[2] / 2), finish, "other", 0.6),
            rod((-0.12, 0.2, size[2]), (0.12, 0.2, size[2] + 0.02), 0.015, finish, "other", 6),
        )
    if style == 2:  # shopping bag of paper
        paper, tall = any_color(rng), rng.uniform(0.25, 0.45)
        return box((rng.uniform(0.2, 0.4), 0.15, tall), (0, 0.1, tall / 2), paper, "other")
    wide, tall = rng.uniform(0.3, 0.55), rng.uniform(0.3, 0.6)
    sack = pick(rng, (BLACK, finish, any_color(rng)))
    return blob((wide, wide * 0.85, tall), (0, wide / 2, tall / 2), sack, "other", 0.8)


@named("shoes")
@or_from_library("floor thing")
def shoes(rng: Rng) -> Mesh:
    """One to three pairs of shoes."""
    parts = []
    for i in range(int(rng.integers(1, 4))):
        finish = worn(rng)
        for side in (-0.055, 0.055):
            size = (0.09, rng.uniform(0.22, 0.3), rng.uniform(0.08, 0.14))
            shoe = blob(size, (0, 0, size[2] / 2), finish, "other", 0.7)
            parts.append(
                shoe.placed(0.28 * i + side, 0.18 + rng.normal(0, 0.02), 0, rng.normal(0, 0.2))
            )
    return join(*parts)


#: What lies on beds, chairs and low furniture, and what stands about on the floor.
ON_SEATS = (pile_of_clothes, pile_of_clothes, folded_clothes, bag)
ON_THE_FLOOR = (pile_of_clothes, bag, bag, shoes, coat_stand, clothes_rack)
