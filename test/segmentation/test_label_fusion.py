# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Labels of a voxel over time: noise does not flip them, change does."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from concerto_ros.mapping.map_snapshot import MapSnapshot
from concerto_ros.mapping.voxel_grid import pack
from concerto_ros.mapping.voxel_map import VoxelMap
from concerto_ros.segmentation.label_fusion import LabelFusion, normalised_entropy
from concerto_ros.sensors.frame import Frame

SECOND = 1_000_000_000


def snapshot(columns, seconds: float = 1.0, since=None) -> MapSnapshot:
    """Voxels in a row along x, each there since second 0 unless ``since`` says otherwise."""
    count = len(columns)
    index = np.zeros((count, 3), np.int32)
    index[:, 0] = columns
    zeros = np.zeros((count, 3), np.float32)
    return MapSnapshot(
        keys=pack(index),
        index=index,
        points=zeros,
        colors=zeros,
        has_color=np.zeros(count, bool),
        normals=zeros,
        sensor_directions=zeros,
        stamps=np.full(count, round(seconds * SECOND)),
        first_seen=np.array([0] * count if since is None else since, np.int64),
        stamp=round(seconds * SECOND),
        robot=np.zeros(3),
        voxel_size=0.1,
        frames=1,
    )


def slow_fusion(seconds: float, steps) -> np.ndarray:
    """The weighted mean of the log-probabilities of one voxel, in float64."""
    newest = steps[-1][0]
    weight = np.array([math.exp(-(newest - when) / seconds) for when, _ in steps])
    logs = []
    for _, scores in steps:
        scores = np.asarray(scores, np.float64)
        logs.append(scores - np.log(np.exp(scores).sum()))
    mean = (weight[:, None] * np.array(logs)).sum(axis=0) / weight.sum()
    return mean - np.log(np.exp(mean).sum())


def test_equals_a_slow_weighted_mean_whatever_the_rows_are():
    random = np.random.default_rng(0)
    fusion = LabelFusion(1.5)
    said: dict[int, list] = {}
    when = 0.0
    for _ in range(12):
        when += random.uniform(0.05, 1.0)
        columns = np.sort(random.choice(10, random.integers(1, 10), replace=False))
        scores = random.normal(size=(len(columns), 4)) * 3
        got = fusion(snapshot(columns, when), torch.tensor(scores, dtype=torch.float32))
        said = {
            column: [*said.get(column, []), (when, row)]
            for column, row in zip(columns, scores, strict=True)
        }
        wanted = [slow_fusion(1.5, said[column]) for column in columns]
        np.testing.assert_allclose(got.numpy(), wanted, atol=2e-5)


def test_voxels_that_were_not_predicted_keep_their_mean_and_age():
    random = np.random.default_rng(2)
    fusion = LabelFusion(1.5)
    said: dict[int, list] = {column: [] for column in range(8)}
    for when in (0.5, 0.7, 1.6, 2.0, 3.1):
        rows = np.sort(random.choice(8, random.integers(1, 8), replace=False))
        scores = random.normal(size=(len(rows), 4)) * 3
        got = fusion(snapshot(range(8), when), torch.tensor(scores, dtype=torch.float32), rows)
        for row, score in zip(rows, scores, strict=True):
            said[row].append((when, score))
        wanted = [slow_fusion(1.5, said[row]) for row in rows]
        np.testing.assert_allclose(got.numpy(), wanted, atol=2e-5)


def test_one_odd_prediction_does_not_flip_a_voxel_and_a_lasting_change_does():
    fusion = LabelFusion(2.0)
    wall, door = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    labels = []
    for step, scores in enumerate([wall] * 10 + [door] + [wall] * 5 + [door] * 20):
        labels.append(int(fusion(snapshot([0], 0.2 * step), scores).argmax()))
    assert labels[:16] == [0] * 16
    change = labels.index(1)
    assert 18 <= change <= 26 and labels[change:] == [1] * (36 - change)


def test_the_same_prediction_again_and_again_is_no_more_certain():
    fusion = LabelFusion(2.0)
    scores = torch.tensor([[1.0, 0.0, 0.0]])
    alone = scores.log_softmax(dim=1)
    for step in range(50):
        fused = fusion(snapshot([0], 0.2 * step), scores)
    np.testing.assert_allclose(fused, alone, atol=1e-5)


def test_the_same_map_again_changes_nothing():
    fusion = LabelFusion(2.0)
    fusion(snapshot([0, 1], 1.0), torch.tensor([[2.0, 0.0], [2.0, 0.0]]))
    before = fusion(snapshot([0, 1], 1.5), torch.tensor([[0.0, 1.0], [0.0, 1.0]]))
    again = fusion(snapshot([0, 1, 2], 1.5), torch.tensor([[0.0, 9.0], [0.0, 9.0], [0.0, 9.0]]))
    np.testing.assert_allclose(again[:2], before, atol=1e-6)
    assert again[2].argmax() == 1


