# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Poles, signs and lights, fences and rails, and the small things that stand along streets."""

from __future__ import annotations

import numpy as np

from concerto_ros.sim.streets.models import drawn_model
from concerto_ros.sim.streets.shapes import Paint, Solid, boxes, join, prism, quads, rounds, tubes

_STEEL = Paint("pole", (142, 144, 148), 0.4)
_WOOD = Paint("pole", (112, 92, 74), 0.3)


def lamp(rng: np.random.Generator) -> Solid:
    """A street lamp of 3 to 11 m."""
    model = drawn_model(rng, "street lamp")
    if model is not None:
        return model
    height = rng.uniform(3, 11)
    radius = rng.uniform(0.05, 0.1) + 0.004 * height
    parts = [tubes((0, 0, -0.3), (0, 0, height), radius, _STEEL, radius * 0.6, sides=8)]
    if height > 5:
        out = rng.uniform(0.5, 2.4)
        for side in (-1, 1) if rng.random() < 0.2 else (1,):
            tip = (0, side * out, height + 0.3)
            parts.append(tubes((0, 0, height - 0.2), tip, radius * 0.5, _STEEL))
            parts.append(boxes(tip, (0.28, 0.7, 0.14), _STEEL))
    else:
        parts.append(rounds((0, 0, height + 0.2), (0.45, 0.45, 0.5), _STEEL))
    return join(parts)


def traffic_light(rng: np.random.Generator) -> Solid:
    """A traffic light, some with an arm over the road (towards +y)."""
    height = rng.uniform(2.6, 3.6)
    dark = Paint("pole", (40, 42, 44), 0.15)
    parts = [boxes((0.15, 0, height - 0.4), (0.3, 0.32, 0.95), dark)]
    if rng.random() < 0.4:
        high, out = rng.uniform(5.2, 6.2), rng.uniform(2.5, 6)
        parts.append(tubes((0, 0, high), (0, out, high), 0.07, _STEEL))
        parts.append(boxes((0.1, out - 0.3, high), (0.3, 0.34, 1.0), dark))
        height = high
    parts.append(tubes((0, 0, -0.3), (0, 0, height), rng.uniform(0.05, 0.12), _STEEL))
    return join(parts)


def sign(rng: np.random.Generator) -> Solid:
    """A traffic sign, street name or signpost."""
    height = rng.uniform(1.9, 3.2)
    radius = rng.uniform(0.025, 0.05)
    plate = Paint("pole", tuple(rng.uniform(60, 240, 3)), 0.9)
    size = rng.uniform(0.4, 0.9)
    parts = [tubes((0, 0, -0.2), (0, 0, height), radius, _STEEL)]
    for number in range(int(rng.integers(1, 3))):
        z = height - size / 2 - number * size * 1.1
        if z < 1.0:
            break
        kind = rng.random()
        if kind < 0.4:
            parts.append(tubes((0.04, 0, z), (0.06, 0, z), size / 2, plate, sides=12))
        elif kind < 0.6:
            angle = np.array([0.5, 7 / 6, 11 / 6]) * np.pi
            corners = [(0.05, size * 0.58 * np.cos(a), z + size * 0.58 * np.sin(a)) for a in angle]
            parts.append(quads(np.array([[*corners, corners[0]]]), plate))
        else:
            wide = size * rng.uniform(0.8, 2.0)
            parts.append(boxes((0.05, 0, z), (0.03, wide, size * rng.uniform(0.5, 1)), plate))
    return join(parts)


def large_sign(rng: np.random.Generator) -> Solid:
    """A direction sign on two posts, or an advertising board."""
    wide, tall, low = rng.uniform(2, 5), rng.uniform(1.2, 3), rng.uniform(0.6, 2.4)
    plate = Paint("pole", tuple(rng.uniform(40, 220, 3)), 0.8)
    posts = [(0, s * wide * 0.35, -0.3) for s in (-1, 1)]
    ends = [(0, s * wide * 0.35, low + tall) for s in (-1, 1)]
    return join(
        [
            tubes(posts, ends, 0.08, _STEEL),
            boxes((0.1, 0, low + tall / 2), (0.06, wide, tall), plate),
        ]
    )


def gantry(rng: np.random.Generator, width: float) -> Solid:
    """A portal over a road along x, ``width`` metres from post to post."""
    high = rng.uniform(5.5, 7)
    feet = np.array([(0, s * width / 2, -0.3) for s in (-1, 1)])
    beam = boxes((0, 0, high), (0.5, width, 0.6), _STEEL)
    plates = [(0.3, y, high + 0.2) for y in rng.uniform(-0.35, 0.35, 3) * width]
    plate = Paint("pole", (40, 80, 150), 0.8)
    return join(
        [
            tubes(feet, feet * [1, 1, 0] + [0, 0, high], 0.2, _STEEL),
            beam,
            boxes(plates, (0.08, 3.4, 2.4), plate),
        ]
    )


def bollard(rng: np.random.Generator) -> Solid:
    """A bollard or a marker post, 0.5 to 1.1 m."""
    height, radius = rng.uniform(0.5, 1.1), rng.uniform(0.04, 0.12)
    return tubes((0, 0, -0.2), (0, 0, height), radius, _STEEL, radius * 0.9, sides=8)


