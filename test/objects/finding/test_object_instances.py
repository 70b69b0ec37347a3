# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Cutting single objects out of a labelled cloud of voxels."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from labelled_blocks import ID, LABELS, ROLES, SIZE, TABLE, block, cloud

from concerto_ros.labels.label_set import UNLABELLED, LabelSet
from concerto_ros.objects.finding.boxes import upright_box
from concerto_ros.objects.finding.class_roles import BACKGROUND, SUPPORTS, ClassRoles
from concerto_ros.objects.finding.components import (
    connected_components,
    neighbour_pairs,
    split_thin,
)
from concerto_ros.objects.finding.instances import LabelledCloud, find_instances


def names(instance) -> list[str]:
    return [LABELS.classes[label].name for label, _ in instance.votes]


def boxes_on_the_table(first="other", second="other"):
    return block((10, 10, 37), (18, 16, 44), first), block((30, 20, 37), (40, 30, 42), second)


# Connected components ----------------------------------------------------------------------------


def test_voxels_touch_by_face_edge_and_corner():
    random = np.random.default_rng(0)
    index = np.unique(random.integers(-4, 4, (150, 3)), axis=0)[random.permutation(100)]
    pairs = {tuple(sorted(pair)) for pair in neighbour_pairs(index).tolist()}
    far = np.abs(index[:, None] - index).max(axis=2)
    wanted = {(a, b) for a, b in itertools.combinations(range(100), 2) if far[a, b] == 1}
    assert pairs == wanted and len(neighbour_pairs(index)) == len(wanted)


def test_components_are_those_of_a_search_by_hand():
    random = np.random.default_rng(1)
    pairs = random.integers(0, 300, (240, 2))
    root, before = np.arange(300), None
    while not np.array_equal(root, before):
        before = root.copy()
        for a, b in pairs:
            root[a] = root[b] = min(root[a], root[b])
    assert connected_components(300, pairs).tolist() == root.tolist()


def test_a_long_chain_is_one_component():
    chain = np.random.default_rng(2).permutation(5000)
    pairs = np.stack([chain[:-1], chain[1:]], axis=1)
    assert (connected_components(5000, pairs) == 0).all()


def test_no_voxels_have_no_components():
    assert neighbour_pairs(np.zeros((0, 3), np.int32)).shape == (0, 2)
    assert find_instances(cloud(block((0, 0, 0), (0, 0, 0), "chair")), ROLES, 5) == []


# Things ------------------------------------------------------------------------------------------


def test_things_apart_are_two_objects_and_the_floor_is_none():
    scene = cloud(
        block((0, 0, 0), (80, 80, 1), "floor"),
        block((5, 5, 1), (15, 15, 20), "chair"),
        block((40, 40, 1), (50, 52, 20), "sofa"),
    )
    chair, sofa = find_instances(scene, ROLES, 20)
    assert (names(chair), names(sofa)) == (["chair"], ["sofa"])
    assert chair.votes[0][1] == pytest.approx(0.8)
    assert chair.count == np.count_nonzero(scene.label == ID["chair"])
    assert chair.centroid == pytest.approx([0.2, 0.2, 0.21], abs=1e-6)
    assert not chair.on_surface


def test_touching_things_of_other_classes_are_two_objects():
    scene = cloud(block((0, 0, 0), (10, 10, 20), "chair"), block((10, 0, 0), (30, 10, 20), "bed"))
    assert [names(found) for found in find_instances(scene, ROLES, 20)] == [["chair"], ["bed"]]


def test_a_patch_of_another_label_goes_with_what_it_lies_on():
    scene = cloud(
        block((4, 0, 8), (8, 1, 11), "sofa"),
        block((0, 0, 0), (20, 20, 20), "chair"),
    )
    (chair,) = find_instances(scene, ROLES, 20)
    assert names(chair) == ["chair", "sofa"] and chair.count == len(scene.label)
    assert chair.votes[1][1] == pytest.approx(0.8 * 12 / len(scene.label), rel=1e-5)


def test_only_the_chosen_classes_are_objects():
    scene = cloud(block((0, 0, 0), (9, 9, 9), "chair"), block((40, 0, 0), (49, 9, 9), "wall"))
    (wall,) = find_instances(scene, ClassRoles.of(LABELS, ["wall"]), 20)
    assert names(wall) == ["wall"]


def test_fewer_voxels_than_the_minimum_are_no_object():
    three = block((0, 0, 0), (3, 1, 1), "chair")
    assert find_instances(cloud(three), ROLES, 4) == []
    (found,) = find_instances(cloud(three), ROLES, 3)
    assert found.count == 3 and found.box.size == pytest.approx([0.04, SIZE, SIZE])


