# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What stands where along a street: lots with buildings first, then all that is smaller."""

from __future__ import annotations

import numpy as np

from concerto_ros.sim.streets.interior import add_hall
from concerto_ros.sim.streets.kinds import Kind
from concerto_ros.sim.streets.lots import REACH, add_lots, free_runs
from concerto_ros.sim.streets.pieces import clutter, fences, plants, poles
from concerto_ros.sim.streets.pieces.people import person
from concerto_ros.sim.streets.site import Site
from concerto_ros.sim.streets.terrain import Terrain
from concerto_ros.sim.streets.traffic import add_parked, add_traffic


def draw_terrain(rng: np.random.Generator, kind: Kind) -> Terrain:
    """The ground of a street of this kind."""
    half_width = rng.uniform(*kind.half_width)
    crosses = []
    if rng.random() < kind.crossing:
        place = rng.uniform(10, 60) * rng.choice([-1, 1])
        crosses.append((place, rng.uniform(0.6, 1.0) * half_width))
    return Terrain(
        rng,
        half_width=half_width,
        kerb=rng.uniform(*kind.kerb),
        pavement=max(0.0, rng.uniform(*kind.pavement)),
        slope=kind.slope * rng.random() ** 2 * (1 if rng.random() < 0.8 else 0),
        hills=kind.hills * rng.random(),
        bend=kind.bend * rng.random() * rng.choice([-1, 1]),
        crosses=tuple(crosses),
        covers=tuple(str(rng.choice(names)) for names in kind.covers),  # type: ignore[arg-type]
        bank=rng.uniform(*kind.bank),
        ditch=rng.uniform(0.2, 0.7) if rng.random() < kind.ditch else 0.0,
    )


def furnish(site: Site, rng: np.random.Generator, name: str, kind: Kind) -> None:
    """Place everything on the ground of a street."""
    if name == "hall":
        add_hall(site, rng)
    for side in (-1, 1):
        add_lots(site, rng, kind, side)
    if name == "motorway":
        _add_motorway(site, rng)
    if name == "market":
        _scatter(site, rng, clutter.stall, int(rng.integers(6, 25)), 3.2, reach=20, on_road=True)
    if name in ("industrial", "yard") and rng.random() < 0.7:
        _scatter(site, rng, clutter.container, int(rng.integers(2, 14)), 4.0, reach=45)
    _add_rails(site, rng, kind)
    add_parked(site, rng, name, kind)
    _add_poles(site, rng, kind)
    _add_plants(site, rng, kind)
    count = int(rng.integers(*kind.things))
    _scatter(site, rng, clutter.thing, count, 1.4, reach=40, on_road=name == "hall")
    _add_people(site, rng, kind)
    add_traffic(site, rng, kind)


def _add_rails(site: Site, rng: np.random.Generator, kind: Kind) -> None:
    """A guard rail or railing along some of the road, as above slopes and at crossings."""
    terrain = site.terrain
    style = (
        "rail" if kind.buildings in ("scattered", "none") else str(rng.choice(["bars", "rail"]))
    )
    for side in (-1, 1):
        if rng.random() < kind.rails:
            start = rng.uniform(-80, 20)
            x = np.arange(start, start + rng.uniform(15, 70), 1.5)
            line = np.array([terrain.aside(at, side * (terrain.half_width + 0.35)) for at in x])
            for path in free_runs(site, line):
                site.solids.append(fences.fence(rng, site.on_ground(path), style))


