# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The vote over grid phases, point by point."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from concerto_ros.learning.data.batch import make_batch
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.learning.evaluation.grid_voting import grid_phases, vote_over_grids
from concerto_ros.segmentation.convention import convention_for

INDOOR = convention_for("indoor", rotary=False)
SIZE = 0.1


def scan(count=300):
    points = np.random.default_rng(0).uniform(0, 1, (count, 3)).astype(np.float32)
    return Scan("s", points, np.zeros(count, np.uint8))


def by_height(batch):
    """Two classes by the height of the voxel's mean point."""
    return torch.stack([batch.coord[:, 2] * 10, 5 - batch.coord[:, 2]], dim=1)


def test_phases_begin_with_none_and_fill_the_voxel_evenly():
    phases = grid_phases(8)
    assert phases.shape == (8, 3) and (phases[0] == 0).all()
    assert (phases >= 0).all() and (phases < 1).all()
    assert (np.diff(np.sort(phases, axis=0), axis=0) > 0.03).all()
    assert grid_phases(2)[1].tolist() == [1 / 2, 1 / 3, 1 / 5]
    np.testing.assert_allclose(grid_phases(512).mean(axis=0), 0.5, atol=0.01)
    with pytest.raises(ValueError, match="phases is 0"):
        grid_phases(0)


def test_one_phase_is_the_plain_evaluation_with_the_inverse_map():
    given = scan()
    batch = make_batch([given], INDOOR, SIZE)
    expected = by_height(batch).softmax(dim=1).numpy()[batch.inverse[0]]
    result = vote_over_grids(by_height, given, INDOOR, SIZE)
    assert result.shape == (300, 2) and result.dtype == np.float32
    np.testing.assert_array_equal(result, expected)


def test_more_phases_average_probabilities_of_every_point():
    given, seen = scan(), []

    def model(batch):
        seen.append(batch)
        return by_height(batch)

    result = vote_over_grids(model, given, INDOOR, SIZE, phases=4)
    assert len(seen) == 4
    assert len({len(batch) for batch in seen}) > 1  # the grid did move
    expected = np.mean(
        [by_height(b).double().softmax(dim=1).numpy()[b.inverse[0]] for b in seen], axis=0
    )
    np.testing.assert_allclose(result, expected, atol=1e-6)
    np.testing.assert_allclose(result.sum(axis=1), 1, atol=1e-5)


def test_a_vote_follows_edges_finer_than_the_voxels():
    # A model that knows the truth at voxel means: near an edge a point shares its voxel with the
    # other side; over many phases most of its voxels are on its own side.
    given = scan(3000)
    truth = given.points[:, 2] > 0.55

    def model(batch):
        above = (batch.coord[:, 2] + float(given.points[:, 2].min()) > 0.55).float()
        return torch.stack([1 - above, above], dim=1) * 10

    def wrong(phases):
        return np.mean(vote_over_grids(model, given, INDOOR, SIZE, phases).argmax(axis=1) != truth)

    assert 0 < wrong(16) < 0.8 * wrong(1)


def test_one_point_is_enough():
    assert vote_over_grids(by_height, scan(1), INDOOR, SIZE, phases=3).shape == (1, 2)
