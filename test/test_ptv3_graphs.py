# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Padded clouds give what the clouds themselves give, also when replayed for another cloud.

Without a GPU nothing is captured: a replay then computes anew from the tensors of the graph.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from test_ptv3_hierarchy import CONFIG, batch_of

from concerto_ros.ptv3 import build_hierarchy, graphs
from concerto_ros.ptv3.backends import PAIRS, TABLE
from concerto_ros.ptv3.checkpoint import untrained_encoder
from concerto_ros.ptv3.graphs import GraphedFeatures
from concerto_ros.ptv3.padding import PaddedShape, pad_hierarchy, pad_rows

CONFIGS = {
    "plain": CONFIG,
    "two patch sizes": replace(CONFIG, enc_patch_size=(16, 64, 16)),
    "level without blocks": replace(CONFIG, enc_depths=(1, 0, 1)),
    "post-norm": replace(CONFIG, pre_norm=False),
    "rotary": replace(CONFIG, enc_channels=(12, 12, 12), enc_num_head=(1, 1, 2), rotary=True),
    "decoder": replace(
        CONFIG,
        enc_mode=False,
        dec_depths=(1, 1),
        dec_channels=(8, 16),
        dec_num_head=(1, 2),
        dec_patch_size=(32, 16),
    ),
}


def cloud(size: int, config=CONFIG, seed: int = 0):
    """Features and levels of one cloud."""
    feat = torch.randn(size, 9, generator=torch.Generator().manual_seed(seed))
    return feat, build_hierarchy(*batch_of(size, seed=seed), config, TABLE)


@torch.no_grad()
@pytest.mark.parametrize("size", [1, 2, 15, 16, 17, 32, 300])
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_added_voxels_do_not_change_real_ones(config, size):
    encoder = untrained_encoder(config, name="test")
    feat, hierarchy = cloud(size, config)
    shape = PaddedShape.above(hierarchy)
    padded = pad_rows(feat, shape.rows[0])
    padded[size:] = 1000.0
    expected = encoder.forward_features(feat, hierarchy)
    result = encoder.forward_features(padded, pad_hierarchy(hierarchy, shape, config.stride))
    for ours, theirs, rows in zip(result.feats, expected.feats, shape.rows, strict=False):
        assert len(ours) == rows > len(theirs)
        assert ours.isfinite().all()
        torch.testing.assert_close(ours[: len(theirs)], theirs, rtol=1e-4, atol=1e-5)


def test_clouds_of_similar_size_share_a_shape():
    shapes = {PaddedShape.above(cloud(size)[1]) for size in range(1200, 1260, 10)}
    assert len(shapes) <= 2
    for size in (1, 15, 16, 17, 100, 1000, 1700):
        hierarchy = cloud(size)[1]
        for level, rows in zip(hierarchy.levels, PaddedShape.above(hierarchy).rows, strict=True):
            assert len(level) < rows <= max(1.25 * len(level) + 16, 64)
            assert rows % 16 == 0


@pytest.fixture
def features(monkeypatch):
    """A stand-in for the GPU; ``captured`` counts its graphs."""

    class Features(GraphedFeatures):
        captured = 0

        def __call__(self, feat, hierarchy):
            return super().__call__(feat.as_subclass(OnCuda), hierarchy)

    class OnCuda(torch.Tensor):
        """Says that it is on CUDA."""

        is_cuda = True
        __torch_function__ = torch._C._disabled_torch_function_impl

    def capture(compute, device, pool):
        Features.captured += 1
        compute()
        return compute

    monkeypatch.setattr(graphs, "capture", capture)
    return Features(untrained_encoder(CONFIG, name="test"))


def assert_right(features: GraphedFeatures, size: int, seed: int = 0) -> list[torch.Tensor]:
    feat, hierarchy = cloud(size, seed=seed)
    pyramid = features(feat, hierarchy)
    expected = untrained_encoder(CONFIG, name="test").forward_features(feat, hierarchy)
    for ours, theirs in zip(pyramid.levels, expected.levels, strict=True):
        assert ours.geometry is theirs.geometry
        torch.testing.assert_close(ours.feat, theirs.feat, rtol=1e-4, atol=1e-5)
    return list(pyramid.feats)


