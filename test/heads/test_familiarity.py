# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The distance of features from those of training."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import mahalanobis

from concerto_ros.heads.familiarity import Familiarity


def features(size=2000, channels=6, seed=0):
    random = torch.Generator().manual_seed(seed)
    mixing = torch.randn(channels, channels, generator=random)
    return torch.randn(size, channels, generator=random) @ mixing + 5


def test_it_is_the_mahalanobis_distance_per_channel():
    known = features()
    fitted = Familiarity.of(known)
    inverse = np.linalg.inv(np.cov(known.double().numpy().T, bias=True))
    mean = known.double().mean(0).numpy()
    rows = features(20, seed=1)
    wanted = [mahalanobis(row, mean, inverse) / np.sqrt(6) for row in rows.double().numpy()]
    np.testing.assert_allclose(fitted.distance(rows).numpy(), wanted, rtol=0.05)
    assert float(fitted.distance(known).square().mean()) == pytest.approx(1, abs=0.05)


def test_half_precision_in_a_file_changes_next_to_nothing():
    fitted, rows = Familiarity.of(features()), features(20, seed=1)
    exact = fitted.distance(rows)
    torch.testing.assert_close(fitted.half().float().distance(rows), exact, rtol=0.01, atol=0)


def test_features_that_are_not_finite_have_no_distance():
    rows = features(3)
    rows[1, 2] = float("inf")
    distance = Familiarity.of(features()).distance(rows)
    assert distance.isnan().tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (torch.zeros(1, 3), "got 1 rows, expected at least two"),
        (torch.tensor([[1.0, float("nan")], [0.0, 0.0]]), "all finite"),
        (torch.ones(5, 3), "all rows are the same"),
    ],
)
def test_features_that_say_nothing_are_refused(rows, words):
    with pytest.raises(ValueError, match=words):
        Familiarity.of(rows)
