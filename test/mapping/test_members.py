# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What changed in a map from one snapshot to another, against a comparison of both."""

from __future__ import annotations

import numpy as np
import pytest

from concerto_ros.mapping.members import Members
from concerto_ros.mapping.voxel_map import VoxelMap
from concerto_ros.sensors.frame import Frame

SECOND = 1_000_000_000


def drive(seed: int, limits: dict, between: bool):
    """Snapshots of a small map around a robot that drives back and forth."""
    random = np.random.default_rng(seed)
    voxels = VoxelMap(0.5, window_seconds=2.0, **{"max_voxels": 1000, **limits})
    for number in range(30):
        robot = np.array([3 * np.sin(number / 3), 0, 0])
        points = (robot + random.uniform(-2, 2, (40, 3))).astype(np.float32)
        # Some come late, and some have equal stamps.
        stamp = 100 + 0.2 * number - (0.5 if number % 5 == 4 else 0.2 * (number % 2))
        voxels.insert(Frame(points, round(stamp * SECOND), "odom", origin=robot), robot)
        if number % 3 == 0:
            yield voxels.snapshot()
        elif between:
            voxels.snapshot()


@pytest.mark.parametrize("between", [False, True])
@pytest.mark.parametrize("limits", [{}, {"radius": 2.5}, {"max_voxels": 60}])
@pytest.mark.parametrize("seed", range(3))
def test_what_changed_is_what_differs(seed, limits, between):
    snapshots = list(drive(seed, limits, between))
    gone = entered = 0
    for number, now in enumerate(snapshots):
        for earlier in snapshots[:number]:
            changes = now.members.since(earlier.members)
            row = now.rows_in(earlier.keys, earlier.first_seen)
            new = np.flatnonzero(row < 0)
            left = np.ones(len(earlier), bool)
            left[row[row >= 0]] = False
            np.testing.assert_array_equal(changes.entered, new)
            np.testing.assert_array_equal(changes.gone, earlier.keys[left])
            same = np.setdiff1d(np.arange(len(now)), changes.seen)
            for name in ("slots", "points", "stamps", "sensor_directions"):
                np.testing.assert_array_equal(
                    getattr(now, name)[same], getattr(earlier, name)[row[same]]
                )
            stayed = row >= 0  # a voxel keeps its slot
            np.testing.assert_array_equal(now.slots[stayed], earlier.slots[row[stayed]])
            gone, entered = gone + left.sum(), entered + len(new)
    assert gone and entered


def test_slots_are_distinct_and_within_the_room():
    for snapshot in drive(0, {"radius": 2.5}, between=False):
        assert len(np.unique(snapshot.slots)) == len(snapshot)
        assert snapshot.members.room == 1 + snapshot.slots.max()


def test_a_voxel_that_left_and_came_back_at_the_same_time_is_another():
    voxels = VoxelMap(0.5, window_seconds=9, radius=3.0, max_voxels=100)
    near, far = np.zeros(3), np.array([9.0, 0, 0])
    point, elsewhere = np.zeros((1, 3), np.float32), np.array([[9, 0, 0]], np.float32)
    voxels.insert(Frame(point, SECOND, "odom"), near)
    first = voxels.snapshot()
    voxels.insert(Frame(elsewhere, SECOND, "odom"), far)
    voxels.snapshot()
    voxels.insert(Frame(point, SECOND, "odom"), near)
    back = voxels.snapshot()
    changes = back.members.since(first.members)
    np.testing.assert_array_equal(back.keys, first.keys)
    assert changes.entered.tolist() == [0] and len(changes.gone) == 1


def test_maps_that_have_nothing_in_common_are_not_compared():
    voxels = VoxelMap(0.5, window_seconds=9, max_voxels=100)
    voxels.insert(Frame(np.zeros((1, 3), np.float32), SECOND, "odom"), np.zeros(3))
    first = voxels.snapshot()
    voxels.insert(Frame(np.ones((1, 3), np.float32), SECOND, "odom"), np.zeros(3))
    second = voxels.snapshot()
    assert second.members.since(first.members) is not None
    assert first.members.since(second.members) is None  # it is the earlier one
    voxels.put(second)
    assert voxels.snapshot().members.since(second.members) is None
    alone = Members.alone(first.keys, first.first_seen)
    assert alone.since(Members.alone(first.keys, first.first_seen)) is None
