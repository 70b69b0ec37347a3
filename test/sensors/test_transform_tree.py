# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""TransformTree against float64 references (scipy), and the questions tf2 refuses."""

from __future__ import annotations

from types import SimpleNamespace as Attributes

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation, Slerp

from concerto_ros.sensors.transform_tree import TransformTree, TransformUnavailable

SECOND = 1_000_000_000


def stamped(parent, child, seconds=0.0, translation=(0, 0, 0), quaternion=(0, 0, 0, 1)):
    nanoseconds = round(seconds * SECOND)
    return Attributes(
        header=Attributes(
            frame_id=parent,
            stamp=Attributes(sec=nanoseconds // SECOND, nanosec=nanoseconds % SECOND),
        ),
        child_frame_id=child,
        transform=Attributes(
            translation=Attributes(**dict(zip("xyz", translation, strict=True))),
            rotation=Attributes(**dict(zip("xyzw", quaternion, strict=True))),
        ),
    )


def matrix(transform):
    out = np.eye(4)
    out[:3, :3], out[:3, 3] = transform.rotation, transform.translation
    return out


def pose(generator):
    return generator.uniform(-50, 50, 3), Rotation.random(random_state=generator)


def pose_matrix(translation, rotation):
    out = np.eye(4)
    out[:3, :3], out[:3, 3] = rotation.as_matrix(), translation
    return out


def refusal(tree, target, source, seconds):
    with pytest.raises(TransformUnavailable) as caught:
        tree.lookup(target, source, round(seconds * SECOND))
    return caught.value


def moving_tree(*seconds):
    """base moves along x in odom, one metre a second."""
    tree = TransformTree(cache_seconds=10)
    for time in seconds:
        tree.insert(stamped("odom", "base", time, (time, 0, 0)))
    return tree


# --- what it answers ----------------------------------------------------------------------------


def test_a_point_of_the_source_is_taken_into_the_target():
    tree = TransformTree()
    quarter_turn_left = Rotation.from_euler("z", 90, degrees=True).as_quat()
    tree.insert(stamped("odom", "base", 5, (1, 2, 3), quarter_turn_left))
    found = tree.lookup("odom", "base", 5 * SECOND)
    np.testing.assert_allclose(found.rotation @ [1, 0, 0] + found.translation, [1, 3, 3])
    assert found.rotation.dtype == found.translation.dtype == np.float64


def test_a_frame_in_itself_is_the_identity_even_if_nobody_knows_it():
    np.testing.assert_array_equal(matrix(TransformTree().lookup("lidar", "lidar", 7)), np.eye(4))


def test_between_two_transforms_it_interpolates_linearly_and_by_slerp():
    generator = np.random.default_rng(0)
    tree = TransformTree()
    (move_a, turn_a), (move_b, turn_b) = pose(generator), pose(generator)
    # -q is the same rotation as q: interpolation must still go the short way round
    tree.insert(stamped("odom", "base", 100, move_a, turn_a.as_quat()))
    tree.insert(stamped("odom", "base", 102, move_b, -turn_b.as_quat()))
    turns = Slerp([100, 102], Rotation.concatenate([turn_a, turn_b]))
    for time in np.linspace(100, 102, 9):
        expected = pose_matrix(move_a + (move_b - move_a) * (time - 100) / 2, turns(time))
        found = matrix(tree.lookup("odom", "base", round(time * SECOND)))
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_nearly_equal_rotations_interpolate_without_loss_of_digits():
    tree = TransformTree()
    small = 1e-9
    tree.insert(stamped("odom", "base", 0))
    tree.insert(stamped("odom", "base", 1, quaternion=(0, 0, np.sin(small / 2), 1)))
    found = tree.lookup("odom", "base", SECOND // 2)
    np.testing.assert_allclose(found.rotation[1, 0], small / 2, rtol=1e-6)


def test_opposite_quaternions_are_one_rotation():
    tree = TransformTree()
    tree.insert(stamped("odom", "base", 0, quaternion=(0, 0, 0, 1)))
    tree.insert(stamped("odom", "base", 1, quaternion=(0, 0, 0, -1)))
    np.testing.assert_array_equal(tree.lookup("odom", "base", SECOND // 3).rotation, np.eye(3))


def test_a_static_transform_holds_at_all_times_and_the_last_one_counts():
    tree = TransformTree()
    tree.insert(stamped("base", "camera", 50, (1, 0, 0)), static=True)
    tree.insert(stamped("base", "camera", 20, (2, 0, 0)), static=True)
    for stamp in (0, 50 * SECOND, 2_000_000_000 * SECOND):
        assert tree.lookup("base", "camera", stamp).translation[0] == 2


def test_frame_names_with_a_leading_slash_are_the_same_frames():
    tree = TransformTree()
    tree.insert(stamped("/odom", "/base", 1, (1, 0, 0)))
    assert tree.lookup("odom", "/base", SECOND).translation[0] == 1


def test_a_quaternion_slightly_off_length_1_is_normalised():
    tree = TransformTree()
    tree.insert(stamped("odom", "base", 1, quaternion=(0, 0, 0, 1.004)))
    np.testing.assert_array_equal(tree.lookup("odom", "base", SECOND).rotation, np.eye(3))


def test_only_the_way_to_the_common_frame_needs_data():
    tree = moving_tree(5, 6)
    tree.insert(stamped("base", "camera", 0, (0, 0, 1)), static=True)
    tree.insert(stamped("base", "lidar", 0, (0, 0, 3)), static=True)
    # odom -> base knows nothing about second 9, but camera and lidar both hang on base
    assert tree.lookup("camera", "lidar", 9 * SECOND).translation[2] == 2


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    parents=st.lists(st.integers(0, 10**6), min_size=1, max_size=12),
    share=st.floats(0, 1),
)
def test_random_trees_answer_the_composition_of_their_links(seed, parents, share):
    """Frame i + 1 hangs on any of the frames 0..i; half of the links move."""
    generator = np.random.default_rng(seed)
    tree = TransformTree()
    in_root = {0: np.eye(4)}
    time = 10 + share
    for child, pick in enumerate(parents, 1):
        parent = pick % child
        (move_a, turn_a), (move_b, turn_b) = pose(generator), pose(generator)
        if pick % 2:
            tree.insert(stamped(str(parent), str(child), 3, move_a, turn_a.as_quat()), static=True)
            link = pose_matrix(move_a, turn_a)
        else:
            tree.insert(stamped(str(parent), str(child), 10, move_a, turn_a.as_quat()))
            tree.insert(stamped(str(parent), str(child), 11, move_b, turn_b.as_quat()))
            stamp = round(time * SECOND)
            part = (stamp - 10 * SECOND) / SECOND
            turn = Slerp([0, 1], Rotation.concatenate([turn_a, turn_b]))(part)
            link = pose_matrix(move_a + (move_b - move_a) * part, turn)
        in_root[child] = in_root[parent] @ link
    a, b = generator.integers(0, len(in_root), 2)
    found = matrix(tree.lookup(str(a), str(b), round(time * SECOND)))
    np.testing.assert_allclose(found, np.linalg.inv(in_root[a]) @ in_root[b], atol=1e-9)
    back = matrix(tree.lookup(str(b), str(a), round(time * SECOND)))
    np.testing.assert_allclose(back @ found, np.eye(4), atol=1e-9)
    assert tree.root_of(str(b)) == "0"


# --- what it refuses ----------------------------------------------------------------------------


def test_the_future_is_not_extrapolated_but_may_still_come():
    error = refusal(moving_tree(5, 6), "odom", "base", 6.000000001)
    assert (error.reason, error.retry) == ("no_transform", True)
    assert "'base'" in str(error) and "6.000000000 s" in str(error)


def test_the_past_is_not_extrapolated_and_will_not_come():
    error = refusal(moving_tree(5, 6), "odom", "base", 4.999999999)
    assert (error.reason, error.retry) == ("no_transform", False)


def test_what_is_older_than_the_cache_is_forgotten():
    tree = moving_tree(*np.arange(0, 30, 0.5))
    assert not refusal(tree, "odom", "base", 15).retry
    assert tree.lookup("odom", "base", 20 * SECOND).translation[0] == 20
    assert not tree.insert(stamped("odom", "base", 15))
    assert not refusal(tree, "odom", "base", 15).retry


def test_of_a_transform_rarer_than_the_cache_the_last_two_are_kept():
    tree = moving_tree(0, 25)
    assert tree.lookup("odom", "base", 20 * SECOND).translation[0] == 20


def test_a_single_transform_answers_only_for_its_own_stamp():
    tree = moving_tree(5)
    assert tree.lookup("odom", "base", 5 * SECOND).translation[0] == 5
    assert refusal(tree, "odom", "base", 5.1).retry
    assert not refusal(tree, "odom", "base", 4.9).retry


def test_stamp_zero_is_a_time_and_never_means_the_latest():
    assert not refusal(moving_tree(5, 6), "odom", "base", 0).retry


def test_frames_nobody_mentioned_may_still_come():
    assert refusal(TransformTree(), "odom", "base", 1).retry
    error = refusal(moving_tree(1, 2), "map", "base", 1.5)
    assert error.retry and "'map' is not in the tree" in str(error)


def test_two_trees_may_still_grow_together():
    tree = moving_tree(1, 2)
    tree.insert(stamped("earth", "station"), static=True)
    error = refusal(tree, "earth", "base", 1.5)
    assert (error.reason, error.retry) == ("no_transform", True)


def test_one_side_of_the_way_in_the_past_is_enough_to_give_up():
    tree = moving_tree(5, 6)
    tree.insert(stamped("map", "odom", 0), static=True)
    assert not refusal(tree, "map", "base", 4).retry
    # but here the arm's transform may come, and meet the camera at base
    tree.insert(stamped("base", "camera"), static=True)
    tree.insert(stamped("base", "arm", 3))
    assert refusal(tree, "arm", "camera", 4).retry


@pytest.mark.parametrize("target, source", [("a", "b"), ("b", "a"), ("a", "c"), ("x", "c")])
def test_a_loop_is_found_and_named(target, source):
    tree = TransformTree()
    for parent, child in (("a", "b"), ("b", "c"), ("c", "a")):
        tree.insert(stamped(parent, child), static=True)
    error = refusal(tree, target, source, 1)
    assert (error.reason, error.retry) == ("transform_loop", False)
    with pytest.raises(TransformUnavailable) as caught:
        tree.root_of("c")
    assert caught.value.reason == "transform_loop"


def test_a_loop_elsewhere_does_no_harm():
    tree = moving_tree(1, 2)
    tree.insert(stamped("a", "b"), static=True)
    tree.insert(stamped("b", "a"), static=True)
    assert tree.lookup("odom", "base", SECOND).translation[0] == 1


@pytest.mark.parametrize(
    "wrong, text",
    [
        (dict(quaternion=(0, 0, 0, 0)), "length 0"),
        (dict(quaternion=(0, 0, 0, 2)), "length 2"),
        (dict(quaternion=(0, 0, float("nan"), 1)), "finite"),
        (dict(translation=(0, float("inf"), 0)), "finite"),
        (dict(parent="base"), "itself as parent"),
        (dict(parent=""), "frame name"),
        (dict(child="/"), "frame name"),
    ],
)
def test_a_transform_that_makes_no_sense_is_refused_and_changes_nothing(wrong, text):
    tree = moving_tree(1, 2)
    with pytest.raises(ValueError, match=text):
        tree.insert(stamped(**{"parent": "odom", "child": "base", "seconds": 3, **wrong}))
    assert refusal(tree, "odom", "base", 2.5).retry


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_a_cache_without_length_is_refused(seconds):
    with pytest.raises(ValueError, match="cache_seconds"):
        TransformTree(seconds)


# --- how it changes -----------------------------------------------------------------------------


def test_transforms_may_arrive_out_of_order():
    tree = moving_tree(9, 5, 7, 6, 8)
    for time in (5, 5.5, 6.25, 8.75, 9):
        found = tree.lookup("odom", "base", round(time * SECOND)).translation[0]
        assert found == pytest.approx(time)


def test_of_repeated_stamps_the_last_one_counts_from_there_on():
    tree = moving_tree(1, 2)
    tree.insert(stamped("odom", "base", 2, (100, 0, 0)))
    assert tree.lookup("odom", "base", 2 * SECOND).translation[0] == 100
    assert tree.lookup("odom", "base", 2 * SECOND - 1).translation[0] == pytest.approx(2)


def test_a_child_may_get_a_new_parent_which_counts_from_its_stamp_on():
    tree = TransformTree()
    tree.insert(stamped("map", "cup", 1, (1, 0, 0)))
    tree.insert(stamped("map", "cup", 2, (2, 0, 0)))
    tree.insert(stamped("map", "hand", 0, (0, 5, 0)), static=True)
    tree.insert(stamped("hand", "cup", 3, (0, 0, 0.1)))
    tree.insert(stamped("hand", "cup", 4, (0, 0, 0.2)))
    # between two parents tf2 takes the older transform as it is
    np.testing.assert_array_equal(
        tree.lookup("map", "cup", 5 * SECOND // 2).translation, [2, 0, 0]
    )
    np.testing.assert_allclose(tree.lookup("map", "cup", 4 * SECOND).translation, [0, 5, 0.2])
    assert tree.root_of("cup") == "map"


def test_a_child_may_turn_from_moving_to_static_and_back():
    tree = moving_tree(1, 2)
    tree.insert(stamped("odom", "base", 0, (7, 0, 0)), static=True)
    assert tree.lookup("odom", "base", 99 * SECOND).translation[0] == 7
    tree.insert(stamped("odom", "base", 3, (3, 0, 0)))
    assert refusal(tree, "odom", "base", 99).retry


def test_clear_forgets_what_moves_and_keeps_what_was_sent_only_once():
    tree = moving_tree(100, 101)
    tree.insert(stamped("base", "camera", 0, (0, 0, 1)), static=True)
    tree.clear()
    assert refusal(tree, "odom", "base", 100).retry
    assert tree.lookup("base", "camera", 1).translation[2] == 1
    # after a restart of the clock, old times are new again
    assert tree.insert(stamped("odom", "base", 1, (1, 0, 0)))
    assert tree.lookup("odom", "base", SECOND).translation[0] == 1


def test_root_of_a_frame_nobody_knows_is_the_frame():
    assert TransformTree().root_of("/velodyne") == "velodyne"
