# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What else stands along streets, of the class other; it stands at z = 0."""

from __future__ import annotations

import numpy as np

from concerto_ros.sim.streets.pieces.models import drawn_model
from concerto_ros.sim.streets.shapes import (
    Paint,
    Solid,
    boxes,
    join,
    prism,
    quads,
    rounds,
    tubes,
)


def thing(rng: np.random.Generator) -> Solid:
    """A small thing of the class other: a bin, a bench, a box, a cone, a stone and so on."""
    model = drawn_model(rng, "street furniture")
    if model is not None:
        return model
    makers = (
        _wheelie_bin,
        _wheelie_bin,
        _bin,
        bench,
        bench,
        _cabinet,
        _cone,
        _hydrant,
        _stones,
        _pallets,
        _table,
    )
    return makers[rng.integers(len(makers))](rng)


def stall(rng: np.random.Generator) -> Solid:
    """A market stall."""
    model = drawn_model(rng, "large outdoor thing")
    if model is not None:
        return model
    wide, deep, high = rng.uniform([2, 1.5, 2.1], [4, 2.5, 2.6])
    cloth = Paint("other", tuple(rng.uniform(60, 240, 3)), 0.5)
    posts = np.array([(x * wide / 2, y * deep / 2, 0) for x in (-1, 1) for y in (-1, 1)])
    half = [
        (-wide * 0.55, -deep * 0.6, high),
        (wide * 0.55, -deep * 0.6, high),
        (wide * 0.55, 0, high + 0.5),
        (-wide * 0.55, 0, high + 0.5),
    ]
    roof = np.array([half, np.array(half) * [1, -1, 1]])
    table = boxes((0, -deep * 0.2, 0.45), (wide * 0.9, deep * 0.5, 0.9), cloth)
    goods = rng.uniform([-0.4 * wide, -0.4 * deep, 1.0], [0.4 * wide, 0, 1.1], (6, 3))
    return join(
        [
            tubes(posts, posts + [0, 0, high], 0.03, cloth),
            quads(roof, cloth),
            table,
            boxes(goods, (0.4, 0.3, 0.25), cloth),
        ]
    )


def shelter(rng: np.random.Generator) -> Solid:
    """A bus stop: a roof and panes of glass on posts, with a bench."""
    wide, deep, high = rng.uniform(2.5, 5), 1.4, rng.uniform(2.2, 2.6)
    frame = Paint("other", (90, 94, 98), 0.4)
    pane = Paint("other", (120, 130, 136), 0.1, gaps=0.7)
    posts = np.array([(x * wide / 2, y, 0) for x in (-1, 1) for y in (0, deep)])
    return join(
        [
            tubes(posts, posts + [0, 0, high], 0.05, frame),
            boxes((0, deep / 2, high), (wide + 0.3, deep + 0.4, 0.12), frame),
            boxes((0, deep, high / 2 + 0.1), (wide, 0.02, high - 0.4), pane),
            boxes((wide / 2, deep / 2, high / 2 + 0.1), (0.02, deep, high - 0.4), pane),
            boxes((0, deep - 0.3, 0.45), (wide * 0.7, 0.4, 0.06), frame),
        ]
    )


def container(rng: np.random.Generator) -> Solid:
    """A freight container, a skip, or a stack of crates."""
    paint = Paint("other", tuple(rng.uniform(40, 220, 3)), 0.35)
    kind = rng.random()
    if kind < 0.5:
        length = rng.choice([6.06, 12.19])
        rib = np.arange(-length / 2, length / 2, 0.4)
        sides = [(x, s * 1.22, 1.3) for x in rib for s in (-1, 1)]
        return join(
            [boxes((0, 0, 1.3), (length, 2.4, 2.6), paint), boxes(sides, (0.12, 0.06, 2.4), paint)]
        )
    if kind < 0.75:
        x, y = rng.uniform(1.2, 2.2), 0.9
        low, high = np.array([-0.7 * x, -y, 0.1]), np.array([-x, -y, 1.3])
        side, turn = np.array([1.0, -1, 1]), np.array([-1.0, 1, 1])
        walls = [(low, low * turn, high * turn, high), (low, low * side, high * side, high)]
        around = [np.array(wall) * sign for wall in walls for sign in (1, [-1, -1, 1])]
        floor = np.array([low, low * side, low * side * turn, low * turn]) + [0, 0, 0.3]
        return quads(np.array([*around, floor]), paint)
    return _pallets(rng)


def bridge(rng: np.random.Generator, length: float, width: float) -> Solid:
    """A bridge over a road along x: a deck ``length`` along y, with piers and railings."""
    high = rng.uniform(4.8, 6.5)
    concrete = Paint("other", (158, 154, 148), 0.35)
    piers = [(0, s * length * 0.28, high / 2 - 0.5) for s in (-1, 1)]
    deck = boxes((0, 0, high + 0.5), (width, length, 1.0), concrete)
    rails = boxes(
        [(s * width / 2, 0, high + 1.5) for s in (-1, 1)],
        (0.1, length, 1.0),
        Paint("fence", (120, 122, 124), 0.4),
    )
    return join([deck, rails, boxes(piers, (width * 0.7, 0.8, high + 1), concrete)])