def test_points_that_are_not_finite_are_left_out():
    scene = cloud(block((0, 0, 0), (9, 9, 9), "chair"))
    scene.points[[3, 70]] = np.nan
    scene.points[11, 2] = np.inf
    (chair,) = find_instances(scene, ROLES, 20)
    assert not np.isin([3, 11, 70], chair.rows).any()
    assert np.isfinite(chair.centroid).all() and np.isfinite(chair.box.size).all()
    scene.points[:] = np.nan
    assert find_instances(scene, ROLES, 20) == []


def test_the_order_of_the_voxels_does_not_matter():
    scene = cloud(*TABLE, *boxes_on_the_table(), block((70, 0, 0), (80, 9, 9), "chair"))
    shuffled = np.random.default_rng(3).permutation(len(scene.label))
    other = LabelledCloud(
        scene.index[shuffled],
        scene.points[shuffled],
        scene.label[shuffled],
        scene.confidence[shuffled],
        SIZE,
    )
    wanted = {frozenset(found.rows.tolist()) for found in find_instances(scene, ROLES, 20)}
    found = {frozenset(shuffled[one.rows].tolist()) for one in find_instances(other, ROLES, 20)}
    assert len(found) == 4 and found == wanted


# Thin places -------------------------------------------------------------------------------------


def test_two_chairs_that_touch_by_a_line_are_two_objects():
    scene = cloud(
        block((0, 0, 0), (12, 12, 12), "chair"),
        block((12, 4, 6), (16, 5, 7), "chair"),
        block((16, 0, 0), (28, 12, 12), "chair"),
    )
    left, right = find_instances(scene, ROLES, 30)
    assert left.count + right.count == len(scene.label)
    assert left.centroid[0] == pytest.approx(0.12, abs=0.01)
    assert right.centroid[0] == pytest.approx(0.44, abs=0.01)


def test_the_back_of_a_chair_stays_on_its_seat():
    scene = cloud(
        block((0, 0, 20), (20, 20, 23), "chair"),
        block((0, 1, 23), (1, 2, 30), "chair"),
        block((0, 18, 23), (1, 19, 30), "chair"),
        block((0, 0, 30), (2, 20, 44), "chair"),
        *(block((x, y, 0), (x + 1, y + 1, 20), "chair") for x in (0, 19) for y in (0, 19)),
    )
    (chair,) = find_instances(scene, ROLES, 30)
    assert chair.count == len(scene.label)


def test_a_thing_of_thin_parts_alone_is_not_divided():
    index, _ = block((0, 0, 0), (40, 1, 1), "chair")
    part = np.zeros(40, np.int64)
    assert split_thin(index, part, neighbour_pairs(index), 5).tolist() == part.tolist()


# Tables ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("label", ["other", "table", "screen", UNLABELLED])
def test_what_stands_on_a_table_is_an_object_whatever_its_label(label):
    scene = cloud(*TABLE, *boxes_on_the_table(label, label))
    table, *boxes = find_instances(scene, ROLES, 20)
    assert len(boxes) == 2 and all(box.on_surface for box in boxes) and not table.on_surface
    assert boxes[0].box.center == pytest.approx([0.28, 0.26, 0.81], abs=0.011)
    assert boxes[1].box.size == pytest.approx([0.18, 0.18, 0.08], abs=0.021)
    # that it stands on a table is known to speak against its being one
    assert names(boxes[0]) == ([label] if label in ("other", "screen") else [])


def test_a_chair_drawn_up_to_a_table_does_not_stand_on_it():
    scene = cloud(
        *TABLE,
        block((24, -8, 0), (36, 8, 25), "chair"),
        block((24, -8, 25), (36, -6, 50), "chair"),
    )
    found = find_instances(scene, ROLES, 20)
    assert sorted(names(one)[0] for one in found) == ["chair", "table"]
    assert not any(one.on_surface for one in found)


def test_a_part_of_the_top_that_is_called_something_else_joins_nothing():
    patch = block((8, 8, 35), (45, 35, 37), "other")
    scene = cloud(patch, *TABLE, *boxes_on_the_table())
    table, *standing = find_instances(scene, ROLES, 20)
    assert [one.box.size[2] for one in standing] == pytest.approx([0.12, 0.08], abs=0.021)
    assert all(one.on_surface for one in standing)
    assert names(table) == ["table", "other"]


def test_the_lowest_voxels_of_a_thing_may_lie_in_the_top():
    box = block((10, 10, 36), (18, 16, 44), "other")
    _, found = find_instances(cloud(box, *TABLE), ROLES, 20)
    assert found.on_surface and found.box.size[2] == pytest.approx(0.14)


def test_the_wall_behind_a_table_does_not_stand_on_it():
    scene = cloud(*TABLE, block((0, 40, 0), (60, 41, 80), "wall"))
    (table,) = find_instances(scene, ROLES, 20)
    assert names(table) == ["table"]


