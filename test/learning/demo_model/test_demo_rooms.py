# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The scans the bundled model is trained on: repeatable, labelled, as sensors would give them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from concerto_ros.labels.label_set import UNLABELLED, LabelSet
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.learning.demo_model.rooms import (
    CROP_CLASS_WEIGHTS,
    LARGE_CROP_VOXELS,
    TEST_SEEDS,
    TRAINING_SEEDS,
    VALIDATION_SEEDS,
    DemoRooms,
    RoomCollate,
    augment,
    crop,
    thinned,
)
from concerto_ros.learning.demo_model.simulated_scans import SCANS, scans_of
from concerto_ros.segmentation.convention import convention_for
from concerto_ros.sim import CLASSES

SEED = 12


@pytest.fixture(scope="module")
def rooms(tmp_path_factory):
    return DemoRooms(tmp_path_factory.mktemp("rooms"), [SEED], processes=1)


def test_the_classes_are_the_simulators():
    assert tuple(entry.name for entry in LabelSet.load("demo").classes) == CLASSES


def test_no_room_is_learned_from_and_tested_on():
    parts = [set(TRAINING_SEEDS), set(VALIDATION_SEEDS), set(TEST_SEEDS)]
    assert sum(map(len, parts)) == len(set.union(*parts))
    assert 0 in TEST_SEEDS  # the room of the demonstration


def test_a_seed_gives_the_same_scans_again_and_the_files_hold_them(rooms):
    assert len(rooms) == SCANS
    for kept, again in zip(rooms, scans_of(SEED), strict=True):
        assert kept.name == again.name and np.array_equal(kept.labels, again.labels)
        assert np.abs(kept.points - again.points).max() < 0.00051
        assert (kept.colors is None) == (again.colors is None)
        if again.colors is not None:
            assert np.array_equal(kept.colors, again.colors)
        both = kept.normals.any(1) & again.normals.any(1)
        assert ((kept.normals * again.normals).sum(1)[both] > 0.999).all()


def test_scans_are_labelled_rooms(rooms):
    for scan in rooms:
        # A reading in the air between two surfaces has no label.
        known = scan.labels != UNLABELLED
        assert known.sum() > 300 and scan.labels[known].max() < len(CLASSES)
        assert known.mean() > 0.9
        assert np.isfinite(scan.points).all() and np.ptp(scan.points, axis=0).max() < 20
        length = np.linalg.norm(scan.normals, axis=1)
        assert np.allclose(length[length > 0], 1, atol=1e-4) and (length > 0).mean() > 0.9
    assert rooms[SCANS - 1].colors is None and rooms[0].colors is not None


def test_a_floor_is_flat_and_near_zero_but_not_quite(rooms):
    floors = [s.points[s.labels == CLASSES.index("floor"), 2] for s in rooms]
    heights = np.concatenate(floors)
    assert len(heights) > 1000
    assert abs(np.median(heights)) < 0.3 and heights.std() > 0.001


def test_variations_are_repeatable_and_keep_what_belongs_together(rooms):
    scan = rooms[0]
    first, second = (
        augment(scan, np.random.default_rng(3)),
        augment(scan, np.random.default_rng(3)),
    )
    assert np.array_equal(first.points, second.points)
    assert np.array_equal(first.labels, second.labels)
    for seed in range(12):
        other = augment(scan, np.random.default_rng(seed))
        assert len(other) >= 50 and np.isfinite(other.points).all()
        if other.normals is not None:
            length = np.linalg.norm(other.normals, axis=1)
            assert np.allclose(length[length > 0], 1, atol=1e-3)


def test_cuts_hold_the_voxels_asked_for_round_a_point(rooms):
    scan = rooms[1]
    for seed, size in ((0, 1000), (1, 2500), (2, 10**6)):
        part = crop(scan, size, 0.04, np.random.default_rng(seed))
        again = crop(scan, size, 0.04, np.random.default_rng(seed))
        assert np.array_equal(part.points, again.points)
        voxels = len(np.unique(np.floor(part.points.astype(float) / 0.04), axis=0))
        assert 1 <= voxels <= size * 1.2 and (voxels >= size * 0.9 or len(part) == len(scan))
        whole = {tuple(point) for point in scan.points}
        assert all(tuple(point) in whole for point in part.points)
    one = Scan("one", scan.points[:1], scan.labels[:1], scan.colors[:1], scan.normals[:1])
    assert all(len(crop(one, 100, 0.04, np.random.default_rng(s))) == 1 for s in range(12))


def test_classes_are_cropped_as_often_as_configured(monkeypatch):
    # Points ever further apart: the last one of the smallest cut is the one it was made round.
    labels = np.repeat([UNLABELLED, CLASSES.index("wall"), CLASSES.index("door")], [1, 90, 9])
    points = np.arange(100, dtype=np.float32)[:, None] ** 2 * np.eye(3, dtype=np.float32)[:1]
    scan = Scan("row", points, labels.astype(np.uint8), None, np.zeros_like(points))
    monkeypatch.setattr("concerto_ros.learning.demo_model.rooms.CROP_CLASS_PROBABILITY", 1.0)
    middles = [crop(scan, 1, 0.04, np.random.default_rng(seed)).labels[-1] for seed in range(400)]
    doors = np.mean(np.array(middles) == CLASSES.index("door"))
    assert doors == pytest.approx(
        CROP_CLASS_WEIGHTS["door"] / (CROP_CLASS_WEIGHTS["door"] + 1), abs=0.08
    )


def test_batches_are_changed_for_training_alone_and_are_about_equally_large(rooms):
    collate = RoomCollate(convention_for("indoor", rotary=False), 0.04)
    scans = [rooms[0], rooms[1]]
    plain = collate(scans, None)
    assert np.array_equal(plain.labels, collate(scans, None).labels)
    sizes = [len(collate(scans, np.random.default_rng(seed))) for seed in range(12)]
    assert len(set(sizes)) > 1 and max(sizes) < len(plain)
    assert np.median(sizes) > 0.6 * max(sizes)
    large = replace(collate, large=True)
    scans = sorted(rooms, key=len, reverse=True)
    sizes = [len(large(scans, np.random.default_rng(seed))) for seed in range(12)]
    assert max(sizes) < 1.3 * LARGE_CROP_VOXELS and np.median(sizes) > 0.6 * max(sizes)
    one = large(scans[:1], np.random.default_rng(3))  # the second scan is left out
    assert np.array_equal(one.labels, large(scans, np.random.default_rng(3)).labels)


def test_colour_and_normals_are_dropped_now_and_then(rooms):
    varied = [augment(rooms[0], np.random.default_rng(seed)) for seed in range(60)]
    without_color = sum(scan.colors is None for scan in varied)
    without_normals = sum(scan.normals is None for scan in varied)
    assert 3 <= without_color <= 25 and 2 <= without_normals <= 20


def test_a_thinned_scan_is_a_tenth_without_colour(rooms):
    sparse = thinned(rooms[0])
    assert sparse.colors is None
    assert 0.07 < len(sparse) / len(rooms[0]) < 0.13
