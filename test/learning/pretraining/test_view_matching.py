# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Matches between views against all distances, one by one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from concerto_ros.learning.pretraining.matching import match_views, rows_of_views, view_of_rows

counts = st.lists(st.integers(0, 12), min_size=1, max_size=4)


def cloud(rows: int, random: np.random.Generator) -> torch.Tensor:
    return torch.from_numpy(random.random((rows, 3), np.float32))


@settings(max_examples=60, deadline=None)
@given(counts, st.integers(1, 3), st.integers(0, 2**31), st.floats(0.05, 0.8))
def test_each_row_gets_the_nearest_of_its_partner_view_within_the_radius(
    sizes, each, seed, radius
):
    random = np.random.default_rng(seed)
    other_sizes = random.integers(0, 12, len(sizes))
    offset = torch.tensor([size for size in sizes for _ in range(each)]).cumsum(0)
    other_offset = torch.from_numpy(other_sizes).cumsum(0)
    coord, other = cloud(int(offset[-1]), random), cloud(int(other_offset[-1]), random)
    pairs = match_views(coord, offset, other, other_offset, radius)
    expected = []
    other_view = view_of_rows(other_offset)
    for row, view in enumerate(view_of_rows(offset).tolist()):
        candidates = np.flatnonzero(other_view.numpy() == view // each)
        apart = np.linalg.norm(other[candidates].double() - coord[row].double(), axis=1)
        if len(apart) and apart.min() < radius:
            expected.append([row, candidates[apart.argmin()]])
    assert pairs.tolist() == expected


def test_a_distance_of_exactly_the_radius_is_no_match():
    coord, other = torch.zeros(1, 3), torch.tensor([[0.25, 0.0, 0.0]])
    end = torch.tensor([1])
    assert match_views(coord, end, other, end, 0.25).shape == (0, 2)
    assert match_views(coord, end, other, end, 0.250001).tolist() == [[0, 0]]


def test_views_that_cannot_be_shared_out_are_refused():
    with pytest.raises(ValueError, match="3 views cannot be matched with 2"):
        match_views(
            torch.zeros(3, 3), torch.tensor([1, 2, 3]), torch.zeros(2, 3), torch.tensor([1, 2]), 1
        )


def test_rows_of_views_follow_the_order_of_the_views_and_skip_empty_ones():
    offset = torch.tensor([2, 2, 5])
    rows, ends = rows_of_views(offset, [2, 1, 0])
    assert rows.tolist() == [2, 3, 4, 0, 1]
    assert ends.tolist() == [3, 3, 5]
    assert view_of_rows(offset).tolist() == [0, 0, 2, 2, 2]
