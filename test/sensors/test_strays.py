# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Strays are told from clouds of every shape, and georeferenced clouds are moved."""

from __future__ import annotations

import numpy as np
import pytest

from concerto_ros.sensors.strays import local_offset, near_others

rng = np.random.default_rng(0)
CLOUDS = {
    "room": rng.uniform(0, 4, (3000, 3)),
    "laser": rng.normal(size=(5000, 3)) * [20, 20, 1] * rng.exponential(1, (5000, 1)),
    "wall": rng.uniform(0, 4, (500, 3)) * [1, 0, 1],
    "line": rng.uniform(0, 4, (50, 3)) * [1, 0, 0],
    "two rooms": np.vstack([rng.uniform(0, 4, (500, 3)), rng.uniform(50, 54, (500, 3))]),
    "few": np.array([[0, 0, 0], [0, 0, 1], [900, 0, 0]]),
    "one place": np.zeros((100, 3)),
}


@pytest.mark.parametrize("name", CLOUDS)
def test_a_cloud_has_no_strays(name):
    assert near_others(CLOUDS[name]).mean() > 0.998 and near_others(CLOUDS[name])[:3].all()


@pytest.mark.parametrize("name", ["room", "wall", "line", "two rooms"])
@pytest.mark.parametrize("stray", [[0, 0, -5000], [-60_000, 0, 0], [1e8, 1e8, 0], [0, 300, 0]])
def test_a_single_stray_is_one(name, stray):
    near = near_others(np.vstack([CLOUDS[name], [stray]]))
    assert near[:-1].all() and not near[-1]


def test_a_cloud_that_would_be_strays_alone_is_refused_with_its_size():
    with pytest.raises(ValueError, match=r"got 3000 points over 3.999e\+06 m, none within 8000 m"):
        near_others(CLOUDS["room"] * 1e6)


def test_many_missing_returns_of_a_georeferenced_cloud_are_strays():
    points = np.vstack([CLOUDS["room"] + [500_000, 4_600_000, 300], np.zeros((900, 3))])
    near = near_others(points)
    assert near[:3000].all() and not near[3000:].any()
    np.testing.assert_allclose(local_offset(points), [500_002, 4_600_002, 300], atol=1)


def test_a_cloud_near_the_origin_stays_where_it_is():
    points = np.vstack([CLOUDS["laser"], [[-60_000, 0, 0], [1e9, 0, 0]]])
    np.testing.assert_array_equal(local_offset(points), np.zeros(3))
