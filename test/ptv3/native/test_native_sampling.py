# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Farthest point sampling by the compiled kernel: the rows that PyTorch's operators choose."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.gpu_check.launches import counted
from concerto_ros.objects.encoders.shared import sampling
from concerto_ros.objects.encoders.shared.sampling import farthest_point_sampling
from concerto_ros.ptv3.kernels.native.library import why_not

pytestmark = pytest.mark.skipif(bool(why_not()), reason="no compiled kernels")


def clouds(count: int, total: int, seed: int, *, lattice: bool = False) -> torch.Tensor:
    points = torch.randn(count, total, 3, generator=torch.Generator().manual_seed(seed))
    return (points * 4).round() / 4 if lattice else points


def by_pytorch(points: torch.Tensor, count: int, **options) -> torch.Tensor:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampling, "samples", lambda _: False)
        return farthest_point_sampling(points, count, **options)


@given(
    st.integers(1, 3),
    st.integers(1, 200),
    st.integers(1, 220),
    st.booleans(),
    st.booleans(),
    st.integers(0, 10_000),
)
def test_the_same_rows_are_chosen_ties_included(batch, total, count, lattice, skip, seed):
    points = clouds(batch, total, seed, lattice=lattice)
    options = {"skip_near_origin": skip, "start": seed % total}
    chosen = farthest_point_sampling(points, count, **options)
    assert chosen.dtype == torch.int64
    assert torch.equal(chosen, by_pytorch(points, count, **options))


def test_the_rows_of_a_large_object_are_the_same_by_any_number_of_threads():
    points, before = clouds(5, 3_000, 0), torch.get_num_threads()
    expected = by_pytorch(points, 64, skip_near_origin=True)
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            assert torch.equal(
                farthest_point_sampling(points, 64, skip_near_origin=True), expected
            )
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("layout", ["strided", "float64", "one point"])
def test_points_in_any_layout_are_taken(layout):
    points = {
        "strided": clouds(2, 90, 1).transpose(0, 1).contiguous().transpose(0, 1)[:, ::2],
        "float64": clouds(2, 45, 2).double(),
        "one point": torch.ones(1, 40, 3),
    }[layout]
    chosen = farthest_point_sampling(points, 12, skip_near_origin=False)
    assert torch.equal(chosen, by_pytorch(points, 12, skip_near_origin=False))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_points_that_are_not_finite_are_left_to_pytorch(bad):
    points = clouds(1, 50, 3)
    points[0, 7, 1] = bad
    assert not sampling.samples(points)
    chosen = farthest_point_sampling(points, 10, skip_near_origin=False)
    assert torch.equal(chosen, by_pytorch(points, 10, skip_near_origin=False))


def test_for_few_points_of_a_gpu_the_program_waits_once_and_launches_no_steps(monkeypatch):
    points, found = clouds(16, 512, 4), []
    expected = farthest_point_sampling(points, 32, skip_near_origin=False)
    monkeypatch.setattr(sampling, "_few_on_a_gpu", lambda points: True)
    counts = counted(
        lambda: found.append(farthest_point_sampling(points, 32, skip_near_origin=False))
    )
    assert torch.equal(found[0], expected)
    assert counts.launches <= 1 and counts.waits == ["cpu"]


@pytest.mark.parametrize(
    ("device", "shape", "kernels", "wanted"),
    [
        ("cuda", (16, 1024, 3), True, True),
        ("cuda", (1, 131_072, 3), True, True),
        ("cuda", (2, 131_072, 3), True, False),
        ("cuda", (16, 1024, 3), False, False),
        ("cpu", (16, 1024, 3), True, False),
    ],
)
def test_only_few_points_leave_a_gpu_and_only_where_there_are_kernels(
    monkeypatch, device, shape, kernels, wanted
):
    monkeypatch.setattr(sampling, "has_kernels", lambda dtype: kernels)
    points = SimpleNamespace(device=torch.device(device), shape=torch.Size(shape))
    assert sampling._few_on_a_gpu(points) is wanted
