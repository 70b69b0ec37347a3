# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Padded clouds give what the clouds themselves give, also when replayed for another cloud.

Without a GPU nothing is captured: a replay then computes anew from the tensors of the graph.
"""

from __future__ import annotations

import gc
import json
import weakref
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from paths import GOLDEN
from ptv3_inputs import CONFIG, batch_of

from concerto_ros.ptv3 import build_hierarchy
from concerto_ros.ptv3.checkpoint import untrained_encoder
from concerto_ros.ptv3.cuda_graphs import graphs
from concerto_ros.ptv3.cuda_graphs.graphs import GraphedFeatures, Recording
from concerto_ros.ptv3.cuda_graphs.padding import PaddedShape, pad_hierarchy
from concerto_ros.ptv3.encoder import Pyramid
from concerto_ros.ptv3.hierarchy import Hierarchy
from concerto_ros.ptv3.kernels.backends import PAIRS, TABLE
from concerto_ros.ptv3.kernels.level_padding import pad_rows

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


@pytest.mark.parametrize("size", [16, 17, 31, 32, 300])
def test_keys_of_a_padded_cloud_are_its_queries(size):
    """So nothing is gathered for them, and queries, keys and values stay side by side."""
    _, hierarchy = cloud(size)
    shape = PaddedShape.above(hierarchy)
    finest = pad_hierarchy(hierarchy, shape, CONFIG.stride).levels[0]
    for (curve, patch), patches in finest.patches.items():
        (group,) = patches.groups
        assert group.keys is group.queries and group.mask is None
        # Every real row is a query, in its own place; those of a patch with one are real, too.
        assert torch.equal(patches.order[patches.restore[:size]], torch.arange(size))
        last = patches.restore[:size].max() // patch
        assert (patches.order[: (last + 1) * patch] < size).all()
        real = hierarchy.levels[0].patches[curve, patch].order
        start = patches.restore[real[-1]] // patch * patch
        keys = patches.order[start : start + patch]
        assert torch.equal(keys.sort().values, real[-patch:].sort().values)


def test_clouds_of_similar_size_share_a_shape():
    shapes = {PaddedShape.above(cloud(size)[1]) for size in range(1200, 1260, 10)}
    assert len(shapes) <= 2
    for size in (1, 15, 16, 17, 100, 1000, 1700):
        hierarchy = cloud(size)[1]
        rows = PaddedShape.above(hierarchy).rows
        for level, padded, most in zip(hierarchy.levels, rows, (1.25, 1.5, 2.0), strict=True):
            assert len(level) < padded <= max(most * len(level) + 16, 64)
            assert padded % 16 == 0


@pytest.fixture
def features(monkeypatch):
    """A stand-in for the GPU; ``captured`` counts its graphs."""

    class Features(GraphedFeatures):
        captured = 0

        @staticmethod
        def on_cuda(feat):
            return feat.as_subclass(OnCuda)

        def __call__(self, feat, hierarchy):
            return super().__call__(self.on_cuda(feat), hierarchy)

    class OnCuda(torch.Tensor):
        """Says that it is on CUDA."""

        is_cuda = True
        __torch_function__ = torch._C._disabled_torch_function_impl

    class Recorder:
        """Counts the graphs that live."""

        def __init__(self, device):
            self._computations = weakref.WeakSet()

        @property
        def living(self):
            gc.collect()
            return len(self._computations)

        def record(self, compute):
            Features.captured += 1
            compute()
            self._computations.add(compute)
            return Recording(compute, None)

        def retire(self, graphs, shape):
            living = self.living
            del graphs[shape]
            assert self.living == living - 1

        def retire_all(self, graphs):
            graphs.clear()
            assert not self.living, "a graph was kept"

    monkeypatch.setattr(graphs, "GraphRecorder", Recorder)
    return Features(untrained_encoder(CONFIG, name="test"))


def assert_right(features: GraphedFeatures, size: int, seed: int = 0) -> list[torch.Tensor]:
    feat, hierarchy = cloud(size, seed=seed)
    pyramid = features(feat, hierarchy)
    expected = untrained_encoder(CONFIG, name="test").forward_features(feat, hierarchy)
    for ours, theirs in zip(pyramid.levels, expected.levels, strict=True):
        assert ours.geometry is theirs.geometry
        torch.testing.assert_close(ours.feat, theirs.feat, rtol=1e-4, atol=1e-5)
    return list(pyramid.feats)


def run(features: GraphedFeatures, *sizes: int) -> list[list[torch.Tensor]]:
    """Clouds one after the other, with the time between them that a capture needs."""
    results = []
    for size in sizes:
        results.append(assert_right(features, size))
        features.capture()
    return results


def rows(features: GraphedFeatures) -> list[int]:
    """Of the finest level, for each graph, the least recently used one first."""
    return [shape.rows[0] for shape in features._graphs]


def padded(size: int) -> int:
    return PaddedShape.above(cloud(size)[1]).rows[0]


@torch.no_grad()
def test_a_shape_that_comes_again_is_captured_and_replayed_for_other_clouds(features):
    run(features, 600)
    assert features.captured == 0
    (first,) = run(features, 600)
    assert features.captured == features.graphs == 1
    kept = [feat.clone() for feat in first]
    for size, seed in ((601, 1), (598, 2), (600, 3)):
        assert PaddedShape.above(cloud(size, seed=seed)[1]) in features._graphs
        assert_right(features, size, seed)
    assert features.captured == 1 and not features.capture()
    # What was handed out is not written to again.
    assert all(torch.equal(one, other) for one, other in zip(first, kept, strict=True))


@torch.no_grad()
def test_a_cloud_never_waits_for_a_capture(features):
    for size in (300, 300, 600, 600, 300, 900):
        assert_right(features, size)
    assert features.captured == 0
    # The newest shape that came again, and each once: there is nothing to do then.
    assert features.capture() and not features.capture()
    assert features.captured == 1 and rows(features) == [padded(300)]


@torch.no_grad()
@pytest.mark.parametrize(("recent", "captured"), [(64, 1), (2, 0)])
def test_a_shape_may_come_again_after_some_others(features, monkeypatch, recent, captured):
    monkeypatch.setattr(graphs, "_RECENT", recent)
    run(features, 300, 600, 100, 300)
    assert rows(features) == [padded(300)] * captured


@torch.no_grad()
def test_the_same_cloud_gives_the_same_bits_with_and_without_a_graph(features):
    results = run(features, 300, 300, 300, 900, 300)
    assert features.captured == 1
    for result in (*results[1:3], results[4]):
        assert all(torch.equal(a, b) for a, b in zip(results[0], result, strict=True))


@torch.no_grad()
def test_the_graph_that_was_not_used_for_longest_is_replaced(features, monkeypatch):
    monkeypatch.setattr(graphs, "MAX_GRAPHS", 2)
    run(features, 100, 100, 300, 300)
    assert rows(features) == [padded(100), padded(300)]
    run(features, 100, 600, 600)
    assert rows(features) == [padded(100), padded(600)]
    assert features.captured == 3
    run(features, 300)
    assert rows(features) == [padded(600), padded(300)] and features.captured == 4


class Geometry:
    """A level of which only the number of voxels is known."""

    def __init__(self, count: int):
        self.count, self.patches = count, {("z", 1024): None}

    def __len__(self) -> int:
        return self.count


def test_a_drive_needs_few_captures(features, monkeypatch):
    """The maps of a simulated robot in a minute, by their sizes alone."""
    levels = json.loads((GOLDEN / "drive_levels.json").read_text())["levels"]
    assert len(levels) == 300 and max(max(counts) for counts in levels) > 100_000
    for name, stand_in in {
        "can_be_padded": lambda hierarchy: True,
        "pad_hierarchy": lambda hierarchy, *_: hierarchy,
        "pad_rows": lambda feat, rows: feat.new_empty(rows, 0),
        "_tensors": lambda hierarchy: [],
    }.items():
        monkeypatch.setattr(graphs, name, stand_in)
    monkeypatch.setattr(features._encoder, "forward_features", lambda *_: Pyramid(()))
    replayed, rows, real = 0, 0, 0
    for counts in levels:
        hierarchy = Hierarchy(tuple(map(Geometry, counts)))
        shape = PaddedShape.above(hierarchy)
        replayed += shape in features._graphs
        features(torch.empty(counts[0], 0), hierarchy)
        features.capture()
        rows, real = rows + shape.rows[0], real + counts[0]
    assert features.captured <= 11 and features.graphs == features.captured
    assert replayed >= 0.9 * len(levels)
    assert rows < 1.1 * real


@torch.no_grad()
def test_without_a_capture_features_are_still_right(features, monkeypatch, caplog):
    def fails(self, compute):
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(graphs.GraphRecorder, "record", fails)
    assert features.works
    run(features, *[200] * 4)
    assert len(caplog.records) == 1 and "not permitted" in caplog.text
    assert not features.works


def out_of_memory_at_once(compute):
    raise torch.cuda.OutOfMemoryError("CUDA out of memory")


def out_of_memory_in_a_capture(compute):
    try:
        out_of_memory_at_once(compute)
    finally:  # what leaving torch.cuda.graph may do then
        raise RuntimeError("operation failed due to a previous error during capture")


@torch.no_grad()
@pytest.mark.parametrize("runs_out", [out_of_memory_at_once, out_of_memory_in_a_capture])
def test_a_capture_without_memory_ends_the_graphs_there_are_but_not_for_good(
    features, monkeypatch, caplog, runs_out
):
    run(features, 300, 300)
    with monkeypatch.context() as patch:
        tried = []
        patch.setattr(
            graphs.GraphRecorder,
            "record",
            lambda self, compute: tried.append(1) or runs_out(compute),
        )
        run(features, 700, 700)
        assert len(tried) == 1 and not features.graphs
        # Then with the memory of the others, and not at every cloud after that.
        run(features, 700, 700, 700)
        assert len(tried) == 2
    run(features, 300)
    assert features.graphs and not caplog.records


@torch.no_grad()
def test_graphs_give_their_memory_back_when_asked(features):
    assert not features.release()
    run(features, 300, 300, 600, 600)
    assert features.graphs == 2
    assert_right(features, 100)
    assert_right(features, 100)
    assert features.release()
    # Nor is the input of a cloud held that a graph was to be captured for.
    assert not features.graphs and not features.release() and not features.capture()
    run(features, 300)
    assert features.captured == 3


class Cuda:
    """As much of ``torch.cuda`` as a recorder uses."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.current = Stream()
        self.captures: list[tuple[object, object]] = []  # the stream and the pool of each
        self.synchronised = 0
        cuda = self

        @contextmanager
        def stream(other):
            before, cuda.current = cuda.current, other
            try:
                yield
            finally:
                cuda.current = before

        class Graph:
            def __init__(self, graph, pool, stream, capture_error_mode):
                self.stream = stream
                cuda.captures.append((stream, pool))

            def __enter__(self):
                self.before, cuda.current = cuda.current, self.stream

            def __exit__(self, kind, *_):
                if kind:
                    raise RuntimeError("operation failed due to a previous error during capture")
                cuda.current = self.before

        def synchronize(device):
            cuda.synchronised += 1

        for name, value in {
            "CUDAGraph": lambda: SimpleNamespace(replay=lambda: None),
            "Stream": lambda device: Stream(),
            "current_stream": lambda: cuda.current,
            "device": lambda device: nullcontext(),
            "empty_cache": lambda: None,
            "graph": Graph,
            "graph_pool_handle": object,
            "set_stream": lambda stream: setattr(cuda, "current", stream),
            "stream": stream,
            "synchronize": synchronize,
        }.items():
            monkeypatch.setattr(torch.cuda, name, value)


