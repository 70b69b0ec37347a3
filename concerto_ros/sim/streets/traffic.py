# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Vehicles on a street: parked in rows, standing in yards, and moving."""

from __future__ import annotations

import numpy as np

from concerto_ros.sim.streets.kinds import Kind
from concerto_ros.sim.streets.pieces import cars, trucks, two_wheelers
from concerto_ros.sim.streets.pieces.models import drawn_model
from concerto_ros.sim.streets.pieces.people import rider
from concerto_ros.sim.streets.shapes import Solid
from concerto_ros.sim.streets.site import Place, Site


def add_parked(site: Site, rng: np.random.Generator, name: str, kind: Kind) -> None:
    """Cars along the kerbs or in the rows of a car park, and bicycles on the pavements."""
    terrain = site.terrain
    for side in (-1, 1):
        slanted = rng.random() < 0.2
        for x in np.arange(-75, 75, 3.0 if slanted else 6.3):
            if rng.random() > kind.parked:
                continue
            away = terrain.half_width + (2.7 if slanted else rng.uniform(-1.15, -0.95))
            turn = terrain.direction(x) + (1.3 if slanted else rng.choice([0, np.pi]))
            _park(site, rng, terrain.aside(x, side * away), turn)
    if name == "car park":
        share = rng.uniform(0.3, 0.95)
        for row in (4.0, 9.2, 20.0, 25.2):
            for side in (-1, 1):
                for x in np.arange(-60, 60, 2.6):
                    if rng.random() < share:
                        place = terrain.aside(x, side * (terrain.half_width + row))
                        _park(site, rng, place, np.pi / 2 * rng.choice([-1, 1]))
    if name in ("industrial", "yard", "residential", "campus", "rural"):
        for _ in range(int(rng.integers(0, 8))):  # in drives and yards
            x, side = rng.uniform(-50, 50), rng.choice([-1, 1])
            away = terrain.half_width + terrain.pavement + rng.uniform(2.5, 12)
            large = name in ("industrial", "rural")
            _park(site, rng, terrain.aside(x, side * away), rng.uniform(0, np.pi), large)
    for _ in range(int(rng.integers(0, 6))):
        x, side = rng.uniform(-45, 45), rng.choice([-1, 1])
        away = terrain.half_width + terrain.pavement * rng.uniform(0.3, 1) + 0.4
        make = (_bicycle, _bicycle, _motorcycle, two_wheelers.kick_scooter)[rng.integers(4)]
        turn = rng.uniform(0, np.pi)
        for number in range(int(rng.choice([1, 1, 2, 6]))):
            place = terrain.aside(x + 0.6 * number, side * away)
            if site.claim(place, turn, 1.2, 0.4):
                site.put(make(rng), place, turn + rng.normal(0, 0.06))


def add_traffic(site: Site, rng: np.random.Generator, kind: Kind) -> None:
    """Vehicles and riders on the road, most of them moving."""
    terrain = site.terrain
    lanes = np.arange(1.8, max(terrain.half_width, 1.8), 3.5)
    count = int(rng.integers(kind.traffic[0], kind.traffic[1] + 1)) if len(lanes) else 0
    fast = rng.uniform(2, 14) if terrain.half_width < 9 else rng.uniform(8, 30)
    for _ in range(count):
        x, side = float(rng.uniform(-70, 70)), rng.choice([-1, 1])
        place = terrain.aside(x, -side * rng.choice(lanes))
        turn = terrain.direction(x) + (0 if side > 0 else np.pi) + rng.normal(0, 0.02)
        made, length = draw_vehicle(rng, large=0.25)
        if site.claim(place, turn, length, 2.2, on_road=True):
            standing = rng.random() < 0.3
            site.put_vehicle(made, place, turn, None if standing else fast * rng.uniform(0.5, 1.2))
    for _ in range(int(rng.integers(0, 5)) if terrain.half_width < 9 else 0):
        x, side = float(rng.normal(0, 25)), rng.choice([-1, 1])
        away = max(0.4, terrain.half_width - rng.uniform(0.5, 2.5))
        place = terrain.aside(x, -side * away)
        turn = terrain.direction(x) + (0 if side > 0 else np.pi)
        if site.claim(place, turn, 1.8, 0.6, on_road=True):
            site.put_vehicle(rider(rng), place, turn, rng.uniform(2, 8))


def draw_vehicle(rng: np.random.Generator, large: float = 0.06) -> tuple[Solid, float]:
    """A random vehicle with four or more wheels and about its length in metres.

    Args:
        rng: for all.
        large: probability of a truck or bus.
    """
    made = cars.car(rng)
    if rng.random() < large:
        made = trucks.truck(rng) if rng.random() < 0.7 else trucks.bus(rng)
    return made, float(np.ptp(made.corners[..., 0]))


def _park(site: Site, rng, place: Place, turn: float, large: bool = False) -> None:
    made, length = draw_vehicle(rng, 0.4 if large else 0.04)
    turn += rng.normal(0, 0.03)
    if site.claim(place, turn, length, 1.9, on_road=True):
        site.put_vehicle(made, place, turn)


def _bicycle(rng: np.random.Generator) -> Solid:
    model = drawn_model(rng, "bicycle")
    if model is not None:
        return model
    return two_wheelers.leaning(two_wheelers.two_wheeler(rng), rng)


def _motorcycle(rng: np.random.Generator) -> Solid:
    model = drawn_model(rng, "motorcycle")
    if model is not None:
        return model
    return two_wheelers.leaning(two_wheelers.two_wheeler(rng, motor=True), rng)