def _add_motorway(site: Site, rng: np.random.Generator) -> None:
    """Rails beside and between the carriageways, perhaps a gantry, a bridge, a noise barrier."""
    terrain = site.terrain
    x = np.arange(-REACH, REACH, 3.0)
    kinds = {0.0: "barrier" if rng.random() < 0.4 else "rail"}
    for side in (-1, 1):
        if rng.random() < 0.6:
            kinds[side * (terrain.half_width + 0.4)] = "rail"
        if rng.random() < 0.25:
            kinds[side * (terrain.half_width + 4)] = "boards"
    for offset, kind in kinds.items():
        path = np.array([terrain.aside(at, offset) for at in x])
        tall = np.diag([1, 1, rng.uniform(1.4, 2.0)]) if kind == "boards" else np.eye(3)
        ground = site.on_ground(path)
        if kind == "boards":
            level = ground * [1, 1, 0]
            made = fences.fence(rng, level, kind).turned(tall)
            height = terrain.height(made.corners[..., 0], made.corners[..., 1])
            made.corners[..., 2] += height.astype(np.float32)
        else:
            made = fences.fence(rng, ground, kind)
        site.solids.append(made)
        for at, place in zip(x, path, strict=True):
            site.claim(place, terrain.direction(at), 3.0, 0.3, on_road=True)
    wide = 2 * terrain.half_width + 2
    if rng.random() < 0.4:
        at = rng.uniform(-50, 50)
        site.put(poles.gantry(rng, wide), terrain.aside(at, 0), terrain.direction(at))
    if rng.random() < 0.3:
        at = rng.uniform(-60, 60)
        made = clutter.bridge(rng, wide + 30, rng.uniform(6, 14))
        site.put(made, terrain.aside(at, 0), terrain.direction(at))


def _add_poles(site: Site, rng: np.random.Generator, kind: Kind) -> None:
    terrain = site.terrain
    edge = terrain.half_width + 0.5
    if kind.poles:
        spacing = kind.poles * rng.uniform(0.7, 1.4)
        for side in (-1, 1) if rng.random() < 0.5 else (rng.choice([-1, 1]),):
            style = int(rng.integers(1 << 32))  # the lamps of a street are alike
            for x in np.arange(-REACH + rng.uniform(0, spacing), REACH, spacing):
                place = terrain.aside(x, side * edge)
                if site.claim(place, 0, 0.3, 0.3):
                    turn = terrain.direction(x) + (np.pi if side > 0 else 0)
                    site.put(poles.lamp(np.random.default_rng(style)), place, turn)
    for make, count, away in (
        (poles.sign, int(rng.integers(2, 14)), 0.6),
        (poles.bollard, int(rng.integers(0, 14)), 0.4),
        (poles.traffic_light, int(rng.integers(0, 5)), 0.5),
        (poles.large_sign, int(rng.integers(0, 3)), 2.5),
        (clutter.shelter, int(rng.integers(0, 2)), 1.2),
    ):
        for _ in range(count):
            x, side = rng.uniform(-60, 60), rng.choice([-1, 1])
            if make is poles.traffic_light and terrain.crosses:
                x = terrain.crosses[0][0] + rng.choice([-1, 1]) * (terrain.crosses[0][1] + 1)
            place = terrain.aside(x, side * (terrain.half_width + away * rng.uniform(0.7, 2.0)))
            if site.claim(place, 0, 0.4, 0.4):
                turn = terrain.direction(x) + (np.pi if side > 0 else 0) + rng.normal(0, 0.1)
                site.put(make(rng), place, turn)
    if rng.random() < (0.5 if kind.buildings in ("scattered", "detached") else 0.1):
        x = np.arange(-REACH, REACH, rng.uniform(28, 45))
        aside = rng.choice([-1, 1]) * (terrain.half_width + terrain.pavement + rng.uniform(0.6, 6))
        feet = site.on_ground(np.array([terrain.aside(at, aside) for at in x]))
        tops = feet + [0, 0, rng.uniform(6, 9)]
        site.solids.append(poles.power_line(rng, tops, feet - [0, 0, 0.5]))