def test_a_voxel_that_left_the_map_starts_from_scratch():
    old, new = torch.tensor([[9.0, 0.0]]), torch.tensor([[0.0, 0.5]])
    fusion = LabelFusion(100.0)
    fusion(snapshot([7], 1.0), old)
    fusion(snapshot([8], 2.0), old)
    assert fusion(snapshot([7], 3.0), new).argmax() == 1
    fusion = LabelFusion(100.0)
    fusion(snapshot([7], 1.0), old)  # It left and came back between two predictions.
    assert fusion(snapshot([7], 3.0, since=[2 * SECOND]), new).argmax() == 1
    assert fusion(snapshot([7], 4.0, since=[2 * SECOND]), old).argmax() == 0


@pytest.mark.parametrize("came_back", [2.0, 1.0, 0.9])
@pytest.mark.parametrize("rows", [None, np.array([0, 1])])
def test_a_voxel_that_came_back_by_a_late_message_starts_from_scratch(came_back, rows):
    old, new = torch.tensor([[9.0, 0.0]] * 2), torch.tensor([[0.0, 0.5]] * 2)
    fusion = LabelFusion(100.0)
    fusion(snapshot([3, 7], 1.0), old, rows)
    since = [0, round(came_back * SECOND)]
    for when in (1.0, 3.0):  # a late message does not make the map any newer
        fused = fusion(snapshot([3, 7], when, since), new, rows)
        assert fused.argmax(dim=1).tolist() == [0, 1]
    np.testing.assert_allclose(fused[1], new[1].log_softmax(dim=0), atol=1e-6)


def test_a_state_goes_on_with_a_map_that_was_filled_again():
    old, new = torch.tensor([[9.0, 0.0]] * 4), torch.tensor([[0.0, 0.5]] * 4)
    first, second = LabelFusion(100.0), LabelFusion(100.0)
    first(snapshot(range(4), 9.0, [0, 3 * SECOND, 7 * SECOND, 8 * SECOND]), old)
    second.restore(first.state())
    # It was filled from second 5 on. The third voxel came back by a late message, the last later.
    refilled = [5 * SECOND, 6 * SECOND, 7 * SECOND + 1, 10 * SECOND]
    for since in (refilled, refilled):
        fused = second(snapshot(range(4), 11.0, since), new)
        assert fused.argmax(dim=1).tolist() == [0, 0, 1, 1]


def test_a_map_of_an_earlier_time_starts_from_scratch():
    fusion = LabelFusion(100.0)
    fusion(snapshot([0], 50.0), torch.tensor([[9.0, 0.0]]))
    assert fusion(snapshot([0], 1.0), torch.tensor([[0.0, 0.5]])).argmax() == 1


def test_a_long_pause_forgets():
    fusion = LabelFusion(1.0)
    fusion(snapshot([0], 1.0), torch.tensor([[90.0, 0.0]]))
    assert fusion(snapshot([0], 1e6), torch.tensor([[0.0, 0.5]])).argmax() == 1


def test_it_holds_no_more_than_the_newest_map():
    fusion = LabelFusion(1.0)
    for size in (100, 3):
        fusion(snapshot(range(size)), torch.zeros(size, 5))
    assert {len(value) for value in fusion.state().values() if value.ndim} == {3}


def test_it_continues_from_a_state_as_if_nothing_had_been():
    random = np.random.default_rng(1)
    given = [torch.tensor(random.normal(size=(4, 3)), dtype=torch.float32) for _ in range(4)]
    whole, first, second = LabelFusion(1.0), LabelFusion(1.0), LabelFusion(1.0)
    assert first.state() == {}
    second.restore(first.state())
    for step, scores in enumerate(given):
        part = first if step < 2 else second
        if step == 2:
            second.restore(first.state())
        wanted = whole(snapshot(range(4), step), scores)
        assert torch.equal(part(snapshot(range(4), step), scores), wanted)


def test_the_map_says_since_when_a_voxel_is_in_it():
    voxels = VoxelMap(0.1, window_seconds=2.0, max_voxels=10)

    def see(points, seconds):
        points = np.array(points, np.float32).reshape(-1, 3)
        voxels.insert(Frame(points, seconds * SECOND, "odom"), np.zeros(3))
        return (voxels.snapshot().first_seen // SECOND).tolist()

    assert see([[0, 0, 0]], 1) == [1]
    assert see([[0, 0, 0], [1, 0, 0]], 2) == [1, 2]
    assert see([[0, 0, 0]], 4) == [1, 2]
    assert see([[1, 0, 0]], 5) == [1, 5]
    assert see([[0, 0, 0]], 9) == [9]


def test_entropy_is_a_share_of_the_largest():
    chances = torch.tensor([[1.0, 0, 0, 0], [0.5, 0.5, 0, 0], [0.25] * 4])
    got = normalised_entropy(chances.log())
    np.testing.assert_allclose(got, [0.0, 0.5, 1.0], atol=1e-6)
    assert normalised_entropy(torch.zeros(3, 1)).tolist() == [0.0] * 3
    assert normalised_entropy(torch.zeros(0, 4)).shape == (0,)


@pytest.mark.parametrize("seconds", [0.0, -1.0, math.nan, math.inf])
def test_a_wrong_time_is_named(seconds):
    with pytest.raises(ValueError, match=f"seconds is {seconds}; expected"):
        LabelFusion(seconds)
