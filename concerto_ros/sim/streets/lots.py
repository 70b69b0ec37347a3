# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The lots along a street: buildings, gardens and what encloses them."""

from __future__ import annotations

import numpy as np

from concerto_ros.sim.streets.kinds import Kind
from concerto_ros.sim.streets.pieces import fences, houses, plants
from concerto_ros.sim.streets.site import Site

#: Buildings and roads reach so far along x from the origin, metres.
REACH = 92.0


def add_lots(site: Site, rng: np.random.Generator, kind: Kind, side: int) -> None:
    """Buildings, fences and sheds along one side of the road."""
    if kind.buildings == "none":
        return
    terrain = site.terrain
    edge = terrain.half_width + terrain.pavement
    x = -REACH + rng.uniform(0, 10)
    setback = rng.uniform(*kind.setback)
    fence_kind = None
    while x < REACH:
        storeys = int(rng.integers(kind.storeys[0], kind.storeys[1] + 1))
        length, depth, gap = _footprint(rng, kind.buildings)
        middle = x + length / 2
        offset = edge + setback * rng.uniform(0.8, 1.2) + depth / 2
        yaw = terrain.direction(middle)
        if kind.buildings == "scattered":
            yaw += rng.normal(0, 0.6)
        place = terrain.aside(middle, side * offset)
        if rng.random() > kind.empty and site.claim(place, yaw, length, depth):
            # The front faces the road.
            turn = yaw + (np.pi if side < 0 else 0.0)
            if kind.buildings == "hall":
                made = houses.hall(rng, length, depth, rng.uniform(4, 11))
            else:
                shop = kind.storeys[1] > 4 and rng.random() < 0.5
                made = houses.house(rng, length, depth, storeys, shop)
            site.put(made, place, turn)
        _add_garden(site, rng, kind, side, x, length + gap, edge, offset)
        if rng.random() < kind.fences:
            if fence_kind is None or rng.random() < 0.6:
                fence_kind = str(rng.choice(["hedge", "fence", "fence"]))
            _add_enclosure(site, rng, side, x, length + gap, edge, offset, fence_kind)
        for _ in range(3):
            if rng.random() < kind.back:
                _add_behind(site, rng, kind, side, middle, offset + depth / 2)
        x += length + gap


def free_runs(site: Site, line: np.ndarray) -> list[np.ndarray]:
    """The runs of points of a line that are free and on no road; they are taken."""
    runs: list[list[np.ndarray]] = [[]]
    for start, end in zip(line[:-1], line[1:], strict=True):
        along = end - start
        yaw = float(np.arctan2(along[1], along[0]))
        if site.claim((start + end) / 2, yaw, float(np.hypot(*along)) - 0.9, 0.1):
            runs[-1] += [end] if runs[-1] else [start, end]
        elif runs[-1]:
            runs.append([])
    return [np.array(run) for run in runs if run]


def _add_behind(site: Site, rng, kind: Kind, side: int, x: float, offset: float) -> None:
    """A building in a row behind, seen over and between those in the first."""
    length, depth, _ = _footprint(rng, kind.buildings)
    place = site.terrain.aside(x, side * (offset + rng.uniform(8, 60) + depth / 2))
    yaw = site.terrain.direction(x) + rng.choice([0, np.pi / 2, np.pi]) + rng.normal(0, 0.2)
    if site.claim(place, yaw, length, depth):
        storeys = int(rng.integers(kind.storeys[0], kind.storeys[1] + 1))
        site.put(houses.house(rng, length, depth, storeys), place, yaw)


def _footprint(rng: np.random.Generator, mode: str) -> tuple[float, float, float]:
    """Length along the road, depth and gap to the next building, metres."""
    if mode == "row":
        gap = rng.uniform(2, 12) if rng.random() < 0.25 else 0.15
        return rng.uniform(7, 26), rng.uniform(8, 15), gap
    if mode == "hall":
        return rng.uniform(18, 50), rng.uniform(12, 30), rng.uniform(4, 20)
    return rng.uniform(6, 15), rng.uniform(6, 12), rng.uniform(2.5, 12)


def _add_garden(site, rng, kind: Kind, side: int, x: float, length: float, edge, offset) -> None:
    """A shed or carport, and a car in the drive."""
    if kind.buildings not in ("detached", "scattered") and rng.random() < 0.7:
        return
    for make, chance in ((houses.shed, 0.4), (_carport, 0.15)):
        if rng.random() < chance:
            place = site.terrain.aside(
                x + rng.uniform(0, length), side * rng.uniform(edge + 3, offset + 14)
            )
            yaw = site.terrain.direction(x) + (np.pi if side < 0 else 0)
            if site.claim(place, yaw, 6.4, 6.4):
                site.put(make(rng), place, yaw)


def _carport(rng: np.random.Generator):
    return houses.canopy(rng, rng.uniform(3, 7), 5.5, rng.uniform(2.2, 2.8))


def _add_enclosure(site, rng, side: int, x: float, length: float, edge, offset, kind: str) -> None:
    """A fence or hedge along the pavement, with a gate, and one towards the neighbour."""
    terrain = site.terrain
    gate = rng.uniform(0.15, 0.85) * length
    front = edge + rng.uniform(0.2, 0.6)
    runs = [(x, x + gate - 1.6), (x + gate + 1.6, x + length)]
    lines = [
        np.array([terrain.aside(at, side * front) for at in np.arange(*run, 1.5)])
        for run in runs
        if run[1] - run[0] > 3
    ]
    if rng.random() < 0.6:
        depths = np.arange(front, offset + 8, 1.5)
        lines.append(np.array([terrain.aside(x, side * depth) for depth in depths]))
    style = None if rng.random() < 0.5 else str(rng.choice(["mesh", "pickets", "wall", "boards"]))
    height, width = rng.uniform(0.7, 2.4), rng.uniform(0.5, 1.2)
    for line in lines:
        for path in free_runs(site, line):
            if kind == "fence":
                site.solids.append(fences.fence(rng, site.on_ground(path), style))
                continue
            for start, end in zip(path[:-1], path[1:], strict=True):
                middle, along = (start + end) / 2, end - start
                piece = plants.hedge(rng, float(np.hypot(*along)) + 0.2, height, width)
                site.put(piece, middle, float(np.arctan2(along[1], along[0])))
