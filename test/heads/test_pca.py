# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""PCA colours: the principal components, and no flicker."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from training_data import INDOOR, box_scan, small_encoder

from concerto_ros.heads.pca import CONCAT_LEVELS, CoarseFeatures, PcaColors
from concerto_ros.learning.data.batch import make_batch


def scene(points=3000, channels=48, spread=(9.0, 5.0, 3.0, 1.0), seed=0):
    """(N, C) features with these standard deviations along random orthonormal directions."""
    random = np.random.default_rng(seed)
    directions = np.linalg.qr(random.normal(size=(channels, len(spread))))[0]
    feat = random.normal(size=(points, len(spread))) * spread @ directions.T
    return feat + random.normal(size=channels) * 20


def noisy(feat, amount, seed):
    noise = np.random.default_rng(seed).normal(size=feat.shape) * amount
    return torch.from_numpy((feat + noise).astype(np.float32))


def change(before, after):
    """Median over points of the largest change of a channel, of 255."""
    return np.median(np.abs(before.astype(int) - after.astype(int)).max(axis=1))


def test_channels_are_the_three_leading_components():
    feat = scene()
    rgb = PcaColors().colors(torch.from_numpy(feat))
    assert rgb.shape == (3000, 3)
    assert rgb.dtype == np.uint8
    _, vectors = np.linalg.eigh(np.cov(feat.T))
    components = (feat - feat.mean(axis=0)) @ vectors[:, ::-1][:, :3]
    for channel in range(3):
        inner = (rgb[:, channel] > 0) & (rgb[:, channel] < 255)
        assert 0.97 < inner.mean() < 1
        pair = np.corrcoef(rgb[inner, channel], components[inner, channel])
        assert abs(pair[0, 1]) > 0.999
        # The whole range of colour is used: a percent of the points lie beyond either end.
        assert np.ptp(rgb[:, channel]) == 255


def test_equal_features_give_equal_colours():
    feat = torch.from_numpy(scene())
    torch.manual_seed(1)
    first = PcaColors().colors(feat)
    torch.manual_seed(2)
    np.testing.assert_array_equal(PcaColors().colors(feat), first)


@pytest.mark.parametrize("spread", [(9, 5, 3, 1), (5, 5, 5, 5, 5, 5), (5, 5.01, 4.99, 4.98)])
def test_a_still_noisy_scene_keeps_its_colours(spread):
    # Components of equal variance turn into each other at will: plain PCA would swap colours.
    feat = scene(spread=spread)
    pca = PcaColors()
    before = pca.colors(noisy(feat, 0.01, 0))
    for call in range(1, 15):
        after = pca.colors(noisy(feat, 0.01, call))
        assert change(before, after) <= 3
        before = after


def test_signs_never_flip():
    feat = noisy(scene(), 0.0, 0)
    pca = PcaColors()
    before = pca.colors(feat)
    # A mirrored scene has the same principal directions; only a held sign tells the two apart.
    mirrored = 2 * feat.mean(dim=0) - feat
    np.testing.assert_allclose(pca.colors(mirrored).astype(int), 255 - before.astype(int), atol=9)


@pytest.mark.parametrize(("otherness", "largest_change"), [(0.0, 6), (0.3, 20)])
def test_colours_drift_gently_while_new_places_come_into_view(otherness, largest_change):
    # The new place varies in directions of its own and, with ``otherness``, has another mean.
    here, there = scene(points=2000, seed=1), scene(points=2000, seed=2)
    there += (1 - otherness) * (here.mean(axis=0) - there.mean(axis=0))
    corridor = np.concatenate([here, there])
    pca = PcaColors()
    before = pca.colors(noisy(corridor[:2000], 0, 0))
    changes = []
    for start in range(20, 2001, 20):
        after = pca.colors(noisy(corridor[start : start + 2000], 0, 0))
        changes.append(change(before[20:], after[:-20]))
        before = after
    assert np.median(changes) <= 3
    assert max(changes) <= largest_change
    for _ in range(30):
        before = pca.colors(noisy(corridor[2000:], 0, 0))
    # Arrived, the colours show the new place as well as colours made for it alone.
    assert before.std(axis=0).min() > 30
    assert_spans_the_leading_components(pca, corridor[2000:])