def _add_plants(site: Site, rng: np.random.Generator, kind: Kind) -> None:
    terrain = site.terrain
    edge = terrain.half_width + terrain.pavement
    templates = [plants.tree(rng) for _ in range(6)]

    def plant(place: tuple[float, float], room: float) -> None:
        if site.claim(place, 0, room, room):
            scale = np.diag(rng.uniform(0.7, 1.25, 3))
            chosen = templates[rng.integers(len(templates))]
            site.put(chosen.turned(scale), place, rng.uniform(0, 2 * np.pi))

    along = 2 * REACH / 100
    for _ in range(int(rng.poisson(2 * kind.trees * along * rng.uniform(0.3, 1.6)))):
        x, side = rng.uniform(-REACH, REACH), rng.choice([-1, 1])
        plant(terrain.aside(x, side * (edge + 0.4 + 22 * rng.random() ** 1.6)), 0.9)
    if rng.random() < kind.avenue:  # a row of trees along the road
        spacing, away = rng.uniform(6, 14), edge + rng.uniform(0.5, 2.5)
        for side in (-1, 1) if rng.random() < 0.6 else (1,):
            for x in np.arange(-REACH, REACH, spacing):
                plant(terrain.aside(x, side * away), 0.9)
    for _ in range(int(rng.poisson(kind.woods))):
        middle, spread = (
            rng.uniform([-80, 8], [80, 70]) * [1, rng.choice([-1, 1])],
            rng.uniform(6, 22),
        )
        for spot in middle + rng.normal(0, 1, (int(2.2 * spread), 2)) * spread:
            if np.abs(spot).max() < 100:
                plant(terrain.aside(*spot), 1.6)
    makers = (plants.bush, plants.bush, plants.bush, plants.bush, plants.log_pile)
    bushes = [
        makers[rng.integers(5 if kind.buildings == "scattered" else 4)](rng) for _ in range(6)
    ]
    for _ in range(int(rng.poisson(2 * kind.bushes * along * rng.uniform(0.4, 2.0)))):
        x = rng.uniform(-REACH, REACH)
        place = terrain.aside(x, rng.choice([-1, 1]) * (edge + 0.6 + 22 * rng.random() ** 1.5))
        if site.claim(place, 0, 1.0, 1.0):
            chosen = bushes[rng.integers(len(bushes))]
            scale = np.diag(rng.uniform(0.7, 1.3, 3))
            site.put(chosen.turned(scale), place, rng.uniform(0, 2 * np.pi))
    tufts = int(1000 * rng.uniform(*kind.meadow))
    if tufts:
        patches = rng.uniform(-1, 1, (max(1, tufts // 250), 2)) * [60, 40]
        width = rng.uniform(0.8, 4.0, len(patches))
        which = rng.integers(0, len(patches), 3 * tufts)
        spots = patches[which] + rng.normal(0, 1, (3 * tufts, 2)) * width[which, None]
        spots = spots[terrain.zones(spots[:, 0], spots[:, 1]) == 2]
        height = rng.uniform(0.25, 1.1)
        if len(spots):
            site.solids.append(plants.tall_grass(rng, site.on_ground(spots), height))


def _add_people(site: Site, rng: np.random.Generator, kind: Kind) -> None:
    """People on pavements and lawns, alone and in groups; some walk."""
    terrain = site.terrain
    count = int(rng.integers(kind.people[0], kind.people[1] + 1))
    while count > 0:
        size = min(count, int(rng.choice([1, 1, 1, 2, 2, 3, 5])))
        count -= size
        away = rng.uniform(-1, 1) * (terrain.half_width + terrain.pavement + 4)
        x = float(rng.normal(0, 22))
        middle = terrain.aside(x, away)
        turn = terrain.direction(x) + rng.choice([0, np.pi]) + rng.normal(0, 0.3)
        moving = rng.random() < 0.5
        for _ in range(size):
            spot = np.array(middle) + rng.normal(0, 0.7, 2) * (size > 1)
            if not site.claim(spot, 0, 0.6, 0.6, on_road=True):
                continue
            if moving:
                speed = rng.uniform(0.6, 1.8)
                site.put_vehicle(person(rng, "walk"), spot, turn, speed)
            else:
                pose = "sit" if rng.random() < 0.12 else "stand"
                facing = rng.uniform(0, 2 * np.pi)
                site.put(person(rng, pose), spot, facing)
                if pose == "sit":
                    site.put(clutter.bench(rng), spot, facing + np.pi / 2)


def _scatter(
    site: Site, rng, make, count: int, size: float, *, reach: float, on_road=False
) -> None:
    """Place things at random beside the road, often side by side."""
    terrain = site.terrain
    edge = 0.0 if on_road else terrain.half_width + 0.4
    x, away = 0.0, 0.0
    for number in range(count):
        if number % 3 == 0 or rng.random() < 0.5:
            x = float(np.clip(rng.normal(0, reach), -80, 80))
            away = rng.choice([-1, 1]) * (edge + 12 * rng.random() ** 1.6)
        else:
            x += size
        place = terrain.aside(x, away)
        turn = terrain.direction(x) + rng.choice([0, np.pi / 2, np.pi]) + rng.normal(0, 0.15)
        if site.claim(place, turn, size, size, on_road=on_road):
            site.put(make(rng), place, turn)
