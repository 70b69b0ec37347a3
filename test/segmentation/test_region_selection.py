# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which voxels are due for a prediction, against a slow reference that knows only dictionaries."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

from concerto_ros.mapping.voxel_cells import VoxelCells
from concerto_ros.segmentation.regions import selection
from concerto_ros.segmentation.regions.selection import (
    AMPLE,
    BLOCK,
    CLOSE,
    EVERYWHERE,
    FEW,
    LARGE,
    LEAST,
    MARGIN,
    MUCH,
    NEVER,
    PATIENCE,
    REFRESH,
    RINGS,
    SOME,
    TILE,
    WHOLE,
    History,
    select,
)

SECOND = 1_000_000_000
#: 0.2 s after a turn.
NOW = 1_001_800_000_000
LATELY = NOW - SECOND // 20  # no turn was since then


@pytest.fixture(autouse=True)
def small(request, monkeypatch):
    """Small maps in parts, and the smallest margin, except where these are what is tested."""
    if not {"enough", "small"} & set(request.node.name.split("_")):
        monkeypatch.setattr(selection, "LEAST", 0)
    if "ample" not in request.node.name:
        monkeypatch.setattr(selection, "LARGE", 2.0)


def floor(width: int, depth: int) -> np.ndarray:
    """(V, 3) every voxel of a floor, sorted."""
    x, y = np.meshgrid(np.arange(width), np.arange(depth), indexing="ij")
    return np.stack([x.ravel(), y.ravel(), 0 * x.ravel()], axis=1).astype(np.int32)


def history(index, *, predicted=LATELY, since=0, changed=(), unsettled=(), gone=()):
    """A map that was predicted lately, of which the rows ``changed`` and ``unsettled`` are so."""
    size = len(index)
    masks = np.zeros((2, size), bool)
    masks[0, list(changed)], masks[1, list(unsettled)] = True, True
    stamps = np.broadcast_to(np.asarray(predicted, np.int64), size).copy()
    first_seen = np.full(size, since)
    left = np.array(gone, np.int32).reshape(-1, 3)
    return History(VoxelCells.of(index), first_seen, stamps, *masks, left)


