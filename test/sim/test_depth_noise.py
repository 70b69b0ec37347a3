# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What time-of-flight and stereo cameras get wrong."""

from __future__ import annotations

import numpy as np
import pytest

from concerto_ros.sim import StereoNoise, TimeOfFlightNoise

FOCAL = 300.0


def measured(noise, depth, seed=0):
    depth = np.float32(depth)
    return noise.measure(depth, np.ones_like(depth), FOCAL, np.random.default_rng(seed))


def wall(metres):
    return np.full((120, 160), metres)


def step():
    """A surface at 1 m left of one at 2 m."""
    depth = wall(2.0)
    depth[:, :80] = 1.0
    return depth


@pytest.mark.parametrize("noise", [TimeOfFlightNoise(), StereoNoise(baseline=0.0001)])
def test_noise_grows_with_range_and_is_repeatable(noise):
    spreads = [np.std(measured(noise, wall(z))[0]) for z in (1.0, 2.0, 4.0)]
    assert 0.001 < spreads[0] < spreads[1] < spreads[2] < 0.1
    assert np.array_equal(measured(noise, wall(2.0))[0], measured(noise, wall(2.0))[0])
    assert not measured(noise, wall(0.1))[0].any()


def test_the_noise_of_stereo_is_alike_in_a_block_of_pixels_and_that_of_time_of_flight_is_not():
    def likeness(noise):
        error = measured(noise, wall(2.0))[0] - 2.0
        return np.corrcoef(error[:, :-1].ravel(), error[:, 1:].ravel())[0, 1]

    assert likeness(StereoNoise(baseline=0.0001)) > 0.5
    assert abs(likeness(TimeOfFlightNoise())) < 0.1


def test_time_of_flight_has_flying_pixels_without_a_surface():
    depth, source = measured(TimeOfFlightNoise(sigma=0.0, multipath=0.0, edge=1.0), step())
    flying = (depth > 1.2) & (depth < 1.8)
    assert flying.sum() > 30 and (source[flying] == -1).all()
    columns = np.nonzero(flying)[1]
    assert columns.min() >= 78 and columns.max() <= 81


def test_time_of_flight_pushes_corners_away():
    across = np.abs(np.arange(160) - 80) / 160  # the farthest column is a corner of two walls
    corner = np.tile(2.0 - across, (120, 1))
    bent = measured(TimeOfFlightNoise(sigma=0.0, multipath=1.0, edge=0.0), corner)[0] - corner
    assert 0.005 < bent[:, 78:83].mean() < 0.1
    assert np.abs(bent[:, 20:30]).max() < 0.002
    straight = measured(TimeOfFlightNoise(sigma=0.0, edge=0.0), wall(2.0))[0]
    assert np.allclose(straight, 2.0, atol=1e-3)


def test_near_surfaces_spread_over_their_edges_in_stereo():
    depth, source = measured(StereoNoise(sigma=0.0, baseline=0.0001, block=6), step())
    beyond = depth[:, 80:90]
    assert (np.abs(beyond[:, 0] - 1.0) < 0.05).all() and np.allclose(beyond[:, -1], 2.0)
    assert (source[:, 80] % 160 < 80).all()  # of the near surface
    ramp = (depth > 1.3) & (depth < 1.8)
    assert ramp.any() and (source[ramp] == -1).all()


def test_stereo_does_not_measure_what_one_camera_alone_sees():
    lost = measured(StereoNoise(baseline=0.1), step()[:, ::-1])[0] == 0
    # 0.1 m x 300 pixels x (1 / 1 m - 1 / 2 m) = 15 columns beside the near surface
    assert 12 <= lost.sum(1).mean() <= 18