@torch.no_grad()
def test_a_shape_that_comes_again_is_captured_and_replayed_for_other_clouds(features):
    assert_right(features, 600)
    assert features.captured == 0
    first = assert_right(features, 600)
    assert features.captured == 1
    kept = [feat.clone() for feat in first]
    for size, seed in ((601, 1), (598, 2), (600, 3)):
        assert PaddedShape.above(cloud(size, seed=seed)[1]) in features._graphs
        assert_right(features, size, seed)
    assert features.captured == 1
    # What was handed out is not written to again.
    assert all(torch.equal(one, other) for one, other in zip(first, kept, strict=True))


@torch.no_grad()
def test_the_same_cloud_gives_the_same_bits_with_and_without_a_graph(features):
    results = [assert_right(features, size) for size in (300, 300, 300, 900, 300)]
    assert features.captured == 1
    for result in (*results[1:3], results[4]):
        assert all(torch.equal(a, b) for a, b in zip(results[0], result, strict=True))


@torch.no_grad()
def test_only_some_graphs_are_kept(features, monkeypatch):
    monkeypatch.setattr(graphs, "MOST_GRAPHS", 2)
    for size in (100, 100, 300, 300, 100, 600, 600):
        assert_right(features, size)
    kept = {shape.rows[0] for shape in features._graphs}
    assert kept == {PaddedShape.above(cloud(size)[1]).rows[0] for size in (100, 600)}


@torch.no_grad()
def test_without_a_capture_features_are_still_right(features, monkeypatch, caplog):
    def fails(compute, device, pool):
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(graphs, "capture", fails)
    for _ in range(4):
        assert_right(features, 200)
    assert len(caplog.records) == 1 and "not permitted" in caplog.text


@torch.no_grad()
def test_graphs_give_way_when_memory_runs_out(features, monkeypatch):
    for size in (300, 300):
        assert_right(features, size)
    forward = features._encoder.forward_features
    failed = []

    def fails_once(feat, hierarchy):
        if not failed:
            failed.append(len(feat))
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return forward(feat, hierarchy)

    monkeypatch.setattr(features._encoder, "forward_features", fails_once)
    assert_right(features, 700)
    assert failed and not features._graphs


@torch.no_grad()
@pytest.mark.parametrize("given", ["cpu", "batch", "pairs", "large"])
def test_what_cannot_be_padded_is_computed_as_it_is(features, monkeypatch, given):
    sizes = (40, 60) if given == "batch" else (100,)
    backend = PAIRS if given == "pairs" else TABLE
    monkeypatch.setattr(graphs, "MOST_VOXELS", 99 if given == "large" else 1000)
    hierarchy = build_hierarchy(*batch_of(*sizes), CONFIG, backend)
    runner = GraphedFeatures(features._encoder) if given == "cpu" else features
    feat = torch.randn(100, 9, generator=torch.Generator().manual_seed(0))
    expected = features._encoder.forward_features(feat, hierarchy)
    result = runner(feat, hierarchy)
    for ours, theirs in zip(result.feats, expected.feats, strict=True):
        assert torch.equal(ours, theirs)
    assert runner._newest is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_captured_graph_gives_the_bits_of_the_same_cloud_without_it():
    encoder = untrained_encoder(CONFIG, name="test").cuda()
    runner = GraphedFeatures(encoder)
    given = [value.cuda() for value in batch_of(600)]
    hierarchy = build_hierarchy(*given, CONFIG)
    feat = torch.randn(600, 9, generator=torch.Generator().manual_seed(0)).cuda()
    first, *others = [runner(feat, hierarchy).feats for _ in range(4)]
    assert runner._graphs
    for other in others:
        assert all(torch.equal(a, b) for a, b in zip(first, other, strict=True))
    for ours, theirs in zip(first, encoder.forward_features(feat, hierarchy).feats, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
