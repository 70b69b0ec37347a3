# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Halls that are driven into: garages, stores, workshops, large offices, underpasses."""

from __future__ import annotations

import numpy as np

from concerto_ros.sim.mesh import rotation_about
from concerto_ros.sim.streets.pieces import clutter
from concerto_ros.sim.streets.pieces.facades import draw_facade, wall
from concerto_ros.sim.streets.shapes import Paint, Solid, boxes, join
from concerto_ros.sim.streets.site import Site


def add_hall(site: Site, rng: np.random.Generator) -> None:
    """Enclose the road round the origin in a hall; what comes later stands in it."""
    length, depth = np.exp(rng.uniform(np.log(9), np.log(90))), 2 * site.terrain.half_width - 0.1
    height = rng.uniform(2.4, 3.2) if depth < 9 else rng.uniform(2.4, 8.0)
    site.enclose(length / 2 - 0.3, depth / 2 - 0.3)
    site.put(_shell(rng, length, depth, height), (0.0, 0.0))
    paint = Paint("building", tuple(rng.uniform(90, 240, 3)), rng.uniform(0.2, 0.6))
    if rng.random() < 0.5:  # pillars
        along, across = rng.uniform(4, 9, 2)
        for x in np.arange(-length / 2 + along / 2, length / 2, along):
            for y in np.arange(-depth / 2 + across / 2, depth / 2 - 1, across):
                if site.claim((x, y), 0, 0.6, 0.6, on_road=True):
                    site.put(boxes((0, 0, height / 2), (0.45, 0.45, height), paint), (x, y))
    for _ in range(int(rng.integers(0, 5))):  # partitions
        place = rng.uniform(-0.5, 0.5, 2) * [length, depth]
        wide, turn = rng.uniform(1.5, 6), rng.choice([0, np.pi / 2])
        if site.claim(place, turn, wide, 0.3, on_road=True):
            site.put(boxes((0, 0, height / 2), (wide, 0.14, height), paint), place, turn)
    for _ in range(int(rng.poisson(min(length * depth / 12 * rng.random(), 120)))):
        place, turn = rng.uniform(-0.5, 0.5, 2) * [length, depth], rng.choice([0, np.pi / 2])
        made, size = _stock(rng, height)
        if site.claim(place, turn, *size, on_road=True):
            site.put(made, place, turn)


def _shell(rng: np.random.Generator, length: float, depth: float, height: float) -> Solid:
    """Walls with windows and doors, and mostly a ceiling with beams, pipes and lamps."""
    facade = draw_facade(rng)
    outward = np.diag([1.0, -1.0, 1.0])  # the side with the reveals faces the hall
    parts = []
    for side, (across, away) in enumerate(((length, depth), (depth, length)) * 2):
        made = wall(rng, facade, across, height, rng.random() < 0.6, front=False)
        placed = made.turned(outward).moved((0, -away / 2, 0))
        parts.append(placed.turned(rotation_about("z", side * np.pi / 2)))
        for x in rng.uniform(-0.45, 0.45, int(rng.integers(0, 4))) * across:
            leaf = Paint("building", tuple(rng.uniform(40, 220, 3)), 0.4)
            wide, high = rng.choice([0.9, 0.9, 1.8, 3.2]), min(rng.uniform(2.0, 3.0), height - 0.1)
            door = boxes((x, -away / 2 + 0.03, high / 2), (wide, 0.05, high), leaf)
            parts.append(door.turned(rotation_about("z", side * np.pi / 2)))
    if rng.random() < 0.85:
        parts.append(boxes((0, 0, height + 0.1), (length, depth, 0.2), facade.wall))
        beams = np.arange(-length / 2, length / 2, rng.uniform(2, 8))
        places = [(x, 0, height - 0.2) for x in beams]
        parts.append(boxes(places, (0.25, depth, 0.4 * rng.random() + 0.02), facade.wall))
        lamp = Paint("other", (235, 235, 230), 0.6)
        spots = rng.uniform(-0.5, 0.5, (int(length * depth / 30) + 1, 3)) * [length, depth, 0]
        parts.append(boxes(spots + [0, 0, height - 0.3], (1.3, 0.2, 0.1), lamp))
    return join(parts)


def _stock(rng: np.random.Generator, height: float) -> tuple[Solid, tuple[float, float]]:
    """A shelf, a desk or another thing, with the length and width that it takes."""
    form = rng.random()
    paint = Paint("other", tuple(rng.uniform(50, 230, 3)), rng.uniform(0.15, 0.6))
    if form < 0.35:
        wide, deep = rng.uniform(0.8, 4.0), rng.uniform(0.3, 0.9)
        return _shelf(rng, wide, deep, min(rng.uniform(1.2, 4.0), height - 0.2), paint), (
            wide,
            deep,
        )
    if form < 0.65:
        wide, deep = rng.uniform(1.0, 2.2), rng.uniform(0.6, 1.0)
        return _desk(rng, wide, deep, paint), (wide, deep + 1.0)
    return clutter.thing(rng), (1.4, 1.4)


def _shelf(rng: np.random.Generator, wide: float, deep: float, high: float, paint: Paint) -> Solid:
    boards = np.arange(0.1, high, rng.uniform(0.3, 0.8))
    posts = [(x * wide / 2, y * deep / 2, high / 2) for x in (-1, 1) for y in (-1, 1)]
    low = np.repeat(boards, 4)
    tall = rng.uniform(0.1, 0.35, len(low))
    places = rng.uniform(-0.45, 0.45, (len(low), 2)) * [wide, 0.2 * deep]
    sizes = np.column_stack([rng.uniform(0.1, 0.5, len(low)), np.full(len(low), 0.8 * deep), tall])
    return join(
        [
            boxes([(0, 0, z) for z in boards], (wide, deep, 0.03), paint),
            boxes(posts, (0.05, 0.05, high), paint),
            boxes(np.column_stack([places, low + tall / 2]), sizes, paint),
        ]
    )


def _desk(rng: np.random.Generator, wide: float, deep: float, paint: Paint) -> Solid:
    legs = [(x * wide * 0.46, y * deep * 0.45, 0.36) for x in (-1, 1) for y in (-1, 1)]
    parts = [boxes((0, 0, 0.73), (wide, deep, 0.04), paint), boxes(legs, (0.05, 0.05, 0.7), paint)]
    if rng.random() < 0.5:  # a screen
        parts.append(boxes((0.2, 0.1, 1.0), (0.55, 0.05, 0.35), paint))
    if rng.random() < 0.6:
        seat = Paint("other", tuple(rng.uniform(30, 200, 3)), 0.25)
        places, sizes = (
            [(0, -0.6, 0.46), (0, -0.82, 0.75)],
            [(0.46, 0.46, 0.08), (0.44, 0.06, 0.5)],
        )
        parts.append(boxes(places, sizes, seat))
        parts.append(boxes((0, -0.6, 0.22), (0.08, 0.08, 0.44), seat))
    return join(parts)
