# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Houses, halls and sheds.

A building stands round the origin, its front faces -y; its walls begin 3.5 m below z = 0, so that
it stands on slopes as well.
"""

from __future__ import annotations

import numpy as np

from concerto_ros.sim.streets.pieces.facades import (
    BELOW,
    WALLS,
    Facade,
    draw_facade,
    plain_walls,
    shell,
)
from concerto_ros.sim.streets.pieces.plants import ivy
from concerto_ros.sim.streets.shapes import (
    Paint,
    Solid,
    boxes,
    join,
    prism,
    quads,
    triangles,
    tubes,
)

_ROOFS = ((150, 74, 54), (92, 84, 80), (70, 72, 78), (120, 96, 82))


def house(
    rng: np.random.Generator, length: float, depth: float, storeys: int, shop=False
) -> Solid:
    """A house with ``storeys`` above each other, ``length`` along x and ``depth`` along y."""
    facade = draw_facade(rng, shop)
    height = facade.storey * storeys + rng.uniform(0.0, 0.8)
    parts = [
        *shell(rng, facade, length, depth, height),
        *_roof(rng, facade, length, depth, height, storeys),
        *_entrance(rng, facade, length, depth),
    ]
    if storeys > 1 and rng.random() < 0.4:
        parts += _balconies(rng, facade, length, depth, storeys)
    if rng.random() < 0.3:
        parts.append(_bays(rng, facade, length, depth, height))
    if storeys < 4 and rng.random() < 0.35:  # a wing behind or beside
        wing = shell(rng, facade, length * 0.5, depth * 0.7, facade.storey)
        flat = boxes((0, 0, facade.storey + 0.1), (length * 0.54, depth * 0.74, 0.2), facade.wall)
        side = rng.choice([-1, 1]) * length * 0.25
        parts.append(join([*wing, flat]).moved((side, rng.choice([-0.6, 0.75]) * depth, 0)))
    if rng.random() < 0.1:
        grown = ivy(rng, length * rng.uniform(0.2, 0.6), height * rng.uniform(0.3, 0.9))
        parts.append(grown.turned(np.diag([1, -1, 1])).moved((-length / 2, -depth / 2, 0)))
    if rng.random() < 0.5:  # rain pipes
        x = np.array([-0.48, 0.48]) * length
        low = np.column_stack([x, np.full(2, -depth / 2 - 0.07), np.zeros(2)])
        parts.append(tubes(low, low + [0, 0, height], 0.05, facade.wall))
    return join(parts)


def hall(rng: np.random.Generator, length: float, depth: float, height: float) -> Solid:
    """An industrial hall or a supermarket: few windows, large doors, a flat or low roof."""
    color = np.array(WALLS[rng.integers(len(WALLS))])
    facade = Facade(
        Paint("building", tuple(color), rng.uniform(0.25, 0.7)),
        height,
        (rng.uniform(1.5, 5), rng.uniform(0.6, 1.2)) if rng.random() < 0.5 else (0.0, 0.0),
        rng.uniform(5, 8),
        height * 0.6,
        0.08,
    )
    parts = shell(rng, facade, length, depth, height)
    doors = np.arange(-length / 2 + 3, length / 2 - 3, rng.uniform(5, 9))
    metal = Paint("building", tuple(rng.uniform(90, 220, 3)), 0.4)
    gate = min(rng.uniform(2.6, 4.2), height - 0.4)
    for x in doors[rng.random(len(doors)) < 0.6]:
        parts.append(boxes((x, -depth / 2 + 0.02, gate / 2), (3.4, 0.1, gate), metal))
        if rng.random() < 0.4:  # a loading dock's canopy
            parts.append(boxes((x, -depth / 2 - 0.8, gate + 0.3), (4.2, 1.6, 0.15), metal))
    ribs = np.arange(-length / 2, length / 2, rng.uniform(0.8, 4.0))
    if rng.random() < 0.5:
        places = np.column_stack(
            [ribs, np.full(len(ribs), -depth / 2 - 0.04), np.full(len(ribs), height / 2)]
        )
        parts.append(boxes(places, (0.16, 0.1, height), facade.wall))
    parts.append(boxes((0, 0, height), (length + 0.3, depth + 0.3, 0.3), facade.wall))
    units = rng.uniform(-0.4, 0.4, (4, 3)) * [length, depth, 0] + [0, 0, height + 0.7]
    parts.append(boxes(units, rng.uniform(0.8, 2.2, (4, 3)), metal))
    return join(parts)


def shed(rng: np.random.Generator) -> Solid:
    """A shed, garage, kiosk or small house for transformers, 2 to 6 m long."""
    length, depth, height = rng.uniform([2, 2, 2.0], [6, 6, 3.0])
    wood = Paint(
        "building", tuple(rng.uniform([80, 60, 40], [230, 220, 210])), rng.uniform(0.2, 0.6)
    )
    door = Paint("building", tuple(rng.uniform(60, 220, 3)), 0.4)
    rise = rng.choice([0.0, 0.1, 0.4]) * depth
    over, top = rng.uniform(0.05, 0.4), height + 0.05
    gate = min(length * 0.7, rng.uniform(0.9, 2.6))
    parts = [
        plain_walls(length, depth, height, wood),
        _gable(length, depth, height, rise, wood, wood, over),
        boxes(
            (0, -depth / 2 - 0.01, min(2.0, height - 0.2) / 2),
            (gate, 0.06, min(2.0, height - 0.2)),
            door,
        ),
        boxes((0, 0, top), (length, depth, 0.08), wood),
    ]
    return join(parts)


def canopy(rng: np.random.Generator, length: float, depth: float, height: float) -> Solid:
    """A roof on posts: a carport, a petrol station, a shelter for bicycles."""
    paint = Paint("building", tuple(rng.uniform(90, 230, 3)), 0.45)
    x, y = np.meshgrid(
        np.linspace(-0.45, 0.45, max(2, int(length / 5) + 1)) * length,
        [-0.42 * depth, 0.42 * depth],
    )
    low = np.column_stack([x.ravel(), y.ravel(), np.full(x.size, -0.5)])
    high = low + [0, 0, height + 0.5]
    roof = boxes((0, 0, height + 0.15), (length, depth, rng.uniform(0.1, 0.7)), paint)
    return join([tubes(low, high, rng.uniform(0.04, 0.15), paint), roof])


def _roof(rng, facade, length: float, depth: float, height: float, storeys: int) -> list[Solid]:
    tiles = Paint("building", _ROOFS[rng.integers(len(_ROOFS))], rng.uniform(0.15, 0.4))
    over = rng.uniform(0.1, 0.8)
    if storeys > 5 or rng.random() < 0.3:
        edge = rng.uniform(0.2, 1.0)
        rim = plain_walls(length, depth, edge + BELOW, facade.wall).moved((0, 0, height))
        return [
            boxes((0, 0, height), (length + 0.1, depth + 0.1, 0.25), facade.wall),
            rim.turned(np.diag([1.01, 1.01, 1])),
            boxes((length * 0.2, 0, height + 1.2), (3, 2.5, 2.4), facade.wall),
        ]
    rise = depth * rng.uniform(0.2, 0.6)
    parts = [
        _gable(length, depth, height, rise, tiles, facade.wall, over, hip=rng.random() < 0.35),
        boxes((0, 0, height - 0.02), (length + 0.1, depth + 2 * over * 0.8, 0.12), facade.wall),
    ]
    if rng.random() < 0.6:
        x = rng.uniform(-0.3, 0.3) * length
        parts.append(boxes((x, depth * 0.1, height + rise), (0.7, 0.6, 1.6), facade.wall))
    if rng.random() < 0.3:  # dormers
        x = np.arange(-length * 0.35, length * 0.36, 3.5)
        at = np.column_stack(
            [x, np.full(len(x), -depth * 0.3), np.full(len(x), height + rise * 0.45)]
        )
        parts.append(boxes(at, (1.5, depth * 0.25, 1.5), facade.wall))
    return parts


def _gable(
    length: float,
    depth: float,
    height: float,
    rise: float,
    tiles: Paint,
    wall: Paint,
    over: float,
    hip=False,
) -> Solid:
    """A pitched roof with its ridge along x; with ``hip`` it falls to all sides."""
    x, y = length / 2 + over * 0.6, depth / 2 + over
    low = height - over * rise / (depth / 2)
    ridge = x - (min(depth / 2, x * 0.8) if hip else 0)
    top = height + rise
    slopes = [
        [(-x, -y, low), (x, -y, low), (ridge, 0, top), (-ridge, 0, top)],
        [(-x, y, low), (x, y, low), (ridge, 0, top), (-ridge, 0, top)],
    ]
    if hip:
        slopes += [
            [(s * x, -y, low), (s * x, y, low), (s * ridge, 0, top), (s * ridge, 0, top)]
            for s in (-1, 1)
        ]
        return quads(np.array(slopes, float), tiles)
    ends = [
        [
            (s * length / 2, -depth / 2, height),
            (s * length / 2, depth / 2, height),
            (s * length / 2, 0, top),
        ]
        for s in (-1, 1)
    ]
    return join([quads(np.array(slopes, float), tiles), triangles(np.array(ends, float), wall)])


def _entrance(rng, facade: Facade, length: float, depth: float) -> list[Solid]:
    """A door with a frame, steps in front of it, perhaps a porch, a garage door or an awning."""
    x, y = rng.uniform(-0.35, 0.35) * length, -depth / 2
    leaf = Paint("building", tuple(rng.uniform(40, 200, 3)), rng.uniform(0.15, 0.5))
    parts = [
        boxes((x, y - 0.02, 1.05), (1.0, 0.06, 2.1), leaf),
        boxes([(x + s * 0.56, y - 0.05, 1.1) for s in (-1, 1)], (0.12, 0.12, 2.2), facade.wall),
    ]
    if rng.random() < 0.4:
        parts.append(boxes((x, y - 0.6, 2.45), (1.8, 1.2, 0.12), facade.wall))
    stone = Paint("ground", (160, 156, 150), 0.35)
    for number in range(int(rng.integers(0, 4))):
        run = 0.3 * (number + 1)
        parts.append(boxes((x, y - run / 2, -0.1 - 0.16 * number), (1.6, run, 0.5), stone))
    if facade.ground_floor == "shop" and rng.random() < 0.6:
        z, out = facade.storey - 0.4, rng.uniform(0.8, 2.0)
        half = length * rng.uniform(0.2, 0.48)
        cloth = [(-half, y, z), (half, y, z), (half, y - out, z - 0.5), (-half, y - out, z - 0.5)]
        parts.append(
            quads(np.array(cloth), Paint("building", tuple(rng.uniform(60, 230, 3)), 0.4))
        )
    elif rng.random() < 0.3:
        place = -np.sign(x or 1) * length * 0.28
        parts.append(boxes((place, y - 0.01, 1.1), (2.5, 0.06, 2.2), leaf))
    return parts


def _bays(rng, facade: Facade, length: float, depth: float, height: float) -> Solid:
    """Bay windows, or parts of the front that stand out, from the ground or first floor up."""
    count = max(1, int(length / rng.uniform(3.5, 8)))
    middles = (np.arange(count) - (count - 1) / 2) * length / count
    half = 0.5 * length / count * rng.uniform(0.4, 0.75)
    out, slant = rng.uniform(0.4, 1.3), rng.choice([0.0, 0.5, 0.9])
    low = rng.choice([-BELOW, facade.storey])
    high = height * rng.uniform(0.75, 1.0)
    y = -depth / 2
    pane = Paint("building", (70, 84, 96), 0.1, gaps=rng.uniform(0.2, 0.7))
    parts = []
    for x in middles:
        front = half - slant * out
        if front < 0.2 or low > high - 1:
            continue
        outline = [(x - half, y), (x - front, y - out), (x + front, y - out), (x + half, y)]
        parts.append(prism(np.array(outline), low, high, facade.wall))
        sills = np.arange(max(low, 0) + facade.sill, high - 1.5, facade.storey)
        places = np.column_stack(
            [np.full((len(sills), 1), x), np.full(len(sills), y - out), sills + 0.7]
        )
        parts.append(boxes(places, (1.4 * front, 0.06, 1.4), pane))
    return join(parts) if parts else boxes((0, y, 0.2), (length, 0.1, 0.8), facade.wall)


def _balconies(rng, facade: Facade, length: float, depth: float, storeys: int) -> list[Solid]:
    count = max(1, int(length / rng.uniform(4, 9)))
    x = (np.arange(count) - (count - 1) / 2) * length / count
    out, wide = rng.uniform(0.8, 1.8), min(rng.uniform(1.8, 4), length / count * 0.95)
    grid_x, z = (g.ravel() for g in np.meshgrid(x, np.arange(1, storeys) * facade.storey))
    y = np.full(len(z), -depth / 2 - out / 2)
    centers = np.column_stack([grid_x, y, z])
    parts = [boxes(centers, (wide, out, 0.18), facade.wall)]
    rail = Paint("building", (90, 92, 96), 0.35, gaps=rng.choice([0.0, 0.6, 0.75]))
    parts.append(boxes(centers + [0, -out / 2, 0.55], (wide, 0.05, 1.0), rail))
    for side in (-1, 1):
        parts.append(boxes(centers + [side * wide / 2, 0, 0.55], (0.05, out, 1.0), rail))
    return parts