def assert_spans_the_leading_components(pca, feat):
    """What the colours explain of the features, linearly, is what the best three axes explain."""
    rgb = pca.colors(noisy(feat, 0, 0)).astype(np.float64)
    centred = feat - feat.mean(axis=0)
    unclipped = ((rgb > 0) & (rgb < 255)).all(axis=1)
    shades = np.column_stack([rgb[unclipped], np.ones(unclipped.sum())])
    _, residual, _, _ = np.linalg.lstsq(shades, centred[unclipped], rcond=None)
    spectrum = np.linalg.svd(centred[unclipped], compute_uv=False) ** 2
    explained = 1 - residual.sum() / spectrum.sum()
    assert explained > 0.98 * spectrum[:3].sum() / spectrum.sum()


def test_adapts_after_a_sudden_change_of_scene():
    pca = PcaColors()
    pca.colors(noisy(scene(seed=1), 0, 0))
    for _ in range(60):
        pca.colors(noisy(scene(seed=2), 0, 0))
    assert_spans_the_leading_components(pca, scene(seed=2))


def test_reset_forgets():
    pca = PcaColors()
    voxels = np.arange(3000)
    pca.colors(noisy(scene(seed=1), 0, 0), voxels)
    pca.reset()
    feat = noisy(scene(seed=2), 0, 0)
    np.testing.assert_array_equal(pca.colors(feat, voxels), PcaColors().colors(feat, voxels))


def test_another_number_of_channels_starts_from_scratch():
    pca = PcaColors()
    pca.colors(noisy(scene(channels=48), 0, 0))
    feat = noisy(scene(channels=20), 0, 0)
    np.testing.assert_array_equal(pca.colors(feat), PcaColors().colors(feat))


def test_a_named_voxel_follows_its_own_colour_and_a_new_one_shows_at_once():
    feat = scene()
    plain, smooth = PcaColors(), PcaColors()
    voxels = np.arange(3000) * 5 - 700
    for call in range(10):
        plain.colors(noisy(feat, 0.3, call))
        before = smooth.colors(noisy(feat, 0.3, call), voxels)
    voxels[-100:] += 1
    last = noisy(feat, 0.3, 10)
    unheld, after = plain.colors(last), smooth.colors(last, voxels)
    expected = before[:-100] + 0.25 * (unheld[:-100].astype(float) - before[:-100])
    np.testing.assert_allclose(after[:-100], expected, atol=1.5)
    np.testing.assert_array_equal(after[-100:], unheld[-100:])
    assert change(before[:-100], after[:-100]) < change(before[:-100], unheld[:-100]) / 2


def test_the_parts_of_a_map_in_turn_have_nearly_the_colours_of_the_whole():
    # Both halves vary along the same directions, and have other means.
    feat = scene()
    feat[1500:] += 0.2 * (feat[0] - feat[1])
    voxels = np.arange(3000) * 5 - 700
    whole, turns = PcaColors(), PcaColors()
    whole.colors(noisy(feat, 0, 0), voxels)
    shown = turns.colors(noisy(feat, 0, 0), voxels)
    for call in range(20):
        part = np.arange(call % 2, 3000, 2) if call < 10 else np.arange(1500) + call % 2 * 1500
        shown[part] = turns.colors(noisy(feat[part], 0.01, call), voxels, None, part)
        expected = whole.colors(noisy(feat, 0.01, call), voxels)
    assert change(shown, expected) <= 6


def test_a_voxel_keeps_following_its_own_colour_while_others_are_shown():
    feat, voxels = scene(), np.arange(3000)
    pca = PcaColors()
    before = pca.colors(noisy(feat, 0, 0), voxels)
    for call in range(3):
        pca.colors(noisy(feat[:300], 0, call), voxels, None, np.arange(300))
    last = np.arange(2000, 3000)
    other = pca.colors(noisy(feat[last][::-1], 0, 0), voxels, None, last)
    # A fifth of the way from the colour that it had to that of other features.
    expected = before[last] + 0.2 * (before[last][::-1].astype(float) - before[last])
    assert np.median(np.abs(other - expected)) <= 3