def blocks(index) -> set[tuple[int, ...]]:
    return {tuple(block) for block in (np.asarray(index) // BLOCK).tolist()}


def around(block, rings=1) -> set[tuple[int, ...]]:
    x, y, z = block
    steps = range(-rings, rings + 1)
    return {(x + i, y + j, z + k) for i in steps for j in steps for k in steps}


def test_nothing_is_due_where_nothing_changed():
    region = select(history(floor(128, 32)), NOW)
    assert len(region.rows) == len(region.core) == 0 and not region.unsettled.any()


def test_a_block_that_changed_is_predicted_and_those_around_it_are_seen():
    index = floor(BLOCK * 9, BLOCK * 9)
    there = np.flatnonzero((index // BLOCK == [4, 4, 0]).all(axis=1))
    region = select(history(index, changed=there), NOW)
    np.testing.assert_array_equal(region.core, there)
    beside = {(x, y, 0) for x, y, _ in around((4, 4, 0), CLOSE)}
    assert blocks(index[region.rows]) == blocks(index[region.unsettled]) == beside
    np.testing.assert_array_equal(region.rows[region.inner], region.core)


def test_at_a_turn_the_encoder_sees_more_around_it():
    index = floor(BLOCK * TILE, BLOCK * TILE)
    there = np.flatnonzero((index // BLOCK == [4, 4, 0]).all(axis=1))
    before = NOW - round(0.3 * SECOND)
    region = select(history(index, predicted=before, unsettled=there), NOW)
    np.testing.assert_array_equal(region.core, there)
    assert blocks(index[region.rows]) == {(x, y, 0) for x, y, _ in around((4, 4, 0), MARGIN)}
    assert not region.unsettled.any() and MARGIN > CLOSE


def test_between_blocks_that_are_due_all_are_predicted():
    index = floor(BLOCK * 12, BLOCK)
    along = index[:, 0] // BLOCK
    there = np.flatnonzero((along == 4) | (along == 6))
    region = select(history(index, changed=there), NOW)
    assert set(along[region.rows]) == {3, 4, 5, 6, 7}
    assert set(along[region.core]) == {4, 5, 6}
    assert set(along[region.unsettled]) == {3, 4, 6, 7}
    before = NOW - round(0.3 * SECOND)
    region = select(history(index, predicted=before, unsettled=there), NOW)
    assert set(along[region.rows]) == set(range(2, 9))
    assert set(along[region.core]) == {4, 5, 6}


def test_what_changes_less_waits():
    index = floor(BLOCK * 8, BLOCK)
    size = BLOCK**2  # of the first block, whose rows come first
    for count, waits in ((2 * FEW, False), (int(2 * MUCH * size), True)):
        region = select(history(index, changed=range(count)), NOW)
        assert len(region.core) == 0
        np.testing.assert_array_equal(np.flatnonzero(region.unsettled), range(size * waits))
    assert 2 * SOME * size < int(2 * MUCH * size)
    assert len(select(history(index, changed=range(int(2 * MUCH * size) + 1)), NOW).core) == size


def test_many_new_voxels_are_predicted_at_once():
    index = floor(BLOCK * 8, BLOCK)
    size = BLOCK**2
    most = max(FEW, int(SOME * size))
    for count, due in ((most, False), (most + 1, True)):
        predicted = np.full(len(index), LATELY)
        predicted[:count] = NEVER
        region = select(history(index, predicted=predicted, since=LATELY), NOW)
        assert len(region.core) == size * due


def test_the_neighbours_of_a_change_are_predicted_at_their_next_turn():
    index = floor(BLOCK * TILE, BLOCK)
    beside = np.flatnonzero(index[:, 0] // BLOCK == 5)
    for age, due in ((0.19, False), (0.21, True), (PATIENCE, True)):
        when = NOW - round(age * SECOND)
        region = select(history(index, predicted=when, unsettled=beside), NOW)
        assert set(beside) <= set(region.core) if due else len(region.core) == 0


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_unsettled_or_without_prediction_for_long(seed):
    random = np.random.default_rng(seed)
    index = (floor(BLOCK * TILE * 3, BLOCK) + random.integers(-5000, 5000, 3)).astype(np.int32)
    some = random.choice(len(index), 20, replace=False)
    predicted = np.full(len(index), NOW)
    predicted[some[:10]] = NEVER
    lately = history(index, predicted=predicted, since=NOW, unsettled=some[10:])
    waiting, now = set(some), NOW
    while waiting:
        now += round(random.uniform(0.02, 0.1) * SECOND)
        assert now < NOW + round((PATIENCE + 0.1) * SECOND)
        core = select(lately, now).core
        waiting -= set(some if core is None else core)


def test_the_neighbours_of_a_block_that_left_are_unsettled():
    index = floor(BLOCK * TILE, BLOCK)
    stays = index[:, 0] // BLOCK != 5
    region = select(history(index[stays], gone=index[~stays]), NOW)
    assert len(region.core) == 0
    assert blocks(index[stays][region.unsettled]) == {(4, 0, 0), (6, 0, 0)}


def test_voxels_that_left_far_from_the_map_are_no_matter():
    index = floor(BLOCK * 12, BLOCK)
    region = select(history(index, gone=[[-9_000, 5, 5], [1 << 20, 0, -(1 << 20)]]), NOW)
    assert len(region.core) == 0


def test_new_voxels_that_the_encoder_sees_anyway_are_predicted():
    index = floor(BLOCK * 16, BLOCK)
    when = np.full(len(index), NOW - 1)
    beside = np.flatnonzero(index[:, 0] == 4 * BLOCK)[:2]
    far = np.flatnonzero(index[:, 0] == 7 * BLOCK)[:2]
    when[np.concatenate([beside, far])] = NEVER
    changed = np.flatnonzero(index[:, 0] // BLOCK == 3)
    lately = history(index, predicted=when, since=NOW - 1, changed=changed)
    assert set(select(lately, NOW).core) == {*changed, *beside}
    long_ago = history(index, predicted=when, since=NOW - 2 * SECOND, changed=changed)
    assert {*changed, *beside, *far} < set(select(long_ago, NOW).core)


def test_around_a_small_change_the_encoder_sees_enough():
    index = floor(BLOCK * 60, BLOCK * 30)
    there = np.flatnonzero((index // BLOCK == [30, 15, 0]).all(axis=1))
    region = select(history(index, changed=there), NOW)
    assert LEAST <= len(region.rows) < 2 * LEAST
    away = np.abs(index // BLOCK - [30, 15, 0]).max(axis=1)
    np.testing.assert_array_equal(region.rows, np.flatnonzero(away <= 4))
    np.testing.assert_array_equal(region.core, np.flatnonzero(away <= 4 - MARGIN))


@pytest.mark.parametrize("gap", [1, 2, 3])
def test_enough_is_seen_across_a_gap(gap):
    index = floor(BLOCK * 60, BLOCK * 30)
    away = np.abs(index // BLOCK - [30, 15, 0]).max(axis=1)
    index, away = index[(away < 2) | (away >= 2 + gap)], away[(away < 2) | (away >= 2 + gap)]
    region = select(history(index, changed=np.flatnonzero(away == 0)), NOW)
    rings = next((n for n in range(1, RINGS) if np.count_nonzero(away <= n) >= LEAST), RINGS)
    np.testing.assert_array_equal(region.rows, np.flatnonzero(away <= rings))
    assert away[region.rows].max() == rings > 1 + gap


def test_the_margin_of_a_turn_reaches_across_a_gap():
    index = floor(BLOCK * 40, BLOCK)
    along = index[:, 0] // BLOCK
    index, along = index[along % 2 == 0], along[along % 2 == 0]
    there = np.flatnonzero(along == 20)
    predicted = np.full(len(index), LATELY)
    predicted[there] -= round(0.3 * SECOND)
    region = select(history(index, predicted=predicted, unsettled=there), NOW)
    np.testing.assert_array_equal(region.rows, np.flatnonzero(np.abs(along - 20) <= MARGIN))
    np.testing.assert_array_equal(region.core, there)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_where_much_of_the_map_changed_it_is_predicted_as_a_whole(share):
    index = floor(BLOCK * 40, BLOCK)
    changed = np.flatnonzero(index[:, 0] < share * BLOCK * 40)
    region = select(history(index, changed=changed), NOW)
    assert (region.rows is None) == (share > EVERYWHERE) == (region.core is None)
    assert region.rows is not None or not region.unsettled.any()


def test_where_a_lidar_adds_a_voxel_in_most_places_the_whole_map_is_predicted():
    index = floor(BLOCK * 40, BLOCK * 8)
    along = index[:, 0] // BLOCK
    one_of_each = (index % BLOCK == 0).all(axis=1)
    for last, whole in ((int(EVERYWHERE * 40), False), (int(EVERYWHERE * 40) + 1, True)):
        predicted = np.where(one_of_each & (along < last), NEVER, LATELY)
        region = select(history(index, predicted=predicted, since=LATELY), NOW)
        assert (region.core is None) == whole


@pytest.mark.parametrize("fewer", [0, 1])
def test_a_small_map_is_predicted_as_a_whole(fewer):
    index = floor(LEAST // 8, 8)[fewer:]
    region = select(history(index), NOW)
    assert (region.core is None) == (region.rows is None) == bool(fewer)


@pytest.mark.parametrize(("due", "seen"), [(2, 6), (8, 40)])
def test_at_a_turn_of_large_parts_the_encoder_sees_ample_space(due, seen):
    index = floor(BLOCK * 100, BLOCK * 40)
    column = BLOCK * BLOCK * 40
    assert 6 * column < LARGE * AMPLE < 12 * column < AMPLE
    assert 38 * column < AMPLE <= 40 * column
    along = index[:, 0] // BLOCK
    there = np.flatnonzero((along >= 50 - due // 2) & (along < 50 + due // 2))
    predicted = np.full(len(index), LATELY)
    predicted[there] -= round(0.3 * SECOND)
    region = select(history(index, predicted=predicted, unsettled=there), NOW)
    assert len(region.rows) == seen * column
    at_once = select(history(index, changed=there), NOW)
    assert len(at_once.rows) == (due + 2 * CLOSE) * column


def test_ample_space_ends_where_there_is_none_left():
    near, far = floor(BLOCK * 16, BLOCK * 40), floor(BLOCK * 40, BLOCK * 40)
    index = np.concatenate([near, far + np.array([4000, 0, 0], np.int32)])
    there = np.flatnonzero(index[:, 0] < 8 * BLOCK)
    predicted = np.full(len(index), LATELY)
    predicted[there] -= round(0.3 * SECOND)
    region = select(history(index, predicted=predicted, unsettled=there), NOW)
    np.testing.assert_array_equal(region.rows, np.arange(len(near)))


def test_where_most_of_the_map_is_seen_it_is_predicted_as_a_whole():
    index = floor(BLOCK * 40, BLOCK)
    along = index[:, 0] // BLOCK
    for last, whole in ((19, False), (39, True)):
        changed = np.flatnonzero((along % 3 == 0) & (along <= last))
        region = select(history(index, changed=changed), NOW)
        assert (region.rows is None) == whole == (last / 40 > WHOLE)


@pytest.mark.parametrize("seed", range(3))
def test_every_voxel_is_predicted_again_in_time_in_parts(seed):
    random = np.random.default_rng(seed)
    index = floor(BLOCK * TILE * 4, BLOCK * TILE * 2) + random.integers(-5000, 5000, 3)
    index = index.astype(np.int32)
    predicted = np.full(len(index), NOW)
    now, largest = NOW, 0.0
    while now < NOW + 3 * REFRESH * SECOND:
        now += round(random.uniform(0.05, 0.4) * SECOND)
        region = select(history(index, predicted=predicted), now)
        assert region.core is not None
        predicted[region.core] = now
        largest = max(largest, len(region.core) / len(index))
        assert predicted.min() >= now - REFRESH * SECOND
    assert 0 < largest <= 0.5


@pytest.mark.parametrize("seed", range(5))
def test_equals_a_slow_reference(seed):
    random = np.random.default_rng(seed)
    index = np.unique(random.integers(-40, 60, (40_000, 3)).astype(np.int32), axis=0)
    changed = np.flatnonzero(
        (random.random(len(index)) < 0.9) & (index > [40, 30, 30]).all(axis=1)
    )
    changed = np.union1d(changed, np.flatnonzero((np.abs(index + 30) < 6).all(axis=1)))
    entered = np.flatnonzero((index > [30, -40, 40]).all(axis=1) & (index[:, 1] < -20))[::2]
    gone = random.integers(-60, -44, (99, 3))
    predicted = np.full(len(index), LATELY)
    predicted[entered] = NEVER
    region = select(
        history(index, predicted=predicted, since=LATELY, changed=changed, gone=gone), NOW
    )

    size, changes = defaultdict(int), defaultdict(float)
    for block in (index // BLOCK).tolist():
        size[tuple(block)] += 1
    occupied = set(size)
    for block in [*(index[entered] // BLOCK).tolist(), *(gone // BLOCK).tolist()]:
        changes[tuple(block)] += 1
    for block in (index[changed] // BLOCK).tolist():
        changes[tuple(block)] += 0.5
    new_in = defaultdict(int)
    for block in (index[entered] // BLOCK).tolist():
        new_in[tuple(block)] += 1
    due = {block for block in changes if changes[block] > max(FEW, MUCH * size[block])}
    due |= {block for block in new_in if new_in[block] > max(FEW, SOME * size[block])}
    near = {other for block in due for other in around(block)}
    near |= {block for block in changes if changes[block] > max(FEW, SOME * size[block])}
    due &= occupied
    seen = {other for block in due for other in around(block, CLOSE)} & occupied
    settled = {block for block in seen if around(block, MARGIN) & occupied <= seen}
    due |= settled
    block_of = [tuple(at) for at in (index // BLOCK).tolist()]
    rows = [row for row, at in enumerate(block_of) if at in seen]
    new = set(entered)
    core = [row for row, at in enumerate(block_of) if at in due or (at in seen and row in new)]
    assert 0 < len(core) < len(rows) < WHOLE * len(index)
    np.testing.assert_array_equal(region.rows, rows)
    np.testing.assert_array_equal(region.core, core)
    unsettled = [at in near and at not in settled for at in block_of]
    np.testing.assert_array_equal(region.unsettled, unsettled)


def test_a_map_with_voxels_at_both_ends_of_the_world_needs_little_memory():
    far = np.array([[-(1 << 20)] * 3, [(1 << 20) - 1] * 3], np.int32)
    index = np.concatenate([far[:1], floor(10, 10), far[1:]])
    region = select(history(index, changed=range(99)), NOW)
    assert region.core is None or len(region.core)