class Stream:
    def wait_stream(self, other):
        pass


def test_no_two_graphs_share_a_stream_and_all_of_a_generation_a_memory(monkeypatch):
    cuda = Cuda(monkeypatch)
    monkeypatch.setattr(graphs, "MAX_GRAPHS", 3)
    recorder, streams, kept = graphs.GraphRecorder(torch.device("cuda")), [], {}

    def record(name):
        recording = recorder.record(lambda: streams.append(cuda.current))
        kept[name] = SimpleNamespace(stream=recording.stream)
        return recording.stream, cuda.captures[-1][1]

    (first, one), (second, other), (third, another) = (record(name) for name in "abc")
    assert len({first, second, third}) == 3 and one is other is another
    # Computed once on another stream before each capture.
    assert len(set(streams)) == 4 and streams[1::2] == [first, second, third]
    recorder.retire(kept, "b")
    assert list(kept) == ["a", "c"] and cuda.synchronised == 1
    assert record("d") == (second, one)
    recorder.retire_all(kept)
    assert not kept and cuda.synchronised == 2
    stream, anew = record("e")
    assert stream in {first, second, third} and anew is not one


@pytest.mark.parametrize("fails_in", [1, 2])
def test_a_capture_that_fails_leaves_the_current_stream_as_it_was(monkeypatch, fails_in):
    cuda = Cuda(monkeypatch)
    before, calls = cuda.current, []

    def compute():
        calls.append(cuda.current)
        if len(calls) == fails_in:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(RuntimeError):
        graphs.GraphRecorder(torch.device("cuda")).record(compute)
    assert cuda.current is before and before not in calls


