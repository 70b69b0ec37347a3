# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Numbers that stay with objects from cloud to cloud."""

from __future__ import annotations

import numpy as np

from concerto_ros.objects.finding.boxes import upright_box
from concerto_ros.objects.finding.instances import Instance
from concerto_ros.objects.finding.tracking import Tracker

SECOND = 1_000_000_000
SIZE = 0.1


def cube(x: int, y: int = 0, side: int = 4) -> np.ndarray:
    """(side^3, 3) lattice indices of a cube."""
    return np.indices((side, side, side)).reshape(3, -1).T.astype(np.int32) + [x, y, 0]


def update(tracker: Tracker, stamp: int, *things: np.ndarray):
    index = np.concatenate([np.zeros((0, 3), np.int32), *things])
    ends = np.cumsum([len(thing) for thing in things])
    instances = []
    for end, thing in zip(ends, things, strict=True):
        points = (thing + 0.5) * SIZE
        rows = np.arange(end - len(thing), end)
        box = upright_box(points, SIZE)
        instances.append(Instance(rows, (), points.mean(axis=0), box, False))
    return tracker.update(instances, index, stamp)


def ids(tracker: Tracker, stamp: int, *things: np.ndarray) -> list[int]:
    return [track.id for track in update(tracker, stamp, *things)]


def test_numbers_begin_at_one_and_stay_in_whatever_order_objects_come():
    tracker = Tracker(5.0)
    assert ids(tracker, SECOND, cube(0), cube(10), cube(20)) == [1, 2, 3]
    assert ids(tracker, 2 * SECOND, cube(20), cube(0), cube(10)) == [3, 1, 2]


def test_an_object_is_the_one_it_shares_most_voxels_with():
    tracker = Tracker(5.0)
    ids(tracker, 1, cube(0), cube(4))
    assert ids(tracker, 2, cube(3), cube(30)) == [2, 3]


def test_each_number_goes_to_one_object_when_one_falls_in_two():
    tracker = Tracker(5.0)
    ids(tracker, 1, np.concatenate([cube(0, side=5), cube(5)]))
    assert ids(tracker, 2, cube(5), cube(0, side=5)) == [2, 1]


def test_an_object_that_moved_less_than_its_size_keeps_its_number():
    tracker = Tracker(5.0)
    ids(tracker, 1, np.concatenate([cube(0), cube(0, 4)]))
    assert ids(tracker, 2, np.concatenate([cube(4), cube(4, 4)])) == [1]
    assert ids(tracker, 3, np.concatenate([cube(14), cube(14, 4)])) == [2]


def test_an_object_out_of_sight_is_remembered_for_a_while_by_stamps():
    tracker = Tracker(5.0)
    (seen,) = update(tracker, 10 * SECOND, cube(0))
    assert ids(tracker, 12 * SECOND) == []
    (again,) = update(tracker, 15 * SECOND, cube(0))
    assert (again.id, again.first_seen, again.last_seen) == (seen.id, 10 * SECOND, 15 * SECOND)
    assert ids(tracker, 20 * SECOND + 1, cube(0)) == [2]


def test_numbers_are_never_given_twice():
    tracker = Tracker(0.5)
    given = [number for stamp in range(20) for number in ids(tracker, stamp * SECOND, cube(0))]
    assert given == list(range(1, 21))


def test_stamps_that_go_back_forget_all():
    tracker = Tracker(1000.0)
    ids(tracker, 10 * SECOND, cube(0), cube(10))
    assert ids(tracker, 9 * SECOND, cube(0), cube(10)) == [3, 4]


def test_nothing_at_all_is_no_trouble():
    tracker = Tracker(5.0)
    assert ids(tracker, 1) == [] and ids(tracker, 2) == []
    assert ids(tracker, 3, cube(0)) == [1]


def test_a_state_is_all_that_the_next_cloud_needs():
    first, second = Tracker(5.0), Tracker(5.0)
    both = np.concatenate([cube(0), cube(0, 4)])
    ids(first, SECOND, both, cube(20), cube(40))
    ids(first, 2 * SECOND, both, cube(40))  # the second one is known, but not seen
    second.restore(first.state())
    moved = np.concatenate([cube(4), cube(4, 4)])  # by its place, as it shares no voxel
    expected = update(first, 3 * SECOND, cube(60), cube(21), moved, cube(40))
    found = update(second, 3 * SECOND, cube(60), cube(21), moved, cube(40))
    assert [track.id for track in found] == [track.id for track in expected] == [4, 2, 1, 3]
    seen = [(track.first_seen, track.last_seen) for track in found]
    assert seen == [(track.first_seen, track.last_seen) for track in expected]
    second.restore({})
    assert ids(second, SECOND, cube(0)) == [1]
    second.restore(Tracker(5.0).state())
    assert ids(second, SECOND, cube(0)) == [1]
