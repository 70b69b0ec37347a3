# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Features of fewer channels: the strongest directions of a model, found once and kept."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from concerto_ros.heads.projection import MOST_COMPONENTS, FeatureProjection
from concerto_ros.heads.similarity import FeatureAnswers, FeatureQuery, components
from concerto_ros.ptv3 import load_encoder


def some_features(rows=500, channels=12, seed=0):
    """Features that vary along few directions, and little along all others."""
    generator = torch.Generator().manual_seed(seed)
    strong = torch.randn(rows, 3, generator=generator) @ torch.randn(
        3, channels, generator=generator
    )
    return strong + 0.05 * torch.randn(rows, channels, generator=generator) + 1.0


@pytest.fixture(scope="module")
def pyramid():
    encoder = load_encoder("demo")
    random = np.random.default_rng(0)
    grid = torch.from_numpy(np.unique(random.integers(0, 12, (300, 3)), axis=0))
    feat = torch.from_numpy(random.random((len(grid), encoder.config.in_channels))).float()
    with torch.inference_mode():
        return encoder(feat, grid, 0.04 * grid.float(), torch.tensor([len(grid)]))


def test_components_are_those_of_the_wide_matrix(pyramid):
    wide = pyramid.upcast(None)
    assert torch.equal(components(pyramid, None), wide)
    axes = torch.linalg.qr(torch.randn(wide.shape[1], 7)).Q
    ours = components(pyramid, axes).double()
    expected = wide.double() @ axes.double()
    assert (ours - expected).abs().max() < 1e-4 * expected.abs().max()


def test_every_point_is_answered_only_where_it_is_asked(pyramid):
    axes = torch.eye(pyramid.upcast(None).shape[1])[:, :5]
    answers = FeatureAnswers(FeatureQuery(every=True, axes=axes))
    values = answers.of(pyramid, None)
    assert answers.named("components", values).shape == (len(pyramid.feats[0]), 5)
    assert FeatureAnswers(None).named("components", FeatureAnswers(None).of(pyramid, None)) is None


def test_directions_are_those_of_the_largest_second_moment():
    features = some_features()
    axes = FeatureProjection.fit(features).axes.double()
    unit = torch.nn.functional.normalize(features.double(), dim=1)
    values, directions = torch.linalg.eigh(unit.T @ unit)
    kept = (unit @ axes[:, :4]).square().sum()
    assert kept == pytest.approx(float(values[-4:].sum()), rel=1e-6)
    assert torch.allclose(axes.T @ axes, torch.eye(axes.shape[1], dtype=torch.float64), atol=1e-5)
    assert directions.shape == axes.shape
    assert (axes.gather(0, axes.abs().argmax(0, keepdim=True)) > 0).all()


def test_few_directions_keep_the_angles_between_features():
    features = some_features()
    axes = FeatureProjection.fit(some_features(seed=0)).first(4).axes
    few = torch.nn.functional.cosine_similarity(features @ axes, features[:1] @ axes)
    full = torch.nn.functional.cosine_similarity(features, features[:1])
    assert (few - full).abs().max() < 0.02


def test_rows_that_are_not_finite_or_zero_are_left_out():
    features = some_features()
    odd = torch.cat([features, torch.full((2, 12), torch.nan), torch.zeros(3, 12)])
    assert torch.equal(FeatureProjection.fit(odd).axes, FeatureProjection.fit(features).axes)
    with pytest.raises(ValueError, match="no finite row"):
        FeatureProjection.fit(torch.zeros(4, 12))


@pytest.mark.parametrize("count", [0, 13, MOST_COMPONENTS + 1])
def test_a_number_of_components_that_a_model_has_not_is_refused(count):
    with pytest.raises(ValueError, match=f"components: got {count}, expected 1 to 12"):
        FeatureProjection.fit(some_features()).first(count)


def test_a_projection_is_fitted_once_and_then_read(tmp_path):
    path, fitted = tmp_path / "projections" / "a.safetensors", []

    def fit():
        fitted.append(True)
        return FeatureProjection.fit(some_features(seed=len(fitted)))

    first = FeatureProjection.stored(path, fit)
    assert torch.equal(FeatureProjection.stored(path, fit).axes, first.axes)
    assert len(fitted) == 1
    path.write_bytes(b"damaged")
    FeatureProjection.stored(path, fit)
    assert len(fitted) == 2
    FeatureProjection.stored(None, fit)
    assert len(fitted) == 3


def test_a_projection_that_cannot_be_kept_is_used_all_the_same(tmp_path, caplog):
    (tmp_path / "file").touch()
    features = some_features()
    made = FeatureProjection.stored(
        tmp_path / "file" / "a.safetensors", lambda: FeatureProjection.fit(features)
    )
    assert made.axes.shape == (12, 12) and "is not kept" in caplog.text
