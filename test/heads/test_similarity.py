# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Features of chosen points and their likeness, against the wide matrix that is never made."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from concerto_ros.heads.similarity import (
    FeatureAnswers,
    FeatureQuery,
    cosine_similarity,
    features_at,
)
from concerto_ros.labels.heat_colors import heat_colors
from concerto_ros.ptv3 import load_encoder


@pytest.fixture(scope="module")
def pyramid():
    """What the encoder in the box makes of a random cloud of 400 voxels."""
    encoder = load_encoder("demo")
    random = np.random.default_rng(0)
    grid = torch.from_numpy(np.unique(random.integers(0, 12, (400, 3)), axis=0))
    feat = torch.from_numpy(random.random((len(grid), encoder.config.in_channels))).float()
    with torch.inference_mode():
        return encoder(feat, grid, 0.04 * grid.float(), torch.tensor([len(grid)]))


@pytest.mark.parametrize("levels", [0, 2, 4])
def test_features_of_rows_are_those_of_the_wide_matrix(pyramid, levels):
    rows = torch.tensor([5, 0, 5, 17])
    assert torch.equal(features_at(pyramid, rows, levels), pyramid.upcast(levels)[rows])


@pytest.mark.parametrize("levels", [0, 2, 4])
def test_likeness_is_the_cosine_of_features(pyramid, levels):
    wide = pyramid.upcast(levels)
    wanted = torch.nn.functional.cosine_similarity(wide, wide[7:8])
    found = cosine_similarity(pyramid, wide[7], levels)
    assert torch.allclose(found, wanted, atol=1e-5) and found[7] == pytest.approx(1)
    nothing = cosine_similarity(pyramid, torch.zeros_like(wide[7]), levels)
    assert torch.equal(nothing, torch.zeros(len(wide)))


@dataclass
class Part:
    """Some rows of a pyramid of one level."""

    feats: tuple[torch.Tensor, ...]
    clusters: tuple[torch.Tensor, ...] = ()


def test_a_cloud_in_parts_answers_as_the_whole():
    feat = torch.randn(10, 4, generator=torch.Generator().manual_seed(0))
    question = FeatureQuery(like=feat[3], rows=np.array([8, 3, 0, 3]))
    whole, parts = FeatureAnswers(question), FeatureAnswers(question)
    cosine = whole.of(Part((feat,)), None)["similarity"]
    for rows in (torch.tensor([0, 2, 3, 9]), torch.tensor([1, 4, 5, 6, 7, 8])):
        found = parts.of(Part((feat[rows],)), rows)["similarity"]
        assert torch.allclose(found, cosine[rows])
    assert torch.equal(parts.features, feat[[8, 3, 0, 3]])
    assert torch.equal(parts.features, whole.features)


def test_a_place_without_a_voxel_and_a_feature_that_is_not_finite_are_unknown():
    feat = torch.arange(12.0).reshape(6, 2)
    feat[4, 1] = torch.inf
    question = FeatureQuery(rows=np.array([-1, 2, 4, 0]))
    whole, parts, nothing = (FeatureAnswers(question) for _ in range(3))
    whole.of(Part((feat,)), None)
    for rows in (torch.tensor([0, 1, 3]), torch.tensor([2, 4, 5])):
        parts.of(Part((feat[rows],)), rows)
    for answers in (whole, parts):
        unknown = answers.features.isnan().all(dim=1)
        assert unknown.tolist() == [True, False, True, False]
        assert torch.equal(answers.features[[1, 3]], feat[[2, 0]])
    nothing = FeatureAnswers(FeatureQuery(rows=np.array([-1, -1])))
    nothing.of(Part((feat,)), None)
    assert nothing.features.shape == (2, 2) and nothing.features.isnan().all()


def test_who_asks_nothing_gets_nothing():
    answers = FeatureAnswers(None)
    assert answers.of(Part((torch.ones(2, 3),)), None) == {}
    assert answers.features is None and answers.named("similarity", {}) is None


def test_heat_grows_brighter_with_likeness_and_stays_in_range():
    colors = heat_colors(np.array([-1.0, 0.0, 0.3, 0.6, 0.9, 1.0]))
    assert colors.dtype == np.uint8 and np.array_equal(colors[0], colors[1])
    assert (np.diff(colors.astype(int).sum(axis=1))[1:] > 0).all()