@pytest.mark.parametrize(
    "feat",
    [
        torch.zeros(0, 16),
        torch.ones(1, 16),
        torch.ones(500, 16),
        torch.zeros(500, 1),
        torch.full((5, 4), float("nan")),
    ],
    ids=["no point", "one point", "constant", "zeros", "nan"],
)
def test_features_that_do_not_vary_are_grey(feat):
    pca = PcaColors()
    for _ in range(2):
        rgb = pca.colors(feat)
        assert rgb.shape == (len(feat), 3)
        assert (rgb == 128).all()
    # Nothing of it is held against the first real features.
    real = noisy(scene(channels=feat.shape[1]), 0, 0) if feat.shape[1] > 4 else None
    if real is not None:
        np.testing.assert_array_equal(pca.colors(real), PcaColors().colors(real))


@pytest.mark.parametrize("points", [2, 3, 5])
@pytest.mark.parametrize("channels", [1, 2, 3, 40])
def test_few_points_and_channels(points, channels):
    feat = torch.from_numpy(np.random.default_rng(0).normal(size=(points, channels)))
    pca = PcaColors()
    for _ in range(3):
        rgb = pca.colors(feat)
    assert rgb.shape == (points, 3)
    assert np.ptp(rgb, axis=0).max() == 255


def test_a_point_that_is_not_finite_is_grey_and_spoils_no_other():
    feat = noisy(scene(), 0, 0)
    pca, clean = PcaColors(), PcaColors()
    bad = feat.clone()
    bad[7, 3], bad[9, 0] = float("nan"), float("inf")
    for _ in range(3):
        rgb, expected = pca.colors(bad), clean.colors(feat)
    assert (rgb[[7, 9]] == 128).all()
    good = np.setdiff1d(np.arange(3000), [7, 9])
    assert change(rgb[good], expected[good]) <= 3


@pytest.mark.parametrize("size", [1e-12, 1e25])
def test_tiny_and_huge_features(size):
    feat = torch.from_numpy(scene() * size)
    pca = PcaColors()
    for _ in range(3):
        rgb = pca.colors(feat)
    assert change(rgb, PcaColors().colors(torch.from_numpy(scene()))) <= 3


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_any_float_type(dtype):
    feat = torch.from_numpy(scene())
    rgb = PcaColors().colors(feat.to(dtype))
    assert change(rgb, PcaColors().colors(feat.to(dtype).float())) == 0


def test_a_wrong_shape_is_refused():
    with pytest.raises(ValueError, match=r"feat has shape \(5,\), expected \(N, C\)"):
        PcaColors().colors(torch.zeros(5))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_gives_the_colours_of_the_cpu():
    cpu, cuda = PcaColors(), PcaColors()
    for call in range(4):
        feat = noisy(scene(), 0.01, call)
        assert change(cpu.colors(feat), cuda.colors(feat.cuda())) <= 1


def test_rows_that_share_a_feature_are_coloured_as_if_each_had_its_own():
    random = np.random.default_rng(4)
    feat = torch.from_numpy(scene(300)).float()
    rows = torch.from_numpy(random.integers(0, 300, 4000))
    sharing, apart = PcaColors(), PcaColors()
    for seed in range(3):
        now = feat + torch.from_numpy(noisy(np.zeros(feat.shape), 0.1, seed).numpy())
        shared = sharing.colors(now, rows=rows)
        assert shared.shape == (4000, 3)
        assert np.abs(shared.astype(int) - apart.colors(now[rows])).max() <= 1
    feat[3] = torch.nan
    assert (sharing.colors(feat, rows=rows)[rows == 3] == 128).all()
    assert (PcaColors().colors(feat[3:4], rows=rows * 0) == 128).all()


def test_coarse_features_are_those_handed_down_of_the_whole_or_of_parts():
    encoder = small_encoder()
    batches = [make_batch([box_scan(seed, 300)], INDOOR, 0.05) for seed in range(2)]
    pyramids = [encoder(b.feat, b.grid_coord, b.coord, b.offset) for b in batches]
    coarse = CoarseFeatures()
    rows = [coarse.of(pyramid) for pyramid in pyramids]
    for own, pyramid in zip(rows, pyramids, strict=True):
        assert torch.equal(coarse.joined()[own], pyramid.upcast(CONCAT_LEVELS))
    for levels in (0, 1, 2, None):
        feat, row = pyramids[0].shared(levels)
        assert (row is None) == (levels in (2, None)) and (row is None or len(feat) < len(row))
