# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A cloud that does not fit into the device's memory is computed in parts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from concerto_ros import SemanticPipeline
from concerto_ros.segmentation.out_of_memory_split import MIN_ROWS, ChunkedInference
from concerto_ros.settings.settings import Settings

GENERATOR = torch.Generator().manual_seed(0)
COORD = torch.rand(5000, 3, generator=GENERATOR) * torch.tensor([1.0, 9.0, 2.0])


class SmallDevice:
    """Gives twice the position of each row, of at most ``fits`` rows at once."""

    def __init__(self, fits: int):
        self.fits = fits
        self.parts: list[torch.Tensor] = []

    def __call__(self, rows: torch.Tensor | None):
        rows = torch.arange(len(COORD)) if rows is None else rows
        self.parts.append(rows)
        if len(rows) > self.fits:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return {"twice": 2 * COORD[rows], "row": rows}


def test_a_cloud_that_fits_is_computed_whole():
    device, halving = SmallDevice(5000), ChunkedInference()
    assert torch.equal(halving(device, COORD)["twice"], 2 * COORD)
    assert len(device.parts) == 1
    assert halving.max_rows is None


@pytest.mark.parametrize("fits", [4999, 2500, 1300])
def test_parts_give_every_row_its_own_values(fits):
    values = ChunkedInference()(SmallDevice(fits), COORD)
    assert torch.equal(values["twice"], 2 * COORD)
    assert torch.equal(values["row"], torch.arange(5000))


def test_parts_are_halves_across_the_longest_axis_in_the_order_of_the_rows():
    device = SmallDevice(2500)
    ChunkedInference()(device, COORD)
    whole, *halves = device.parts
    assert len(whole) == 5000 and [len(half) for half in halves] == [2500, 2500]
    low, high = sorted(halves, key=lambda rows: float(COORD[rows, 1].min()))
    assert COORD[low, 1].max() <= COORD[high, 1].min()
    assert all((half.diff() > 0).all() for half in halves)


def test_memory_runs_out_once_and_not_at_every_cloud(caplog):
    device, halving = SmallDevice(2600), ChunkedInference()
    halving(device, COORD)
    assert halving.max_rows == 2500
    device.parts.clear()
    halving(device, COORD)
    assert [len(part) for part in device.parts] == [2500, 2500]
    assert [record.getMessage().count("5000 voxels") for record in caplog.records] == [1]


def test_a_part_too_small_to_be_divided_fails_with_the_error_of_the_device():
    device = SmallDevice(0)
    with pytest.raises(torch.cuda.OutOfMemoryError):
        ChunkedInference()(device, COORD)
    assert min(map(len, device.parts)) <= MIN_ROWS


def test_a_device_that_others_fill_for_a_while_is_asked_for_whole_clouds_again():
    device, halving = SmallDevice(0), ChunkedInference()
    with pytest.raises(torch.cuda.OutOfMemoryError):
        halving(device, COORD)
    device.fits = 5000
    device.parts.clear()
    assert torch.equal(halving(device, COORD)["twice"], 2 * COORD)
    assert len(device.parts) == 1


@pytest.mark.parametrize(
    "error",
    [
        torch.cuda.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"),
    ],
)
def test_every_way_to_run_out_of_memory_is_known(error):
    def compute(rows):
        if rows is None:
            raise error
        return {"twice": 2 * COORD[rows]}

    assert torch.equal(ChunkedInference()(compute, COORD)["twice"], 2 * COORD)


def test_other_errors_are_not_caught():
    def compute(rows):
        raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        ChunkedInference()(compute, COORD)


def test_the_pipeline_labels_a_cloud_in_parts(monkeypatch):
    pipeline = SemanticPipeline.from_settings(Settings(device="cpu", precision="float32"))
    points = np.random.default_rng(0).random((4000, 3)) * (20, 3, 2)
    whole = pipeline.segment(points)
    forward = pipeline.encoder.forward_features
    sizes = []

    def forward_with_little_memory(feat, hierarchy):
        sizes.append(len(feat))
        if len(feat) > 2500:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return forward(feat, hierarchy)

    monkeypatch.setattr(pipeline.encoder, "forward_features", forward_with_little_memory)
    parts = pipeline.segment(points)
    assert len(sizes) == 3 and sizes[1] + sizes[2] == sizes[0]
    assert np.array_equal(parts.points, whole.points)
    assert (parts.label == whole.label).mean() > 0.8
    assert list(parts.stage_ms) == list(whole.stage_ms)
    assert "chunks of at most" in pipeline.degraded_reason


@pytest.mark.parametrize("part", ["hierarchy", "forward_features", "scores"])
@pytest.mark.parametrize("held", [True, False])
def test_graphs_give_their_memory_before_a_cloud_is_divided(monkeypatch, part, held):
    pipeline = SemanticPipeline.from_settings(Settings(device="cpu", precision="float32"))
    points = np.random.default_rng(0).random((3000, 3)) * (20, 3, 2)
    whole = pipeline.segment(points)
    owner = pipeline._labeller if part == "scores" else pipeline.encoder
    compute, holding = getattr(owner, part), [held]

    def release():
        return holding.pop() if holding else False

    def compute_in_what_is_left(given, *others):
        if holding:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return compute(given, *others)

    monkeypatch.setattr(owner, part, compute_in_what_is_left)
    monkeypatch.setattr(pipeline._feature_encoder._features, "release", release)
    prediction = pipeline.segment(points)
    assert bool(pipeline.degraded_reason) == (not held)
    if held:
        assert np.array_equal(prediction.label, whole.label)
        assert np.array_equal(prediction.pca_rgb, whole.pca_rgb)


@pytest.mark.parametrize("allowed", [True, False])
def test_where_nothing_fits_the_cpu_continues_if_it_may(monkeypatch, allowed):
    pipeline = SemanticPipeline.from_settings(
        Settings(device="cpu", precision="float32", cpu_fallback=allowed)
    )
    points = np.random.default_rng(0).random((2000, 3)) * (20, 3, 2)
    whole = pipeline.segment(points)
    encoder = pipeline._feature_encoder
    encode = encoder._pyramid

    def encode_on_a_full_device(*arguments):
        if pipeline.device.type == "cuda":
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return encode(*arguments)

    monkeypatch.setattr(encoder, "_pyramid", encode_on_a_full_device)
    encoder.device = torch.device("cuda")
    if not allowed:
        with pytest.raises(torch.cuda.OutOfMemoryError):
            pipeline.segment(points)
        assert (pipeline.device.type, pipeline.degraded_reason) == ("cuda", "")
        return
    assert np.array_equal(pipeline.segment(points).label, whole.label)
    assert (
        pipeline.device.type == "cpu" and "the models run on the CPU" in pipeline.degraded_reason
    )
