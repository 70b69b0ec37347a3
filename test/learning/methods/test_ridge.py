# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Ridge regression from streamed sums: the least-squares solution, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from concerto_ros.learning.methods.ridge import RidgeSums

STRENGTH = 0.01


def pyramid(seed, sizes=(300, 80, 12), widths=(4, 6, 5)):
    """Random features of three levels, far from zero, and the rows that join the levels."""
    random = torch.Generator().manual_seed(seed)
    feats = [
        torch.randn(size, width, generator=random) * (level + 1) + 3 * level
        for level, (size, width) in enumerate(zip(sizes, widths, strict=True))
    ]
    clusters = [
        torch.randint(0, coarser, (size,), generator=random)
        for size, coarser in zip(sizes, sizes[1:], strict=False)
    ]
    return feats, clusters


def joined(feats, clusters):
    """(V, C): the features of the finest level with those of their coarser voxels beside them."""
    rows, parts = torch.arange(len(feats[0])), [feats[0]]
    for cluster, feat in zip(clusters, feats[1:], strict=True):
        rows = cluster[rows]
        parts.append(feat[rows])
    return torch.cat(parts, dim=1)


def least_squares(x, y, strength):
    """The reference: rows of the penalty below the centred features, by float64 lstsq."""
    x, y = x.double().numpy(), y.double().numpy()
    centred = x - x.mean(0)
    penalty = np.sqrt(strength * np.square(centred).sum(0).mean())
    a = np.vstack([centred, penalty * np.eye(x.shape[1])])
    b = np.vstack([y - y.mean(0), np.zeros((x.shape[1], y.shape[1]))])
    weight = np.linalg.lstsq(a, b, rcond=None)[0].T
    return weight, y.mean(0) - weight @ x.mean(0)


@pytest.mark.parametrize("strength", [0, STRENGTH, 10])
def test_sums_of_several_pyramids_give_the_least_squares_solution_of_their_joined_features(
    strength,
):
    sums, xs, ys = RidgeSums(15, 7), [], []
    for seed in range(3):
        feats, clusters = pyramid(seed)
        random = torch.Generator().manual_seed(seed + 10)
        rows = torch.randperm(len(feats[0]), generator=random)[:200]
        target = torch.randn(200, 7, generator=random) + 1
        sums.add_levels(feats, clusters, target, rows)
        xs.append(joined(feats, clusters)[rows])
        ys.append(target)
    weight, bias = sums.solve(strength)
    expected = least_squares(torch.cat(xs), torch.cat(ys), strength)
    assert sums.count == 600
    np.testing.assert_allclose(weight.numpy(), expected[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(bias.numpy(), expected[1], rtol=1e-5, atol=1e-6)


def test_rows_of_joined_features_give_the_same_and_repeated_rows_count_twice():
    feats, clusters = pyramid(0)
    x = joined(feats, clusters)
    y = torch.randn(len(x), 2, generator=torch.Generator().manual_seed(1))
    twice, by_level = RidgeSums(15, 2), RidgeSums(15, 2)
    for _ in range(2):
        twice.add(x, y)
    rows = torch.arange(len(x)).repeat(2)
    by_level.add_levels(feats, clusters, y.repeat(2, 1), rows)
    for one, other in zip(twice.solve(STRENGTH), by_level.solve(STRENGTH), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-7)


def test_it_continues_from_saved_sums():
    (feats, clusters), (more, more_clusters) = pyramid(0), pyramid(1)
    target = torch.randn(300, 2, generator=torch.Generator().manual_seed(1))
    rows = torch.arange(300)
    whole, first, second = (RidgeSums(15, 2) for _ in range(3))
    whole.add_levels(feats, clusters, target, rows)
    whole.add_levels(more, more_clusters, target, rows)
    first.add_levels(feats, clusters, target, rows)
    second.restore(first.state())
    second.add_levels(more, more_clusters, target, rows)
    assert torch.equal(whole.solve(STRENGTH)[0], second.solve(STRENGTH)[0])
    with pytest.raises(ValueError, match=r"target has shape \(3,\), expected \(2,\)"):
        RidgeSums(15, 2).restore(RidgeSums(15, 3).state())


def test_what_it_cannot_learn_from_is_refused_by_name_and_adds_nothing():
    sums = RidgeSums(3, 2)
    with pytest.raises(ValueError, match="no row to learn from"):
        sums.solve()
    with pytest.raises(ValueError, match="feats: got 4 channels, expected 3"):
        sums.add(torch.ones(5, 4), torch.ones(5, 2))
    with pytest.raises(ValueError, match=r"target: got shape \(5, 3\), expected \(5, 2\)"):
        sums.add(torch.ones(5, 3), torch.ones(5, 3))
    with pytest.raises(ValueError, match="target: got values that are not finite"):
        sums.add(torch.ones(5, 3), torch.full((5, 2), torch.nan))
    assert sums.count == 0
    sums.add(torch.ones(5, 3), torch.ones(5, 2))
    with pytest.raises(ValueError, match="3 features of 5 rows depend on each other"):
        sums.solve(0)
    with pytest.raises(ValueError, match="strength is -1"):
        sums.solve(-1)
