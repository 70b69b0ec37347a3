# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Sampling, neighbours, balls and interpolation against brute force in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from concerto_ros.objects.encoders.shared import sampling
from concerto_ros.objects.encoders.shared.sampling import (
    ball_query,
    farthest_point_sampling,
    gather_rows,
    interpolate_three,
    nearest_neighbours,
)

DEVICES = ["cpu"] + ["cuda"] * torch.cuda.is_available()

#: Clouds on a lattice of quarters: sums of squares are exact, so ties are ties in any precision.
lattice_clouds = st.lists(st.tuples(*[st.integers(-6, 6)] * 3), min_size=1, max_size=40).map(
    lambda rows: np.array(rows) / 4
)


def farthest(points: np.ndarray, count: int, skip_near_origin: bool) -> list[int]:
    """Greedy choice, point by point; ties as the threads of the kernel settle them."""
    total = len(points)
    threads = min(2 ** int(np.log2(total)), 512)

    def preference(row: int) -> tuple:
        if not skip_near_origin:
            return (row,)
        digits = f"{row % threads:0{threads.bit_length() - 1}b}" if threads > 1 else "0"
        return int(digits[::-1], 2), row

    open_rows = [
        row for row in range(total) if not skip_near_origin or (points[row] ** 2).sum() > 1e-3
    ]
    distance = dict.fromkeys(open_rows, 1e10)
    chosen = [0]
    while len(chosen) < count:
        for row in open_rows:
            apart = ((points[row] - points[chosen[-1]]) ** 2).sum()
            distance[row] = min(distance[row], apart)
        chosen.append(min(open_rows, key=lambda row: (-distance[row], preference(row)), default=0))
    return chosen


