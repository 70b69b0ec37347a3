# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Augmentations change what they say and nothing else."""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from concerto_ros.cli.train.arguments import augmentation
from concerto_ros.learning.data import augment
from concerto_ros.learning.data.elastic import smooth_noise
from concerto_ros.learning.data.labelled_scan import NO_NAME, Scan
from concerto_ros.learning.data.random_point import RandomPoint
from concerto_ros.mapping.voxel_grid import voxel_keys

EVERY = [
    augment.Centre(),
    augment.Rotate("x", np.pi),
    augment.Rotate("y", np.pi),
    augment.Rotate("z", np.pi),
    augment.Flip(),
    augment.Scale(),
    augment.Jitter(),
    augment.Elastic(),
    augment.DropPoints(),
    augment.CropSphere(20, 0.5),
    augment.AutoContrast(1.0),
    augment.ShiftColors(),
    augment.JitterColors(),
    augment.indoor(),
    augment.outdoor(),
]
NAMES = [type(step).__name__ for step in EVERY]


def room(count=200, seed=0, colors=True, normals=True):
    """A scan whose label is the index of the point, so that each point is known by it."""
    random = np.random.default_rng(seed)
    points = random.uniform(-4, 4, (count, 3)).astype(np.float32)
    vectors = random.normal(size=(count, 3))
    unit = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return Scan(
        "room",
        points,
        np.arange(count).astype(np.uint8),
        random.integers(0, 256, (count, 3), dtype=np.uint8) if colors else None,
        unit if normals else None,
    )


def arrays(scan):
    return [a for a in (scan.points, scan.labels, scan.colors, scan.normals) if a is not None]


