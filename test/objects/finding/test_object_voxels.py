# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which voxels have the id of an object, by a search that is older than their labels."""

from __future__ import annotations

import numpy as np
import pytest

from concerto_ros.labels.label_set import UNLABELLED
from concerto_ros.mapping.map_snapshot import MapSnapshot
from concerto_ros.mapping.voxel_grid import pack
from concerto_ros.objects.finding.class_roles import ClassRoles
from concerto_ros.objects.finding.instances import LabelledCloud, find_instances
from concerto_ros.objects.finding.object_voxels import ObjectVoxels
from concerto_ros.objects.finding.tracking import Tracker

SECOND, SIZE = 1_000_000_000, 0.1
FLOOR, CHAIR = 0, 1
ROLES = ClassRoles(frozenset({CHAIR}), frozenset(), frozenset({FLOOR}))


def cube(x: int) -> np.ndarray:
    """(64, 3) lattice indices."""
    return np.indices((4, 4, 4)).reshape(3, -1).T.astype(np.int32) + [x, 0, 1]


#: Two chairs and a floor, rows sorted by (x, y, z).
INDEX = np.concatenate([cube(0), cube(10), [[x, 0, -3] for x in range(20)]])
INDEX = INDEX[np.argsort(pack(INDEX))]
LABEL = np.where(INDEX[:, 2] < 0, FLOOR, CHAIR).astype(np.uint8)


def snapshot(index: np.ndarray, stamp: int, first_seen: np.ndarray | int) -> MapSnapshot:
    count = len(index)
    nothing = np.zeros((count, 3), np.float32)
    return MapSnapshot(
        pack(index), index, ((index + 0.5) * SIZE).astype(np.float32), nothing,
        np.zeros(count, bool), nothing.copy(), nothing.copy(), np.full(count, stamp),
        np.broadcast_to(first_seen, count).copy(), stamp, np.zeros(3), SIZE, 1,
    )  # fmt: skip


@pytest.fixture
def searched() -> ObjectVoxels:
    """What a search in the map of second 10 found."""
    points = ((INDEX + 0.5) * SIZE).astype(np.float32)
    ones = np.ones(len(INDEX), np.float32)
    cloud = LabelledCloud(INDEX, points, LABEL, ones, SIZE, 10 * SECOND)
    instances = find_instances(cloud, ROLES, 10)
    return ObjectVoxels.of(Tracker(30.0).update(instances, INDEX, 10 * SECOND), cloud)


def ids(found: ObjectVoxels, index=INDEX, label=LABEL, stamp=10, first_seen=0, max_age=3.0):
    return found.ids_in(snapshot(index, stamp * SECOND, first_seen), label, max_age)


WANTED = np.where(INDEX[:, 2] < 0, 0, np.where(INDEX[:, 0] < 10, 1, 2))


def test_voxels_of_objects_have_their_id_and_the_others_none(searched):
    assert ids(searched).dtype == np.uint32
    np.testing.assert_array_equal(ids(searched), WANTED)


def test_a_newer_map_takes_over_the_ids_until_the_search_is_too_old(searched):
    np.testing.assert_array_equal(ids(searched, stamp=13), WANTED)
    assert not ids(searched, stamp=14).any()
    np.testing.assert_array_equal(ids(searched, stamp=14, max_age=4.0), WANTED)
    assert not ids(searched, stamp=9).any(), "time jumped back"


@pytest.mark.parametrize("came_back", [11, 10, 9])  # a late sensor may have seen it
def test_a_voxel_that_left_the_map_and_came_back_is_another_surface(searched, came_back):
    first_seen = np.where(np.arange(len(INDEX)) % 3, 0, came_back * SECOND)
    wanted = np.where(first_seen, 0, WANTED)
    np.testing.assert_array_equal(ids(searched, stamp=12, first_seen=first_seen), wanted)


def test_a_voxel_with_another_label_than_in_the_search_has_no_id(searched):
    label = LABEL.copy()
    label[::5] = UNLABELLED
    label[1::5] = FLOOR
    wanted = np.where(label == LABEL, WANTED, 0)
    assert wanted.any() and (wanted != WANTED).any()
    np.testing.assert_array_equal(ids(searched, label=label, stamp=11), wanted)


def test_voxels_that_are_new_or_gone_do_not_move_the_ids_of_others(searched):
    index = np.concatenate([INDEX[3:], [[5, 5, 5], [-9, 0, 0]]])
    order = np.argsort(pack(index))
    label = np.concatenate([LABEL[3:], [CHAIR, CHAIR]])[order]
    wanted = np.concatenate([WANTED[3:], [0, 0]])[order]
    np.testing.assert_array_equal(ids(searched, index[order], label), wanted)


def test_where_nothing_was_found_nothing_has_an_id():
    cloud = LabelledCloud(INDEX[:0], np.zeros((0, 3)), LABEL[:0], np.zeros(0), SIZE, 10 * SECOND)
    nothing = ObjectVoxels.of([], cloud)
    assert not ids(nothing).any() and len(ids(nothing)) == len(INDEX)