@torch.no_grad()
@pytest.mark.parametrize("given", ["cpu", "batch", "pairs", "large"])
def test_what_cannot_be_padded_is_computed_as_it_is(features, monkeypatch, given):
    sizes = (40, 60) if given == "batch" else (100,)
    backend = PAIRS if given == "pairs" else TABLE
    monkeypatch.setattr(graphs, "MAX_VOXELS", 99 if given == "large" else 1000)
    hierarchy = build_hierarchy(*batch_of(*sizes), CONFIG, backend)
    runner = GraphedFeatures(features._encoder) if given == "cpu" else features
    feat = torch.randn(100, 9, generator=torch.Generator().manual_seed(0))
    same = feat if given == "cpu" else features.on_cuda(feat)
    expected = features._encoder.forward_features(same, hierarchy)
    for _ in range(2):
        result = runner(feat, hierarchy)
        for ours, theirs in zip(result.feats, expected.feats, strict=True):
            assert torch.equal(ours, theirs)
    assert not runner.capture()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_captured_graph_gives_the_bits_of_the_same_cloud_without_it():
    encoder = untrained_encoder(CONFIG, name="test").cuda()
    runner = GraphedFeatures(encoder)
    given = [value.cuda() for value in batch_of(600)]
    hierarchy = build_hierarchy(*given, CONFIG)
    feat = torch.randn(600, 9, generator=torch.Generator().manual_seed(0)).cuda()
    first, *others = [(runner(feat, hierarchy).feats, runner.capture())[0] for _ in range(4)]
    assert runner.graphs
    for other in others:
        assert all(torch.equal(a, b) for a, b in zip(first, other, strict=True))
    for ours, theirs in zip(first, encoder.forward_features(feat, hierarchy).feats, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
