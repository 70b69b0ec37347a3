# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Lorries and buses; x is forward, the wheels stand at z = 0."""

from __future__ import annotations

import numpy as np

from concerto_ros.sim.streets.pieces.cars import COLORS, DARK, METAL, RUBBER, SEAT
from concerto_ros.sim.streets.pieces.models import drawn_model
from concerto_ros.sim.streets.shapes import (
    Paint,
    Solid,
    boxes,
    join,
    quads,
    tubes,
)


def truck(rng: np.random.Generator) -> Solid:
    """A lorry with a box, a flat bed, a tank, a tipper or a container, some with a trailer."""
    model = drawn_model(rng, "lorry")
    if model is not None:
        return model
    color, reflectance = COLORS[rng.integers(len(COLORS))]
    body = Paint("vehicle", color, max(reflectance, 0.1))
    cargo_color, cargo_reflectance = COLORS[rng.integers(len(COLORS))]
    cargo = Paint("vehicle", cargo_color, max(cargo_reflectance, 0.15))
    width, cab = rng.uniform(2.2, 2.55), rng.uniform(1.7, 2.4)
    height, low = rng.uniform(2.5, 3.6), rng.uniform(0.9, 1.25)
    length = rng.uniform(4.5, 8.0)
    parts = [_cab(rng, width, cab, height, body)]
    parts += _load(rng, -cab - 0.3, length, width, low, cargo)
    axles = [-cab * 0.55, -cab - 0.3 - length * 0.75]
    if rng.random() < 0.35:
        length2 = rng.uniform(6, 9)
        start = -cab - length - 1.4
        parts += _load(rng, start, length2, width, low, cargo)
        axles += [start - length2 * 0.2, start - length2 * 0.75, start - length2 * 0.9]
        length += length2 + 1.1
    parts.append(boxes((-(cab + length) / 2, 0, low - 0.2), (cab + length, 0.9, 0.25), DARK))
    parts.append(_axles(axles, width, rng.uniform(0.42, 0.52)))
    return join(parts).moved(((cab + length) / 2, 0, 0))


def bus(rng: np.random.Generator) -> Solid:
    """A bus or a coach."""
    model = drawn_model(rng, "bus")
    if model is not None:
        return model
    length, width, height = rng.uniform(9, 14), 2.5, rng.uniform(2.8, 3.5)
    color, reflectance = COLORS[rng.integers(len(COLORS))]
    body = Paint("vehicle", color, max(reflectance, 0.12))
    glass = Paint("vehicle", (50, 60, 66), 0.08, gaps=0.6)
    waist, top = height * 0.4, height * 0.86
    parts = [
        boxes((0, 0, (0.35 + waist) / 2), (length, width, waist - 0.35), body),
        boxes((0, 0, (top + height) / 2), (length, width * 0.97, height - top), body),
        boxes((0, 0, (waist + top) / 2), (length * 0.99, width * 0.98, top - waist), glass),
        _axles([length * 0.3, -length * 0.28], width, 0.48),
    ]
    posts = np.arange(-length / 2 + 0.1, length / 2, rng.uniform(1.2, 1.9))
    both = [(x, s * width * 0.49, (waist + top) / 2) for x in posts for s in (-1, 1)]
    parts.append(boxes(both, (0.14, 0.06, top - waist), body))
    rows = np.arange(-length / 2 + 1.5, length / 2 - 2, 0.85)
    seats = [(x, s * 0.75, 1.2) for x in rows for s in (-1, 1)]
    parts.append(boxes(seats, (0.15, 0.9, 1.1), SEAT))
    return join(parts)


def _axles(places: list[float], width: float, radius: float) -> Solid:
    middle = np.array([(x, s * (width / 2 - 0.17), radius) for x in places for s in (-1, 1)])
    outer = np.array([0, 0.17, 0])
    return tubes(middle - outer, middle + outer, radius, RUBBER, sides=10)


def _cab(rng, width: float, length: float, height: float, body: Paint) -> Solid:
    """A driver's cab, its front at x = 0."""
    low, waist = 0.55, height * 0.55
    glass = Paint("vehicle", (50, 60, 66), 0.06, gaps=0.6)
    lean = rng.uniform(0.0, 0.35)
    hw = width / 2
    screen = [
        (0, -hw, waist),
        (0, hw, waist),
        (-lean, hw * 0.95, height),
        (-lean, -hw * 0.95, height),
    ]
    roof = [
        (-lean, -hw * 0.95, height),
        (-lean, hw * 0.95, height),
        (-length, hw, height),
        (-length, -hw, height),
    ]
    back = [(-length, -hw, low), (-length, hw, low), (-length, hw, height), (-length, -hw, height)]
    windows = [
        [
            (0, s * hw, waist),
            (-length * 0.7, s * hw, waist),
            (-length * 0.7, s * hw * 0.97, height * 0.92),
            (-lean, s * hw * 0.95, height * 0.92),
        ]
        for s in (-1, 1)
    ]
    pillars = [
        [
            (-length * 0.7, s * hw, waist),
            (-length, s * hw, waist),
            (-length, s * hw, height),
            (-length * 0.7, s * hw * 0.97, height),
        ]
        for s in (-1, 1)
    ]
    return join(
        [
            boxes((-length / 2, 0, (low + waist) / 2), (length, width, waist - low), body),
            quads(np.array([roof, back, *pillars], float), body),
            quads(np.array([screen, *windows], float), glass),
            boxes((-length * 0.5, 0, height * 0.5), (0.4, width * 0.8, height * 0.5), SEAT),
            boxes(
                [(-0.2, s * (hw + 0.15), height * 0.7) for s in (-1, 1)], (0.1, 0.25, 0.5), DARK
            ),
        ]
    )


def _load(rng, front: float, length: float, width: float, low: float, cargo: Paint) -> list[Solid]:
    """What is behind the cab, from x = front backwards."""
    x = front - length / 2
    kind = rng.choice(["box", "box", "flat", "tank", "tipper", "container"])
    if kind == "tank":
        radius = rng.uniform(0.85, 1.15)
        z = low + radius
        tank = tubes((front, 0, z), (front - length, 0, z), radius, METAL, sides=12)
        return [tank, boxes((x, 0, low), (length, width * 0.6, 0.3), DARK)]
    if kind == "flat":
        floor = boxes((x, 0, low), (length, width, 0.2), DARK)
        if rng.random() < 0.5:
            return [floor]
        count = int(rng.integers(1, 6))
        sizes = rng.uniform([0.6, 0.6, 0.4], [1.8, width, 1.6], (count, 3))
        places = np.column_stack(
            [x + rng.uniform(-0.4, 0.4, count) * length, np.zeros(count), low + sizes[:, 2] / 2]
        )
        return [floor, boxes(places, sizes, cargo)]
    if kind == "tipper":
        height = rng.uniform(0.6, 1.4)
        sides = [(x, s * width / 2, low + height / 2) for s in (-1, 1)]
        ends = [(e, 0, low + height / 2) for e in (front, front - length)]
        return [
            boxes((x, 0, low), (length, width, 0.2), cargo),
            boxes(sides, (length, 0.08, height), cargo),
            boxes(ends, (0.08, width, height), cargo),
        ]
    height = 2.4 if kind == "container" else rng.uniform(2.0, 2.8)
    return [boxes((x, 0, low + height / 2), (length, width, height), cargo)]