def test_a_lamp_over_a_table_does_not_stand_on_it():
    scene = cloud(*TABLE, block((20, 20, 60), (28, 28, 66), "other"))
    assert not any(one.on_surface for one in find_instances(scene, ROLES, 20))


def test_the_upper_shelves_of_a_cupboard_do_not_stand_on_the_lower_ones():
    levels = [block((0, 0, z), (50, 20, z + 2), "cabinet") for z in (20, 36)]
    back = block((0, 18, 0), (50, 20, 60), "cabinet")
    (cupboard,) = find_instances(cloud(*levels, back), ROLES, 20)
    assert names(cupboard) == ["cabinet"] and not cupboard.on_surface


def test_a_noisy_table_holds_nothing():
    random = np.random.default_rng(4)
    ground = random.uniform((0, 0), (1.2, 0.8), (40_000, 2))
    points = np.column_stack([ground, 0.74 + random.normal(0, 0.005, len(ground))])
    index, row = np.unique(np.floor(points / SIZE).astype(np.int32), axis=0, return_inverse=True)
    count = np.bincount(row.ravel())
    mean = np.stack([np.bincount(row.ravel(), axis) / count for axis in points.T], axis=1)
    scene = LabelledCloud(
        index,
        mean.astype(np.float32),
        np.full(len(index), ID["table"], np.uint8),
        np.ones(len(index), np.float32),
        SIZE,
    )
    (table,) = find_instances(scene, ROLES, 10)
    assert not table.on_surface


# Boxes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("degrees", [-89.0, -60.0, -10.0, 0.0, 25.0, 45.0, 80.0])
def test_a_box_finds_its_turn_about_z(degrees):
    yaw = math.radians(degrees)
    turn = np.array([[math.cos(yaw), -math.sin(yaw), 0], [math.sin(yaw), math.cos(yaw), 0]])
    turn = np.vstack([turn, [0, 0, 1]])
    corners = np.array(list(itertools.product((-0.3, 0.3), (-0.1, 0.1), (0, 0.4))))
    box = upright_box(corners @ turn.T + [50, -20, 1], 0.01)
    assert box.center == pytest.approx([50, -20, 1.2], abs=1e-6)
    assert box.size == pytest.approx([0.6, 0.2, 0.4], abs=1e-6)
    assert (box.yaw - yaw + math.pi / 2) % math.pi == pytest.approx(math.pi / 2, abs=1e-6)
    assert -math.pi / 2 <= box.yaw < math.pi / 2


def test_no_turn_gives_a_smaller_footprint():
    points = np.random.default_rng(5).normal(size=(200, 3)) * [1, 0.4, 0.2]
    box = upright_box(points, 0.01)
    for turn in np.linspace(0, math.pi / 2, 500):
        x = points[:, 0] * math.cos(turn) + points[:, 1] * math.sin(turn)
        y = points[:, 1] * math.cos(turn) - points[:, 0] * math.sin(turn)
        assert box.size[0] * box.size[1] <= np.ptp(x) * np.ptp(y) * (1 + 1e-5)


@pytest.mark.parametrize(
    ("points", "size"),
    [
        ([[1, 2, 3]], [0.02, 0.02, 0.02]),
        ([[1, 2, 3]] * 4, [0.02, 0.02, 0.02]),
        ([[0, 0, 0], [0, 1, 0]], [1, 0.02, 0.02]),
        ([[0, 0, 0], [0, 0, 1], [0, 0, 2]], [0.02, 0.02, 2]),
    ],
)
def test_points_without_extent_have_a_box_of_a_voxel(points, size):
    box = upright_box(np.array(points, float), 0.02)
    assert box.size == pytest.approx(size) and box.center == pytest.approx(np.mean(points, axis=0))


# Roles of classes --------------------------------------------------------------------------------


def test_background_and_tables_are_known_in_every_shipped_set():
    known = set()
    for name in LabelSet.shipped():
        labels = LabelSet.load(name)
        roles = ClassRoles.of(labels)
        assert roles.things and not roles.things & roles.background
        known |= {entry.name for entry in labels.classes}
    assert known >= BACKGROUND | SUPPORTS
    assert {ID["floor"], ID["wall"]} <= ROLES.background and ID["other"] in ROLES.things
    assert ROLES.supports == {ID["table"], ID["cabinet"]}


@pytest.mark.parametrize(("things", "supports"), [(["mug"], []), ([], ["mug"])])
def test_a_class_that_the_set_does_not_have_is_named(things, supports):
    with pytest.raises(ValueError, match="got 'mug', expected classes of demo: floor"):
        ClassRoles.of(LABELS, things, supports)
