# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Walls with recessed windows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from concerto_ros.sim.mesh import rotation_about
from concerto_ros.sim.streets.shapes import (
    Paint,
    Solid,
    boxes,
    join,
    quads,
)

#: Colours of walls.
WALLS = (
    (214, 206, 190),
    (196, 176, 148),
    (168, 92, 74),
    (150, 146, 140),
    (232, 230, 224),
    (124, 110, 98),
)


#: The walls begin so far below z = 0, metres.
BELOW = 3.5


@dataclass(frozen=True)
class Facade:
    """How the walls of a building look.

    Attributes:
        wall: paint of the walls.
        storey: height of a storey, metres.
        window: (width, height) of a window, metres; (0, 0): none.
        spacing: metres from window to window.
        sill: height of the windows above the floor of their storey, metres.
        recess: depth of the windows behind the wall, metres.
        ground_floor: ``plain``, ``shop`` (wide windows) or ``blind`` (none).
    """

    wall: Paint
    storey: float
    window: tuple[float, float]
    spacing: float
    sill: float
    recess: float
    ground_floor: str = "plain"


def draw_facade(rng: np.random.Generator, shop: bool = False) -> Facade:
    """A random facade with windows."""
    color = np.array(WALLS[rng.integers(len(WALLS))]) * rng.uniform(0.85, 1.1)
    storey = rng.uniform(2.6, 3.6)
    width = rng.uniform(0.8, 2.2)
    height = rng.uniform(0.45, 0.7) * storey
    sill = min(rng.uniform(0.2, 1.0), storey - height - 0.25)
    return Facade(
        Paint("building", tuple(color), rng.uniform(0.2, 0.7)),
        storey,
        (width, height),
        width + rng.uniform(0.5, 2.4),
        sill,
        rng.choice([0.03, 0.1, 0.18, 0.3]),
        "shop" if shop else str(rng.choice(["plain", "plain", "blind"])),
    )


def shell(rng, facade: Facade, length: float, depth: float, height: float) -> list[Solid]:
    """The four walls, and some rooms behind the windows."""
    parts = []
    for side, (across, away) in enumerate(((length, depth), (depth, length)) * 2):
        blind = side in (1, 3) and rng.random() < 0.4
        made = wall(rng, facade, across, height, blind, front=side == 0)
        parts.append(made.moved((0, -away / 2, 0)).turned(rotation_about("z", side * np.pi / 2)))
    inner = Paint("building", (200, 196, 188), 0.5)
    deep = min(3.5, 0.3 * min(length, depth))
    parts.append(plain_walls(length - 2 * deep, depth - 2 * deep, height, inner))
    floors = np.arange(0.0, height, facade.storey)
    slabs = np.column_stack([np.zeros((len(floors), 2)), floors + 0.05])
    parts.append(boxes(slabs, (length - 0.1, depth - 0.1, 0.2), inner))
    return parts


def plain_walls(length: float, depth: float, height: float, paint: Paint) -> Solid:
    """Four walls without windows round the origin, from ``BELOW`` the ground to ``height``."""
    x, y = length / 2, depth / 2
    ring = np.array([(-x, -y), (x, -y), (x, y), (-x, y)])
    bottom = np.column_stack([ring, np.full(4, -BELOW)])
    top = np.column_stack([ring, np.full(4, height)])
    return quads(np.stack([bottom, np.roll(bottom, -1, 0), np.roll(top, -1, 0), top], 1), paint)


def wall(
    rng: np.random.Generator,
    facade: Facade,
    length: float,
    height: float,
    blind: bool,
    front: bool,
) -> Solid:
    """A wall in the plane y = 0 along x round the origin, its outside at y < 0.

    Args:
        rng: for panes, blinds and missing windows.
        facade: how it looks.
        length: metres.
        height: metres.
        blind: whether it has no windows.
        front: whether it may have the windows of a shop.
    """
    width, tall = facade.window
    count = int((length - 0.8) / facade.spacing) if width and not blind else 0
    middles = (np.arange(count) - (count - 1) / 2) * facade.spacing
    storeys = max(1, round(height / facade.storey - 0.25))
    shop = front and facade.ground_floor == "shop"
    opening_rows = []
    for number in range(storeys):
        low = number * facade.storey + facade.sill
        high = low + tall
        if number == 0 and shop:
            low, high = 0.25, facade.storey - 0.5
        elif number == 0 and facade.ground_floor == "blind" and front:
            continue
        if high < height - 0.1:
            opening_rows.append((low, high))
    z = np.unique([-BELOW, height, *np.ravel(opening_rows)])
    half = width / 2 if not shop else max(width / 2, facade.spacing / 2 - 0.2)
    x = np.unique([-length / 2, length / 2, *(middles - half), *(middles + half)])
    x0, z0 = (g.ravel() for g in np.meshgrid(x[:-1], z[:-1], indexing="ij"))
    x1, z1 = (g.ravel() for g in np.meshgrid(x[1:], z[1:], indexing="ij"))
    in_row = (
        np.isin(z0, [low for low, _ in opening_rows]) if opening_rows else np.zeros(len(z0), bool)
    )
    distance = (
        np.abs((x0 + x1)[:, None] / 2 - middles[None]).min(1) if count else np.full(len(x0), 9e9)
    )
    window = in_row & (distance < half - 1e-6)
    window &= rng.random(len(window)) < 0.95
    zero, deep = np.zeros(len(x0)), np.full(len(x0), facade.recess)

    def panels(y, use):
        rows = [np.column_stack([a, y, b]) for a, b in ((x0, z0), (x1, z0), (x1, z1), (x0, z1))]
        return np.stack(rows, 1)[use]

    parts = [quads(panels(zero, ~window), facade.wall)]
    if window.any():
        blinds = window & (rng.random(len(window)) < 0.2)
        pane = Paint("building", (70, 84, 96), rng.uniform(0.03, 0.12), gaps=rng.uniform(0.3, 0.9))
        parts.append(quads(panels(deep, blinds), Paint("building", (190, 186, 176), 0.5)))
        parts.append(quads(panels(deep, window & ~blinds), pane))
        outer, inner = panels(zero, window), panels(deep, window)
        reveal = [
            np.stack([outer[:, i], outer[:, j], inner[:, j], inner[:, i]], 1)
            for i, j in ((0, 1), (1, 2), (2, 3), (3, 0))
        ]
        parts.append(quads(np.concatenate(reveal), facade.wall))
        # Frames: one bar upright in the middle of each window.
        bars = outer[window[window]][:, [0, 2]].mean(1) + [0, facade.recess - 0.02, 0]
        heights = np.column_stack(
            [np.full(len(bars), 0.07), np.full(len(bars), 0.04), outer[:, 2, 2] - outer[:, 0, 2]]
        )
        parts.append(boxes(bars, heights, Paint("building", (225, 225, 225), 0.6)))
    return join(parts)
