# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Simulated doors: framed, of the sizes that are sold, most of them shut."""

from __future__ import annotations

import numpy as np
import pytest

from concerto_ros.sim import CLASSES
from concerto_ros.sim.mesh import Mesh
from concerto_ros.sim.rooms.doors import door
from concerto_ros.sim.rooms.openings import Opening
from concerto_ros.sim.rooms.room_shells import draw_varied_plan

DOOR, FLOOR = CLASSES.index("door"), CLASSES.index("floor")
HOLE = Opening(0, 1.0, 1.9, 0.0, 2.05, "door")


def points_of(mesh: Mesh, label: int) -> np.ndarray:
    """Corners (n, 3) of the triangles of a class."""
    return mesh.corners[mesh.label == label].reshape(-1, 3)


@pytest.fixture(scope="module")
def doors() -> list[Mesh]:
    return [door(HOLE, np.random.default_rng(seed)) for seed in range(60)]


def test_a_seed_gives_the_same_door(doors):
    again = door(HOLE, np.random.default_rng(3))
    assert np.array_equal(doors[3].corners, again.corners)
    assert np.array_equal(doors[3].color, again.color)
    assert not all(len(other) == len(doors[0]) for other in doors)


def test_every_door_has_a_frame_that_stands_off_the_wall(doors):
    for mesh in doors:
        points = points_of(mesh, DOOR)
        beside = points[(points[:, 0] < HOLE.start - 0.02) & (points[:, 1] > 0.005)]
        above = points[(points[:, 2] > HOLE.high + 0.02) & (points[:, 1] > 0.005)]
        for board in (beside, above):
            assert 0.012 <= board[:, 1].max() <= 0.03
        assert 0.05 <= HOLE.start - beside[:, 0].min() <= 0.09
        assert 0.05 <= above[:, 2].max() - HOLE.high <= 0.09


def test_the_floor_of_a_doorway_is_floor(doors):
    for mesh in doors:
        points = points_of(mesh, FLOOR)
        assert not points[:, 2].any()
        assert points[:, 1].max() == pytest.approx(0.0, abs=1e-6)


def test_most_doors_are_shut_and_behind_the_others_is_a_corridor(doors):
    beyond = [(mesh.label == CLASSES.index("wall")).any() for mesh in doors]
    assert 0.15 < np.mean(beyond) < 0.5
    for mesh, is_open in zip(doors, beyond, strict=True):
        depth = -mesh.corners[..., 1].min()
        assert depth > 1.0 if is_open else depth < 0.25


def test_leaves_are_flush_on_one_side_and_deep_in_the_wall_on_the_other(doors):
    faces = []
    for mesh in doors:
        if not (mesh.label == CLASSES.index("wall")).any():
            middle = mesh.corners.mean(1)
            low = (np.abs(middle[:, 0] - 1.45) < 0.1) & (middle[:, 2] < 0.4) & (middle[:, 2] > 0.1)
            faces.append(middle[low, 1].max())
    faces = np.array(faces)
    flush = np.abs(faces) < 0.03
    assert 0.25 < flush.mean() < 0.75
    assert ((faces[~flush] < -0.04) & (faces[~flush] > -0.15)).all()


def test_plans_have_doors_of_real_sizes_that_no_window_imitates():
    rng = np.random.default_rng(0)
    openings = [o for _ in range(80) for o in draw_varied_plan(rng, "office").openings]
    doors = [o for o in openings if o.kind == "door"]
    assert len(doors) > 80
    assert all(0.7 <= o.end - o.start <= 1.8 and 1.95 <= o.high <= 2.15 for o in doors)
    low = [o for o in openings if o.kind == "window" and o.low < 0.3]
    assert low and all(o.end - o.start >= 1.4 for o in low)
