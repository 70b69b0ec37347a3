# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Simulated streets: repeatable, of many kinds, and seen by LiDARs as real ones are."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from concerto_ros.sim.streets import CLASSES, KINDS, Street
from concerto_ros.sim.streets.lidar import SPINNING, draw_forward, draw_spinning, sweep
from concerto_ros.sim.streets.pieces.cars import car
from concerto_ros.sim.streets.pieces.people import person, rider
from concerto_ros.sim.streets.pieces.trucks import bus, truck
from concerto_ros.sim.streets.pieces.two_wheelers import two_wheeler

DOWN = np.array([0.0, 0.0, -1.0], np.float32)


@pytest.fixture(scope="module")
def street():
    return Street(1, "residential")


@cache
def busy_motorway() -> Street:
    """A motorway on which something moves."""
    return next(s for s in (Street(seed, "motorway") for seed in range(5)) if s.site.movers)


def above(street, x, y, height=1.8):
    pose = np.eye(4)
    pose[:3, 3] = [x, y, float(street.site.terrain.height(x, y)) + height]
    return pose


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "hall"])
def test_every_kind_of_street_can_be_made_and_has_ground_all_over(kind):
    street = Street(2, kind)
    x, y = (
        grid.ravel() for grid in np.meshgrid(np.linspace(-80, 80, 40), np.linspace(-60, 60, 40))
    )
    hits = street.cast(np.column_stack([x, y, np.full(len(x), 300.0)]), np.tile(DOWN, (len(x), 1)))
    assert (hits.label != 255).all()
    ground = hits.label == CLASSES.index("ground")
    assert ground.mean() > 0.3
    error = 300 - hits.distance[ground] - street.site.terrain.height(x, y)[ground]
    assert np.percentile(np.abs(error), 90) < 0.25


def test_a_seed_gives_the_same_street_again_and_another_seed_another(street):
    again, other = Street(1, "residential"), Street(3, "residential")
    assert np.array_equal(street.solid.corners, again.solid.corners)
    assert np.array_equal(street.solid.label, again.solid.label)
    assert street.solid.corners.shape != other.solid.corners.shape


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="kind is 'moon', expected one of residential"):
        Street(0, "moon")


def test_all_classes_stand_in_streets():
    seen = set()
    for kind in ("residential", "city", "market"):
        street = Street(4, kind)
        seen |= set(street.solid.label)
        seen |= {label for mover in street.site.movers for label in mover.solid.label}
    assert seen == set(range(len(CLASSES)))


@pytest.mark.parametrize("seed", range(4))
def test_a_hall_is_closed_and_sensors_stand_in_it(seed):
    street = Street(seed, "hall")
    rng = np.random.default_rng(seed)
    sensor = draw_spinning(rng, "os1", columns=256)
    returns = sweep(street, sensor, above(street, 0, 0, 1.0), 0.0, rng)
    assert np.median(np.linalg.norm(returns.points, axis=1)) < 25
    assert (returns.labels == CLASSES.index("building")).mean() > 0.15
    assert street.site.reach < 45
    outside = 1.2 * street.site.terrain.half_width
    assert not street.site.free((0.0, outside), 0.5)


def test_kerbs_rise_above_the_road(street):
    terrain = street.site.terrain
    assert terrain.kerb > 0.05
    edge = terrain.half_width
    inside, outside = (terrain.height(0.0, terrain.middle(0.0) + edge + s) for s in (-0.03, 0.03))
    assert outside - inside == pytest.approx(terrain.kerb, abs=0.05)


@pytest.mark.parametrize(
    ("make", "low", "high"),
    [
        (car, (3.5, 1.5, 1.2), (6.2, 2.8, 2.8)),
        (truck, (5.5, 2.0, 2.0), (24, 3.4, 4.5)),
        (bus, (8.5, 2.3, 2.6), (14.5, 3, 3.6)),
        (two_wheeler, (1.5, 0.4, 0.8), (2.3, 0.9, 1.4)),
        (person, (0.1, 0.25, 0.9), (1.4, 1.4, 2.4)),
        (rider, (1.4, 0.5, 1.2), (2.4, 1.1, 2.4)),
    ],
)
def test_things_have_their_size_and_stand_on_the_ground(make, low, high):
    for seed in range(20):
        corners = make(np.random.default_rng(seed)).corners.reshape(-1, 3)
        size = np.ptp(corners, axis=0)
        assert (size > low).all() and (size < high).all(), (seed, size)
        assert abs(corners[:, 2].min()) < 0.12


@pytest.mark.parametrize("name", SPINNING)
def test_a_sweep_sees_the_ground_at_the_height_of_the_sensor(street, name):
    rng = np.random.default_rng(5)
    sensor = draw_spinning(rng, name, columns=256)
    returns = sweep(street, sensor, above(street, 0, 0.5), 0.0, rng)
    distance = np.linalg.norm(returns.points, axis=1)
    assert distance.max() <= sensor.limit + 1 and distance.min() > 0.2
    near = (returns.labels == CLASSES.index("ground")) & (distance < 9)
    if near.any():
        assert np.median(returns.points[near, 2]) == pytest.approx(-1.8, abs=0.35)
    assert len(set(returns.labels)) >= 3


def test_grass_and_trees_are_porous():
    street = Street(6, "park")
    leaf = np.flatnonzero(street.solid.label == CLASSES.index("vegetation"))
    assert len(leaf) > 20_000
    rng = np.random.default_rng(0)
    sensor = draw_spinning(rng, "os1", columns=1024)
    labels = sweep(street, sensor, above(street, 0, 0), 0.0, rng).labels
    assert (labels == CLASSES.index("vegetation")).mean() > 0.01


def test_panes_and_meshes_let_beams_through():
    optics = Street(1, "city").solid.optics
    assert ((optics[:, 1] > 0.2) & (optics[:, 1] < 0.95)).any()
    assert (optics[:, 1] == 0).mean() > 0.5


def test_what_moves_is_elsewhere_later():
    street = busy_motorway()
    mover = max(street.site.movers, key=lambda m: np.abs(m.velocity).max())
    top = mover.solid.corners.reshape(-1, 3).mean(0)
    ray = (top + [0, 0, 50]).astype(np.float32)
    now, later = (street.cast(ray, DOWN[None], seconds) for seconds in (0.0, 3.0))
    assert now.label[0] == CLASSES.index("vehicle")
    assert later.label[0] == CLASSES.index("ground") or later.distance[0] != now.distance[0]


def test_nothing_that_moves_runs_into_a_vehicle_on_its_way():
    street = busy_motorway()
    mover = street.movers[0]
    seconds = np.array([0.0, 1.0])
    middle = mover.solid.corners.reshape(-1, 3).mean(0)
    met = street.clear_of(middle + [[40, 40, 0], [0, 0, 0]] + mover.velocity, seconds)
    far = street.clear_of(np.full((2, 3), 1e4), seconds)
    assert mover not in met.movers and far.movers == street.movers
    assert mover in street.movers


@pytest.mark.parametrize("name", ["solid", "rosette", "camera"])
def test_sensors_that_look_ahead_see_only_what_is_ahead(street, name):
    rng = np.random.default_rng(7)
    sensor = draw_forward(rng, name)
    points = sweep(street, sensor, above(street, -10, 0.5), 0.0, rng).points
    assert len(points) > 500 and (points[:, 0] > 0).all()
    if name == "camera":
        assert np.linalg.norm(points, axis=1).max() < 22
