# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Levelling: a tilted scan is turned by its ground, and by nothing else."""

from __future__ import annotations

import math

import numpy as np
import pytest

from concerto_ros import SemanticPipeline
from concerto_ros.mapping.voxel_map import VoxelMap
from concerto_ros.segmentation.level import find_level
from concerto_ros.segmentation.single_cloud import SingleCloud
from concerto_ros.settings.settings import Settings
from concerto_ros.sim import Room
from concerto_ros.sim.mesh import rotation_about

VOXEL = 0.04


def sheet(low, high, count, seed=0, noise=0.004):
    """Points in a box of which one side may be flat, with a sensor's noise."""
    rng = np.random.default_rng(seed)
    return rng.uniform(low, high, (count, 3)) + rng.normal(0, noise, (count, 3))


def tilted(points, degrees, towards=0.0, centre=(0, 0, 0)):
    turn = tilt(degrees, towards)
    return np.float32((points - np.float64(centre)) @ turn.T + centre)


def tilt(degrees, towards=0.0):
    """The rotation that tilts the vertical by so many degrees; ``towards`` in radians."""
    there = rotation_about("z", towards)
    return there @ rotation_about("x", math.radians(degrees)) @ there.T


def remaining(points, turn):
    """Degrees by which a scan that was tilted by ``turn`` is off the vertical when levelled."""
    level = find_level(points, VOXEL)
    rotation = np.eye(3) if level is None else level.rotation
    return math.degrees(math.acos(min(1.0, (rotation @ turn)[2, 2])))


def whole_room(seed, kind):
    """A scan of a simulated room from three places, (N, 3) metres."""
    room, rng = Room(seed, kind), np.random.default_rng(seed)
    parts = []
    for x, y in rng.uniform(-0.3, 0.3, (3, 2)) * [room.plan.width, room.plan.depth]:
        rays = rng.normal(size=(12_000, 3))
        rays /= np.linalg.norm(rays, axis=1, keepdims=True)
        eye = np.array([x, y, 1.5])
        hits = room.cast(np.float32(eye), np.float32(rays))
        distance = hits.distance[hits.hit] + rng.normal(0, 0.008, hits.hit.sum())
        parts.append(eye + rays[hits.hit] * distance[:, None])
    return np.vstack(parts)


@pytest.mark.parametrize(("seed", "kind"), [(3, "home"), (4, "office"), (5, "bedroom")])
def test_a_tilted_room_is_turned_level_and_a_level_one_stays(seed, kind):
    room = whole_room(seed, kind)
    assert find_level(np.float32(room), VOXEL) is None
    for towards, degrees in enumerate((1.7, 4, 9, 15)):
        assert remaining(tilted(room, degrees, towards), tilt(degrees, towards)) < 0.3


def hall(ground, roof=2.8):
    """6 x 5 m of ``ground`` between four walls that stand upright."""
    walls = [
        sheet([0, 0, 0], [6, 0, roof], 6000, 1),
        sheet([0, 5, 0], [6, 5, roof], 6000, 2),
        sheet([0, 0, 0], [0, 5, roof], 5000, 3),
        sheet([6, 0, 0], [6, 5, roof], 5000, 4),
    ]
    return np.vstack([ground, *walls])


FLOOR = sheet([0, 0, 0], [6, 5, 0], 12_000)


@pytest.mark.parametrize("share", [0.01, 0.026])
def test_strays_far_below_do_not_matter(share):
    rng = np.random.default_rng(0)
    room = hall(FLOOR)
    below = room[rng.integers(0, len(room), int(share * len(room)))] - [0, 0, 10]
    assert remaining(tilted(np.vstack([room, below]), 7), tilt(7)) < 0.3


def test_a_sloped_floor_between_upright_walls_is_a_slope():
    ramp = FLOOR + FLOOR[:, :1] * [0, 0, math.tan(math.radians(8))]
    assert find_level(np.float32(hall(ramp, roof=3.5)), VOXEL) is None


def test_a_roof_is_no_ground_even_where_the_ground_is_not_seen():
    roof = sheet([0, 0, 0], [6, 5, 0], 12_000)
    roof[:, 2] += 3 + 0.2 * roof[:, 0]
    facade = sheet([0, 0, 0], [0, 5, 3], 5000, 1), sheet([6, 0, 0], [6, 5, 4.2], 5000, 2)
    assert find_level(np.float32(np.vstack([roof, *facade])), VOXEL) is None
    yard = sheet([-6, -5, 0], [12, 10, 0], 40_000, 3)
    assert find_level(np.float32(np.vstack([roof, yard])), VOXEL) is None