def cloud(total: int, seed: int = 0, batch: int = 1) -> torch.Tensor:
    return torch.rand(batch, total, 3, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@settings(max_examples=60, deadline=None)
@given(points=lattice_clouds, count=st.integers(1, 45), skip=st.booleans())
def test_farthest_points_equal_the_greedy_choice_even_in_ties(points, count, skip):
    batch = torch.from_numpy(points).float()[None]
    found = farthest_point_sampling(batch, count, skip_near_origin=skip)
    assert found[0].tolist() == farthest(points, count, skip)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("skip", [True, False])
def test_farthest_points_of_each_cloud_of_a_batch(device, skip):
    clouds = cloud(700, batch=3)
    clouds[:, 5:9] *= 0.01
    found = farthest_point_sampling(clouds.to(device), 60, skip_near_origin=skip)
    assert found.dtype == torch.int64 and found.device.type == device
    for points, rows in zip(clouds, found, strict=True):
        assert rows.tolist() == farthest(points.double().numpy(), 60, skip)


def test_a_point_near_the_origin_is_chosen_only_as_the_start():
    points = torch.tensor([[[0.0, 0, 0], [0.03, 0, 0], [0.04, 0, 0], [1, 0, 0]]])
    assert farthest_point_sampling(points, 4, skip_near_origin=True).tolist() == [[0, 3, 2, 2]]
    assert farthest_point_sampling(points, 4, skip_near_origin=False).tolist() == [[0, 3, 2, 1]]


def test_where_every_point_is_near_the_origin_the_first_comes_again():
    points = cloud(20) * 0.01
    assert farthest_point_sampling(points, 5, skip_near_origin=True).tolist() == [[0] * 5]


def test_sampling_starts_where_it_is_told_to():
    found = farthest_point_sampling(cloud(50), 10, skip_near_origin=True, start=7)
    assert found[0, 0] == 7
    assert len(found[0].unique()) == 10


def test_the_first_choices_do_not_depend_on_how_many_follow():
    few = farthest_point_sampling(cloud(200), 20, skip_near_origin=True)
    many = farthest_point_sampling(cloud(200), 100, skip_near_origin=True)
    assert torch.equal(few, many[:, :20])


@pytest.mark.parametrize(("total", "count"), [(0, 1), (5, 0)])
def test_sampling_nothing_is_an_error(total, count):
    with pytest.raises(ValueError, match=f"{count} of {total}"):
        farthest_point_sampling(torch.zeros(1, total, 3), count, skip_near_origin=True)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("block", [1, 1 << 25])
def test_neighbours_are_the_nearest_in_order(device, block, monkeypatch):
    monkeypatch.setattr(sampling, "BLOCK", block)
    queries, points = cloud(15, 1, batch=2), cloud(80, 2, batch=2)
    found = nearest_neighbours(queries.to(device), points.to(device), 6)
    table = np.linalg.norm(
        queries.double().numpy()[:, :, None] - points.double().numpy()[:, None], axis=-1
    )
    np.testing.assert_array_equal(found.cpu().numpy(), table.argsort(-1)[..., :6])


def test_a_point_is_its_own_nearest_neighbour_far_from_the_origin():
    """Where |a|^2 + |b|^2 - 2ab has no digits left."""
    points = cloud(60) * 0.1 + 500
    assert torch.equal(nearest_neighbours(points, points, 1)[0, :, 0], torch.arange(60))


def test_more_neighbours_than_points_are_an_error():
    with pytest.raises(ValueError, match="count is 9, expected 1 to the number of points, 8"):
        nearest_neighbours(cloud(2), cloud(8), 9)


@settings(max_examples=40, deadline=None)
@given(
    points=lattice_clouds,
    queries=lattice_clouds,
    radius=st.integers(1, 12),
    count=st.integers(1, 45),
)
def test_a_ball_holds_the_first_rows_within_the_radius(points, queries, radius, count):
    found = ball_query(
        torch.from_numpy(queries).float()[None],
        torch.from_numpy(points).float()[None],
        radius / 4,
        count,
    )
    for query, rows in zip(queries, found[0].tolist(), strict=True):
        inside = np.flatnonzero(((points - query) ** 2).sum(1) <= (radius / 4) ** 2).tolist()
        expected = inside[:count] or [0]
        assert rows == expected + expected[:1] * (count - len(expected))


@pytest.mark.parametrize("device", DEVICES)
def test_interpolation_weighs_the_three_nearest(device):
    queries, points = cloud(40, 1, batch=2), cloud(25, 2, batch=2)
    queries[0, 0] = points[0, 3]
    values = cloud(25, 3, batch=2)
    found = interpolate_three(queries.to(device), points.to(device), values.to(device))
    for batch in range(2):
        squared = (
            (queries[batch].double()[:, None] - points[batch].double()[None]).square().sum(-1)
        )
        squared, rows = squared.numpy(), squared.numpy().argsort(1)[:, :3]
        weight = 1 / (np.take_along_axis(squared, rows, 1) + 1e-8)
        weight /= weight.sum(1, keepdims=True)
        expected = (values[batch].double().numpy()[rows] * weight[..., None]).sum(1)
        np.testing.assert_allclose(found[batch].cpu().numpy(), expected, atol=1e-5)


def test_one_or_two_points_are_interpolated_from_what_there_is():
    values = torch.tensor([[[3.0], [5.0]]])
    points = torch.tensor([[[0.0, 0, 0], [2.0, 0, 0]]])
    middle = torch.tensor([[[1.0, 0, 0]]])
    assert interpolate_three(middle, points, values).item() == pytest.approx(4)
    assert interpolate_three(middle, points[:, :1], values[:, :1]).item() == 3


def test_rows_are_gathered_from_their_own_cloud():
    values = torch.arange(24.0).view(2, 4, 3)
    index = torch.tensor([[[0, 3], [1, 1]], [[2, 0], [3, 2]]])
    found = gather_rows(values, index)
    assert found.shape == (2, 2, 2, 3)
    for batch in range(2):
        assert torch.equal(found[batch], values[batch][index[batch]])