def power_line(rng: np.random.Generator, tops: np.ndarray, feet: np.ndarray) -> Solid:
    """Wooden or concrete masts from ``feet`` to ``tops`` (N, 3), with sagging wires."""
    parts = [tubes(feet, tops, 0.15, _WOOD, 0.1, sides=8)]
    parts.append(boxes(tops - [0, 0, 0.4], (0.12, 1.8, 0.12), _WOOD))
    share = np.linspace(0, 1, 9)[:, None]
    sag = -4 * share * (1 - share) * rng.uniform(0.3, 1.2)
    for offset in (-0.8, 0.0, 0.8):
        ends = tops + [0, offset, -0.3]
        for start, end in zip(ends[:-1], ends[1:], strict=True):
            wire = start + share * (end - start) + sag * [0, 0, 1]
            parts.append(tubes(wire[:-1], wire[1:], 0.015, _STEEL, sides=3))
    return join(parts)


def fence(rng: np.random.Generator, path: np.ndarray, kind: str | None = None) -> Solid:
    """A fence along ``path`` (N, 3), points on the ground at most some metres apart.

    Args:
        rng: for height and spacing.
        path: metres.
        kind: ``mesh``, ``pickets``, ``boards``, ``bars``, ``wall``, ``rail`` (a guard rail),
            ``barrier`` (of concrete) or ``wires`` (of a pasture).
    """
    kinds = ["mesh", "pickets", "boards", "bars", "wall", "wires"]
    kind = kind or str(rng.choice(kinds, p=[0.25, 0.2, 0.15, 0.15, 0.18, 0.07]))
    color = tuple(rng.uniform([60, 60, 50], [230, 225, 215]))
    solid = Paint("fence", color, rng.uniform(0.2, 0.6))
    height = {"wires": 1.2, "rail": 0.75, "barrier": 0.85}.get(kind, rng.uniform(0.7, 2.1))
    start, end = path[:-1], path[1:]
    if kind == "mesh":
        wire = Paint("fence", color, 0.4, gaps=rng.uniform(0.55, 0.85))
        return join(
            [_panels(start, end, 0.05, height, wire), _posts(path, 2.4, height, 0.03, solid)]
        )
    if kind == "boards":
        return join(
            [_panels(start, end, 0.03, height, solid), _posts(path, 2.0, height, 0.06, solid)]
        )
    if kind in ("wall", "barrier"):
        thick = rng.uniform(0.12, 0.4)
        return _strips(start, end, -0.8, height, thick, solid)
    if kind == "rail":
        parts = [_strips(start, end, z, z + 0.12, 0.06, solid) for z in (0.45, 0.62)]
        parts.append(_panels(start, end, 0.42, 0.74, solid))
        return join([*parts, _posts(path, rng.uniform(1.5, 4), 0.7, 0.06, solid)])
    if kind == "wires":
        parts = [_strips(start, end, z, z + 0.02, 0.02, solid) for z in (0.4, 0.8, 1.1)]
        return join([*parts, _posts(path, 3.0, height, 0.05, solid)])
    gap = rng.uniform(0.1, 0.2)
    width = 0.02 if kind == "bars" else gap * rng.uniform(0.4, 0.8)
    bars = _along(path, gap)
    upright = boxes(bars + [0, 0, height / 2 + 0.04], (width, width, height), solid)
    rails = [_strips(start, end, z, z + 0.05, 0.03, solid) for z in (0.2, height * 0.85)]
    return join([upright, *rails, _posts(path, 2.2, height, 0.05, solid)])


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


def _along(path: np.ndarray, gap: float) -> np.ndarray:
    """Points along a path every ``gap`` metres, (N, 3)."""
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(path[:, :2], axis=0), axis=1))])
    at = np.arange(0, length[-1], gap)
    return np.column_stack([np.interp(at, length, path[:, i]) for i in range(3)])


def _posts(path, gap: float, height: float, radius: float, paint: Paint) -> Solid:
    feet = _along(path, gap)
    return tubes(feet - [0, 0, 0.3], feet + [0, 0, height + 0.05], radius, paint)


def _panels(start, end, low: float, high: float, paint: Paint) -> Solid:
    up = np.array([0, 0, 1.0])
    return quads(
        np.stack([start + low * up, end + low * up, end + high * up, start + high * up], 1), paint
    )


def _strips(start, end, low: float, high: float, thick: float, paint: Paint) -> Solid:
    """Walls of some thickness between points of the ground."""
    along = end - start
    side = np.stack([-along[:, 1], along[:, 0], 0 * along[:, 0]], 1)
    side *= thick / 2 / (np.linalg.norm(side, axis=1, keepdims=True) + 1e-9)
    up = np.array([0, 0, 1.0])
    left = _panels(start + side, end + side, low, high, paint)
    right = _panels(start - side, end - side, low, high, paint)
    top = np.stack([start + side, end + side, end - side, start - side], 1) + high * up
    ends = [
        np.stack(
            [p + side + low * up, p - side + low * up, p - side + high * up, p + side + high * up],
            1,
        )
        for p in (start, end)
    ]
    return join([left, right, quads(top, paint), quads(np.concatenate(ends), paint)])