def stairs():
    steps = np.arange(12)
    treads = [sheet([0.28 * i, 0, 0.1 * i], [0.28 * i + 0.28, 3, 0.1 * i], 1500) for i in steps]
    risers = [sheet([0.28 * i, 0, 0.1 * i - 0.1], [0.28 * i, 3, 0.1 * i], 600) for i in steps]
    return np.vstack(treads + risers)


NO_GROUND = {
    "a table top": sheet([0, 0, 0.7], [1.6, 0.8, 0.7], 20_000),
    "a wall": sheet([0, 0, 0], [5, 0, 2.6], 20_000),
    "two walls": np.vstack([hall(FLOOR)[12_000:18_000], hall(FLOOR)[24_000:29_000]]),
    "flat stairs": stairs(),
    "a bush": np.random.default_rng(0).normal(0, 0.8, (20_000, 3)),
    "three points": np.eye(3),
    "one point": np.zeros((1, 3)),
    "a line": np.linspace([0, 0, 0], [5, 1, 0.5], 500),
}


@pytest.mark.parametrize("name", NO_GROUND)
@pytest.mark.parametrize("degrees", [0, 5, 12])
def test_what_is_no_ground_turns_nothing(name, degrees):
    assert find_level(tilted(NO_GROUND[name], degrees, 0.4), VOXEL) is None


def test_steeper_than_twenty_degrees_is_not_a_tilt():
    assert find_level(tilted(hall(FLOOR), 25), VOXEL) is None


def test_the_middle_of_the_ground_stays_in_place():
    room = tilted(hall(FLOOR), 10, 0.7, centre=[3, 2.5, 0]) + np.float32([40, -20, 3])
    level = find_level(room, VOXEL)
    middle = np.array([43, -17.5, 3])
    np.testing.assert_allclose(level.rotation @ middle + level.translation, middle, atol=0.03)
    assert math.degrees(level.tilt) == pytest.approx(10, abs=0.2)


@pytest.fixture(scope="module")
def pipeline():
    return SemanticPipeline.from_settings(Settings(precision="float32"))


def test_segment_answers_in_the_coordinates_of_the_scan_and_says_its_tilt(pipeline):
    points = tilted(hall(FLOOR), 10, 0.7, centre=[3, 2.5, 0])
    prediction = pipeline.segment(points)
    assert math.degrees(prediction.tilt) == pytest.approx(10, abs=0.2)
    np.testing.assert_array_equal(prediction.points, points)
    assert abs(prediction.floor_height) < 0.1
    names = np.array([each.name for each in prediction.classes])
    assert np.mean(names[prediction.label[:12_000]] == "floor") > 0.9


def test_segment_takes_a_scan_as_it_is_where_that_is_wanted(pipeline):
    points = tilted(hall(FLOOR), 10, 0.7)
    prediction = pipeline.segment(points, level=False)
    assert prediction.tilt == 0
    assert prediction.floor_height < -0.3  # the lowest edge of the tilted floor


def test_the_normals_and_the_sensor_turn_with_the_points():
    room, sensor = hall(FLOOR), np.array([3, 2.5, 1.5])
    normals = np.zeros_like(room)
    normals[:12_000, 2] = 1
    normals[12_000:24_000, 1] = 1
    normals[24_000:, 0] = 1
    turn = tilt(10, 0.7)

    def cloud(points, normals, origin):
        voxels = VoxelMap(0.04, window_seconds=60.0, max_voxels=len(points))
        return SingleCloud.of(points, None, normals, origin, level=True, into=voxels)

    level = cloud(room, normals, sensor)
    turned = cloud(room @ turn.T, normals @ turn.T, turn @ sensor)
    assert level.turn is None and turned.turn is not None
    for values in ("normals", "sensor_directions"):
        one, other = (getattr(each.voxels, values)[each.row] for each in (level, turned))
        # Points at a voxel's edge can be in another one; the tilt is found to 0.2 degrees.
        cosine = (one * other).sum(axis=1)
        assert np.mean(cosine > math.cos(math.radians(1.5))) > 0.95, values