def bench(rng: np.random.Generator) -> Solid:
    """A bench, with or without a back; people sit towards -y."""
    paint = Paint("other", tuple(rng.uniform([70, 50, 30], [170, 150, 130])), 0.35)
    wide = rng.uniform(1.2, 2.2)
    slats = [(0, y, 0.45) for y in (-0.18, 0, 0.18)]
    parts = [boxes(slats, (wide, 0.13, 0.04), paint)]
    parts.append(boxes([(s * wide * 0.4, 0, 0.22) for s in (-1, 1)], (0.07, 0.45, 0.44), paint))
    if rng.random() < 0.7:
        parts.append(boxes([(0, 0.24, z) for z in (0.62, 0.8)], (wide, 0.04, 0.12), paint))
    return join(parts)


def _wheelie_bin(rng) -> Solid:
    paint = Paint("other", tuple(rng.uniform(30, 160, 3)), 0.2)
    wide, deep, high = rng.uniform([0.45, 0.5, 0.9], [1.3, 1.0, 1.35])
    return join(
        [
            boxes((0, 0, high / 2), (wide, deep, high), paint),
            boxes((0, 0.05, high), (wide * 1.06, deep * 1.1, 0.06), paint),
        ]
    )


def _bin(rng) -> Solid:
    paint = Paint("other", tuple(rng.uniform(30, 180, 3)), 0.3)
    return tubes(
        (0, 0, 0), (0, 0, rng.uniform(0.6, 1.2)), rng.uniform(0.18, 0.35), paint, sides=10
    )


def _cabinet(rng) -> Solid:
    size = rng.uniform([0.5, 0.25, 0.7], [1.8, 0.7, 1.8])
    return boxes((0, 0, size[2] / 2 - 0.1), size, Paint("other", (150, 156, 150), 0.45))


def _cone(rng) -> Solid:
    paint, high = Paint("other", (228, 96, 36), 0.5), rng.uniform(0.4, 0.95)
    return join(
        [
            tubes((0, 0, 0), (0, 0, high), high * 0.19, paint, 0.03, sides=8),
            boxes((0, 0, 0.02), (high * 0.5, high * 0.5, 0.04), paint),
        ]
    )


def _hydrant(rng) -> Solid:
    paint = Paint("other", tuple(rng.uniform(90, 230, 3)), 0.4)
    return join(
        [
            tubes((0, 0, -0.1), (0, 0, 0.75), 0.11, paint),
            rounds((0, 0, 0.78), 0.26, paint),
            tubes((0, -0.2, 0.5), (0, 0.2, 0.5), 0.06, paint),
        ]
    )


def _stones(rng) -> Solid:
    count = int(rng.integers(1, 6))
    places = rng.normal(0, 0.5, (count, 3)) * [1, 1, 0]
    return rounds(
        places,
        rng.uniform([0.3, 0.3, 0.2], [1.2, 1.0, 0.9], (count, 3)),
        Paint("other", (140, 134, 126), 0.35),
        sides=6,
    )


def _pallets(rng) -> Solid:
    paint = Paint("other", tuple(rng.uniform([110, 80, 50], [190, 160, 120])), 0.4)
    levels = int(rng.integers(1, 9))
    z = 0.14 * np.arange(levels) + 0.1
    places = np.column_stack([rng.normal(0, 0.03, (levels, 2)), z])
    parts = [boxes(places, (1.2, 0.8, 0.11), paint)]
    if rng.random() < 0.5:
        high = rng.uniform(0.4, 1.3)
        parts.append(boxes((0, 0, z[-1] + high / 2), (1.1, 0.75, high), paint))
    return join(parts)


def _table(rng) -> Solid:
    """A table with chairs, some under a parasol."""
    paint = Paint("other", tuple(rng.uniform(60, 220, 3)), 0.4)
    angle = rng.uniform(0, 2 * np.pi) + np.arange(int(rng.integers(2, 5))) * np.pi / 2
    seats = np.column_stack(
        [0.75 * np.cos(angle), 0.75 * np.sin(angle), np.full(len(angle), 0.45)]
    )
    backs = seats * [1.27, 1.27, 1] + [0, 0, 0.22]
    parts = [
        tubes((0, 0, 0), (0, 0, 0.72), 0.04, paint),
        tubes((0, 0, 0.7), (0, 0, 0.74), rng.uniform(0.35, 0.6), paint, sides=10),
        boxes(seats, (0.42, 0.42, 0.05), paint, angle),
        boxes(backs, (0.04, 0.42, 0.45), paint, angle),
        boxes(seats - [0, 0, 0.22], (0.36, 0.36, 0.04), paint, angle),
    ]
    if rng.random() < 0.4:
        turn = np.arange(8) * np.pi / 4
        parts.append(tubes((0, 0, 0.7), (0, 0, 2.4), 0.025, paint))
        outline = np.column_stack([np.cos(turn), np.sin(turn)]) * rng.uniform(1.0, 1.8)
        parts.append(prism(outline, 2.2, 2.25, paint))
    return join(parts)