@pytest.mark.parametrize("step", EVERY, ids=NAMES)
@settings(deadline=None, max_examples=15)
@given(
    count=st.integers(1, 200), seed=st.integers(0, 99), colors=st.booleans(), normals=st.booleans()
)
def test_a_scan_stays_a_scan_and_the_one_given_stays_as_it_is(step, count, seed, colors, normals):
    scan = room(count, seed, colors, normals)
    before = [a.copy() for a in arrays(scan)]
    result = step(scan, np.random.default_rng(seed))
    for now, then in zip(arrays(scan), before, strict=True):
        np.testing.assert_array_equal(now, then)
    assert 1 <= len(result) <= count
    assert np.isfinite(result.points).all()
    # every label that is left is the one of its point
    assert len(set(result.labels.tolist())) == len(result)
    if result.normals is not None:
        np.testing.assert_allclose(np.linalg.norm(result.normals, axis=1), 1, atol=1e-5)
    again = step(scan, np.random.default_rng(seed))
    for one, other in zip(arrays(result), arrays(again), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("step", EVERY[:-2], ids=NAMES[:-2])
def test_points_move_alike_with_and_without_colours(step):
    a = step(room(), np.random.default_rng(5))
    b = step(room(colors=False), np.random.default_rng(5))
    np.testing.assert_array_equal(a.points, b.points)


@pytest.mark.parametrize("axis", "xyz")
def test_a_rotation_keeps_its_axis_and_turns_normals_with_points(axis):
    scan = room()
    scan = Scan("s", scan.points, scan.labels, None, scan.points / 8)  # a normal along each point
    turned = augment.Rotate(axis, np.pi)(scan, np.random.default_rng(1))
    np.testing.assert_allclose(turned.normals * 8, turned.points, atol=1e-5)
    place = "xyz".index(axis)
    np.testing.assert_allclose(turned.points[:, place], scan.points[:, place], atol=1e-5)
    assert np.abs(turned.points - scan.points).max() > 0.1
    np.testing.assert_allclose(  # a turn, no mirror: the volume of three points keeps its sign
        np.linalg.det(turned.points[:3].astype(float)),
        np.linalg.det(scan.points[:3].astype(float)),
        rtol=1e-4,
    )


def test_rotations_reach_all_angles_given_and_no_more():
    scan = Scan("s", np.array([[1, 0, 0]], np.float32), np.zeros(1, np.uint8))
    step = augment.Rotate("z", 0.5)
    random = np.random.default_rng(0)
    points = np.concatenate([step(scan, random).points for _ in range(300)])
    angles = np.arctan2(points[:, 1], points[:, 0])
    assert -0.5 <= angles.min() < -0.45 and 0.45 < angles.max() <= 0.5


def test_a_probability_is_the_share_of_scans_that_change():
    scan, random = room(10), np.random.default_rng(0)
    changed = sum(augment.Rotate("z", np.pi, 0.25)(scan, random) is not scan for _ in range(1000))
    assert 200 < changed < 300


def test_a_flip_mirrors_x_or_y_and_never_z():
    scan, random, seen = room(5), np.random.default_rng(0), set()
    for _ in range(40):
        flipped = augment.Flip()(scan, random)
        signs = np.rint(flipped.points / scan.points)
        assert (signs == signs[0]).all()
        np.testing.assert_array_equal(flipped.normals, scan.normals * signs)
        seen.add(tuple(signs[0].astype(int).tolist()))
    assert seen == {(1, 1, 1), (-1, 1, 1), (1, -1, 1), (-1, -1, 1)}


def test_centre_is_that_of_the_indoor_models():
    centred = augment.Centre()(room(), np.random.default_rng(0)).points
    low, high = centred.min(axis=0), centred.max(axis=0)
    np.testing.assert_allclose(low[:2], -high[:2], atol=1e-5)
    assert low[2] == 0


def test_jitter_moves_points_by_no_more_than_the_clip():
    scan = room(5000)
    moved = augment.Jitter(0.005, 0.02)(scan, np.random.default_rng(0)).points - scan.points
    assert np.abs(moved).max() <= 0.0201
    assert 0.0045 < moved.std() < 0.0055


def test_dropping_leaves_the_share_given_in_order():
    scan = room(100)
    rest = augment.DropPoints(0.2)(scan, np.random.default_rng(0))
    assert len(rest) == 80 and (np.diff(rest.labels.astype(int)) > 0).all()
    np.testing.assert_array_equal(rest.points, scan.points[rest.labels])
    np.testing.assert_array_equal(rest.colors, scan.colors[rest.labels])
    np.testing.assert_array_equal(rest.normals, scan.normals[rest.labels])
    assert len(augment.DropPoints(1.0)(scan, np.random.default_rng(0))) == 1


@settings(deadline=None, max_examples=25)
@given(voxels=st.integers(1, 60), size=st.floats(0.05, 3), seed=st.integers(0, 50))
def test_a_crop_is_the_largest_ball_within_its_voxels(voxels, size, seed):
    scan = room(200, seed)
    crop = augment.CropSphere(voxels, size)(scan, np.random.default_rng(seed))
    used = len(np.unique(np.floor(crop.points.astype(float) / size), axis=0))
    assert used <= voxels
    middle = scan.points[np.random.default_rng(seed).integers(200)].astype(float)
    distance = np.linalg.norm(scan.points.astype(float) - middle, axis=1)
    inside = np.isin(np.arange(200), crop.labels)
    if len(crop) < 200:
        assert used == voxels
        assert distance[inside].max() <= distance[~inside].min()


def test_colours_stay_where_a_scan_has_none():
    scan = room(colors=False)
    for step in (augment.AutoContrast(1.0), augment.ShiftColors(), augment.JitterColors()):
        assert step(scan, np.random.default_rng(0)) is scan


def test_contrast_is_stretched_but_never_turned_round():
    colors = np.array([[100, 50, 7], [120, 60, 7], [110, 55, 7]], np.uint8)
    scan = Scan("s", np.zeros((3, 3), np.float32), np.zeros(3, np.uint8), colors)
    result = augment.AutoContrast(1.0)(scan, np.random.default_rng(1)).colors.astype(int)
    assert result[0, 0] <= result[2, 0] <= result[1, 0]
    assert result[1, 0] - result[0, 0] > 20
    assert (result[:, 2] <= 7).all()  # a flat channel is no reason to divide by zero


def test_a_shift_of_colours_is_the_same_for_all_points():
    colors = np.full((50, 3), 128, np.uint8)
    scan = Scan("s", np.zeros((50, 3), np.float32), np.zeros(50, np.uint8), colors)
    result = augment.ShiftColors(0.05, 1.0)(scan, np.random.default_rng(0)).colors
    assert (result == result[0]).all() and np.abs(result[0].astype(int) - 128).max() <= 13
    assert (result[0] != 128).any()


def test_mixing_joins_neighbours_with_all_that_is_theirs():
    a, b, c = room(50, 1), room(30, 2, colors=False), room(20, 3, normals=False)
    both, last = augment.mix([a, b, c], np.random.default_rng(0), probability=1.0)
    assert last is c and len(both) == 80
    np.testing.assert_array_equal(both.points, np.concatenate([a.points, b.points]))
    np.testing.assert_array_equal(both.labels, np.concatenate([a.labels, b.labels]))
    np.testing.assert_array_equal(both.colors[:50], a.colors)
    assert (both.colors[50:] == 0).all() and both.normals.any(axis=1).all()
    assert augment.mix([a, b], np.random.default_rng(0), probability=0.0) == [a, b]
    bare = augment.joined(room(2, colors=False), b)
    assert bare.colors is None and bare.normals is not None
    random = np.random.default_rng(0)
    assert 740 < sum(len(augment.mix([c, c], random)) == 1 for _ in range(1000)) < 860


def test_smooth_noise_is_smooth_and_of_the_blurred_strength():
    points = np.random.default_rng(0).uniform(0, 4, (4000, 3)).astype(np.float32)
    step = np.float32(0.01) * np.ones(3, np.float32) / np.sqrt(np.float32(3))
    both = smooth_noise(np.concatenate([points, points + step]), 0.2, np.random.default_rng(1))
    here, there = both[:4000], both[4000:]
    # two blurs by three leave 19/81 of the variance per axis, interpolation a bit less
    assert 0.03 < here.std() < (19 / 81) ** 1.5
    assert np.linalg.norm(there - here, axis=1).max() < 0.05


def test_smooth_noise_of_a_wide_scene_needs_little_memory():
    points = np.array([[0, 0, 0], [1e5, 1e5, 1e5]], np.float32)
    assert np.isfinite(smooth_noise(points, 0.2, np.random.default_rng(0))).all()


def named(scan, names, ids):
    return replace(scan, names=names, name_ids=np.array(ids, np.uint16))


def test_fine_names_stay_with_their_points_and_are_merged_by_name():
    one = named(room(3), ("stool", "desk"), [0, 1, NO_NAME])
    assert augment.select(one, np.array([1, 2])).name_ids.tolist() == [1, NO_NAME]
    other = named(room(2), ("lamp", "stool"), [1, 0])
    both = augment.joined(one, other)
    assert [both.names[i] for i in both.name_ids if i != NO_NAME] == [
        "stool", "desk", "stool", "lamp",
    ]  # fmt: skip
    assert augment.joined(one, room(1)).name_ids.tolist() == [0, 1, NO_NAME, NO_NAME]
    assert augment.joined(room(1), room(1)).name_ids is None
    assert augment.renamed(both, ("lamp", "desk")).name_ids.tolist() == [
        NO_NAME, 1, NO_NAME, NO_NAME, 0,
    ]  # fmt: skip


def test_a_scan_refuses_names_that_it_does_not_list():
    with pytest.raises(ValueError, match="name_ids go up to 2, expected positions in names, of"):
        named(room(2), ("stool", "desk"), [0, 2])
    with pytest.raises(ValueError, match="name_ids is"):
        replace(room(2), names=("stool",), name_ids=np.array([0, 0]))


def test_a_random_point_of_each_voxel_stays_with_all_that_it_has():
    scan, step = room(), RandomPoint(2.0)
    kept = [step(scan, np.random.default_rng(seed)) for seed in range(2)]
    for one in kept:
        keys = voxel_keys(one.points, 2.0)
        assert sorted(keys) == sorted(set(voxel_keys(scan.points, 2.0)))
        np.testing.assert_array_equal(one.points, scan.points[one.labels])
        np.testing.assert_array_equal(one.colors, scan.colors[one.labels])
    assert not np.array_equal(kept[0].labels, kept[1].labels)


@pytest.mark.parametrize("chosen", ["indoor", "none"])
def test_the_command_draws_points_of_voxels_after_all_other_changes(chosen):
    arguments = argparse.Namespace(augment=chosen, preset="indoor", random_points=True)
    changes = augmentation(arguments, 0.04).steps
    assert changes[-1] == RandomPoint(0.04)
    arguments.random_points = False
    others = augmentation(arguments, 0.04)
    assert changes[:-1] == (() if chosen == "none" else others.steps)
    assert (others is None) == (chosen == "none")
