# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Assignments of points to prototypes against the published rounds in float64."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from concerto_ros.learning.pretraining import sinkhorn
from concerto_ros.learning.pretraining.sinkhorn import assignments

sizes = st.tuples(st.integers(1, 30), st.integers(2, 12), st.integers(0, 2**31))


def cosines(rows: int, prototypes: int, seed: int) -> torch.Tensor:
    return torch.rand(rows, prototypes, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def in_float64(logits: torch.Tensor, temperature: float) -> np.ndarray:
    shares = np.exp(logits.double().numpy() / temperature)
    rows, prototypes = shares.shape
    shares /= shares.sum()
    for _ in range(3):
        shares /= prototypes * shares.sum(axis=0)
        shares /= rows * shares.sum(axis=1, keepdims=True)
    return shares * rows


@settings(max_examples=40, deadline=None)
@given(sizes, st.sampled_from([0.04, 0.07, 0.5]))
def test_assignments_are_those_of_three_rounds_and_each_point_is_given_away_once(
    size, temperature
):
    logits = cosines(*size)
    found = assignments(logits, temperature)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found, in_float64(logits, temperature), rtol=2e-4, atol=1e-6)
    np.testing.assert_allclose(found.sum(dim=1), np.ones(len(logits)), rtol=1e-5)


@settings(max_examples=20, deadline=None)
@given(sizes)
def test_a_constant_in_all_logits_and_the_order_of_points_do_not_matter(size):
    logits = cosines(*size)
    found = assignments(logits, 0.1)
    torch.testing.assert_close(assignments(logits - 0.5, 0.1), found, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(
        assignments(logits.flip(0), 0.1), found.flip(0), rtol=1e-4, atol=1e-6
    )


def test_prototypes_share_points_that_all_prefer_one_of_them():
    logits = torch.zeros(64, 4)
    logits[:, 0] = 0.2
    logits += cosines(64, 4, 3) * 0.01
    shares = assignments(logits, 0.05).sum(dim=0)
    assert torch.softmax(logits / 0.05, dim=1).sum(dim=0)[0] > 50
    assert shares.max() < 20


def test_no_point_gives_no_assignment_and_no_nan():
    assert assignments(torch.zeros(0, 5), 0.05).shape == (0, 5)


@pytest.mark.parametrize("split", [0, 7, 20])
def test_processes_with_unequal_numbers_of_points_share_one_assignment(monkeypatch, split):
    logits = cosines(20, 6, 1)
    together = assignments(logits, 0.05)
    barrier, sums, lock = threading.Barrier(2), [], threading.Lock()

    def summed(values: torch.Tensor) -> None:
        with lock:
            sums.append(values.clone())
        barrier.wait()
        total = sums[0] + sums[1]
        barrier.wait()
        values.copy_(total)
        sums.clear()
        barrier.wait()

    monkeypatch.setattr(sinkhorn, "sum_over_processes", summed)
    parts = logits.split([split, 20 - split])
    found = [torch.empty(0)] * 2

    def run(rank: int) -> None:
        found[rank] = assignments(parts[rank], 0.05)

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    torch.testing.assert_close(torch.cat(found), together, rtol=1e-5, atol=1e-7)
