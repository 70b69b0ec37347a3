# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Crops and random changes of simulated scans: what they keep, and how far they go."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from concerto_ros.labels.label_set import UNLABELLED
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.learning.demo_model.augmentation import (
    LARGEST_LIFT,
    LARGEST_LOST_LIFT,
    MOTION,
    augment,
    floor_lift,
)
from concerto_ros.learning.demo_model.collate import LARGE_CROP_VOXELS, PAIR_VOXELS, RoomCollate
from concerto_ros.learning.demo_model.crops import CROP_CLASS_WEIGHTS, TOP_SHARE, crop
from concerto_ros.learning.demo_model.rooms import DemoRooms
from concerto_ros.learning.demo_model.scan_changes import overlaid
from concerto_ros.segmentation.convention import convention_for
from concerto_ros.sim import CLASSES

VOXEL = 0.04


@pytest.fixture(scope="module")
def rooms(rooms):
    """The shared scans without their fine names."""
    return DemoRooms(rooms.folder, rooms.seeds)


def marked_box():
    """A box of 4 x 3 x 2.4 m whose faces have labels 0 to 5 and the outward normals."""
    rng, points, normals = np.random.default_rng(0), [], []
    for axis in range(3):
        for side in (-1, 1):
            face = rng.uniform(-1, 1, (3000, 3))
            face[:, axis] = side
            points.append(face)
            normals.append(np.tile(side * np.eye(3)[axis], (3000, 1)))
    points = np.concatenate(points) * [2, 1.5, 1.2] + [0, 0, 1.2]
    labels = np.repeat(np.arange(6, dtype=np.uint8), 3000)
    colors = rng.integers(0, 256, points.shape, np.uint8)
    return Scan("box", np.float32(points), labels, colors, np.float32(np.concatenate(normals)))


def voxels(scan):
    return len(np.unique(np.floor(scan.points.astype(float) / VOXEL), axis=0))


def fitted(points):
    """The normal (3,) of the plane through points, and the distance of the worst from it."""
    middle = np.median(points, axis=0)
    normal = np.linalg.svd(points - middle, full_matrices=False)[2][2]
    return normal, np.abs((points - middle) @ normal).max()


def test_labels_stay_with_their_points():
    for seed in range(30):
        changed = augment(marked_box(), VOXEL, np.random.default_rng(seed))
        faces = [changed.points[changed.labels == label] for label in range(6)]
        # Each face is still flat (jitter apart), and opposite ones are a room apart.
        assert all(fitted(face)[1] < 0.06 for face in faces if len(face) > 3)
        assert sum(map(len, faces)) <= len(changed)
        assert (changed.labels[sum(map(len, faces)) :] == UNLABELLED).all()


def test_tilt_and_scale_reach_their_limits_and_stay_within():
    box, tilts, scales = marked_box(), [], []
    for seed in range(150):
        changed = augment(box, VOXEL, np.random.default_rng(seed))
        floor, ceiling = (changed.points[changed.labels == label] for label in (4, 5))
        normal, _ = fitted(floor)
        tilts.append(np.arccos(min(1.0, abs(normal[2]))))
        height = np.median((ceiling - floor.mean(0)) @ normal)
        scales.append(abs(height) / 2.4)
    tilts, scales = np.array(tilts), np.array(scales)
    assert tilts.max() < MOTION.largest_tilt + 0.03 and tilts.max() > 0.7 * MOTION.largest_tilt
    assert np.mean(tilts < np.radians(1)) > 0.5
    assert MOTION.scale[0] * 0.95 < scales.min() < 0.92
    assert 1.12 < scales.max() < MOTION.scale[1] * 1.05


def test_errors_of_the_floors_height_are_rare_and_bounded():
    lifts = np.abs([floor_lift(np.random.default_rng(seed)) for seed in range(2000)])
    assert np.mean(lifts == 0) > 0.8
    small = lifts[(lifts > 0) & (lifts <= LARGEST_LIFT)]
    assert len(small) > 150 and 0.005 < np.mean(lifts > LARGEST_LIFT) < 0.06
    assert 0.5 * LARGEST_LOST_LIFT < lifts.max() <= LARGEST_LOST_LIFT


def test_strays_far_below_are_not_seen_by_the_model():
    box, indoor, depths = marked_box(), convention_for("indoor", rotary=False), []
    for seed in range(60):
        changed = augment(box, VOXEL, np.random.default_rng(seed))
        floor = changed.points[changed.labels == 4, 2].min()
        depths.append(floor - changed.points[:, 2].min())
        if depths[-1] > 1.5:  # more than flying points reach
            seen = RoomCollate(indoor, VOXEL)([changed], None)
            assert (seen.coord[:, 2] < -0.5).float().mean() < 0.002
    assert 2 <= sum(depth > 1.5 for depth in depths) <= 20


def test_overlaid_scans_keep_their_heights_and_share_their_place():
    box = marked_box()
    other = replace(box, points=box.points + np.float32([7, -3, 0]), colors=None)
    both = overlaid(box, other)
    assert np.allclose(both.points[: len(box)], both.points[len(box) :], atol=1e-4)
    assert np.array_equal(both.points[: len(box), 2], box.points[:, 2])
    assert np.array_equal(both.labels, np.tile(box.labels, 2))
    assert not both.colors[len(box) :].any()


def test_some_crops_have_no_floor_some_no_ceiling_and_some_are_low():
    box = marked_box()
    crops = [crop(box, 10_000, VOXEL, np.random.default_rng(seed)) for seed in range(150)]
    floors, ceilings = (np.array([np.mean(p.labels == face) for p in crops]) for face in (4, 5))
    tops = np.array([part.points[:, 2].max() for part in crops])
    assert 3 <= np.sum(floors < 0.02) < 50
    assert 10 <= np.sum(ceilings == 0) < 90
    assert 3 <= np.sum(tops < 1.55) < 30


def test_some_crops_are_a_table_top_with_what_stands_on_it():
    rng, names = np.random.default_rng(0), list(CLASSES)
    floor = np.c_[rng.uniform(-3, 3, (20_000, 2)), np.zeros(20_000)]
    top = np.c_[rng.uniform(-0.6, 0.6, (4000, 2)), np.full(4000, 0.72)]
    cup = np.c_[rng.uniform(-0.1, 0.1, (300, 2)), rng.uniform(0.72, 0.85, 300)]
    parts = {"floor": floor, "table": top, "other": cup}
    labels = [np.full(len(part), names.index(name)) for name, part in parts.items()]
    scan = Scan(
        "table",
        np.concatenate(list(parts.values())).astype(np.float32),
        np.concatenate(labels).astype(np.uint8),
    )
    crops = [crop(scan, 3000, VOXEL, np.random.default_rng(seed)) for seed in range(200)]
    tops = [part for part in crops if part.points[:, 2].min() > 0.6]
    assert 0.4 * TOP_SHARE < len(tops) / len(crops) < 2 * TOP_SHARE
    assert sum(names.index("other") in part.labels for part in tops) > len(tops) / 2


def test_voxels_of_training_differ_in_size(rooms):
    collate = RoomCollate(convention_for("indoor", rotary=False), VOXEL)
    scans, spans = [rooms[0], rooms[1]], []
    for seed in range(40):
        batch = collate(scans, np.random.default_rng(seed))
        extent = (batch.coord.max(0).values - batch.coord.min(0).values)[:2].max()
        spans.append(float(extent / (batch.grid_coord.max() + 1)))
        if seed % 5 == 0:
            again = collate(scans, np.random.default_rng(seed))
            assert torch.equal(batch.feat, again.feat) and torch.equal(batch.labels, again.labels)
    assert min(spans) < 0.032 and max(spans) > 0.046 and 0.03 < np.median(spans) < 0.045


def test_variations_are_repeatable_and_keep_what_belongs_together(rooms):
    scan = rooms[0]
    first, second = (
        augment(scan, VOXEL, np.random.default_rng(3)),
        augment(scan, VOXEL, np.random.default_rng(3)),
    )
    assert np.array_equal(first.points, second.points)
    assert np.array_equal(first.labels, second.labels)
    for seed in range(12):
        other = augment(scan, VOXEL, np.random.default_rng(seed))
        assert len(other) >= 50 and np.isfinite(other.points).all()
        if other.normals is not None:
            length = np.linalg.norm(other.normals, axis=1)
            assert np.allclose(length[length > 0], 1, atol=1e-3)


def test_cuts_hold_the_voxels_asked_for_round_a_point(rooms):
    scan = rooms[1]
    for seed, size in ((0, 1000), (1, 2500), (2, 10**6)):
        part = crop(scan, size, VOXEL, np.random.default_rng(seed))
        again = crop(scan, size, VOXEL, np.random.default_rng(seed))
        assert np.array_equal(part.points, again.points)
        assert 1 <= voxels(part) <= size * 1.2
        whole = {tuple(point) for point in scan.points}
        assert all(tuple(point) in whole for point in part.points)
    sizes = [voxels(crop(scan, 1000, VOXEL, np.random.default_rng(seed))) for seed in range(20)]
    assert np.median(sizes) > 900
    one = Scan("one", scan.points[:1], scan.labels[:1], scan.colors[:1], scan.normals[:1])
    assert all(len(crop(one, 100, VOXEL, np.random.default_rng(s))) == 1 for s in range(12))


def test_classes_are_cropped_as_often_as_configured(monkeypatch):
    # Points ever further apart: the last one of the smallest cut is the one it was made round.
    labels = np.repeat([UNLABELLED, CLASSES.index("wall"), CLASSES.index("door")], [1, 90, 9])
    points = np.arange(100, dtype=np.float32)[:, None] ** 2 * np.eye(3, dtype=np.float32)[:1]
    scan = Scan("row", points, labels.astype(np.uint8), None, np.zeros_like(points))
    monkeypatch.setattr("concerto_ros.learning.demo_model.crops.CROP_CLASS_PROBABILITY", 1.0)
    middles = [crop(scan, 1, VOXEL, np.random.default_rng(seed)).labels[-1] for seed in range(400)]
    doors = np.mean(np.array(middles) == CLASSES.index("door"))
    assert doors == pytest.approx(
        CROP_CLASS_WEIGHTS["door"] / (CROP_CLASS_WEIGHTS["door"] + 1), abs=0.08
    )


def test_batches_are_changed_for_training_alone_and_are_about_equally_large(rooms):
    collate = RoomCollate(convention_for("indoor", rotary=False), VOXEL)
    scans = [rooms[0], rooms[1]]
    plain = collate(scans, None)
    assert np.array_equal(plain.labels, collate(scans, None).labels)
    sizes = [len(collate(scans, np.random.default_rng(seed))) for seed in range(12)]
    assert len(set(sizes)) > 1 and max(sizes) < 1.6 * PAIR_VOXELS
    assert np.median(sizes) > 0.45 * max(sizes)
    large = replace(collate, large=True)
    scans = sorted(rooms, key=len, reverse=True)
    sizes = [len(large(scans, np.random.default_rng(seed))) for seed in range(12)]
    assert max(sizes) < 1.6 * LARGE_CROP_VOXELS and np.median(sizes) > 0.45 * max(sizes)
    one = large(scans[:1], np.random.default_rng(3))  # the second scan is left out
    assert np.array_equal(one.labels, large(scans, np.random.default_rng(3)).labels)


def test_colour_and_normals_are_dropped_now_and_then(rooms):
    scan = rooms[0]
    varied = [augment(scan, VOXEL, np.random.default_rng(seed)) for seed in range(60)]
    without_color = sum(scan.colors is None for scan in varied)
    without_normals = sum(scan.normals is None for scan in varied)
    assert 3 <= without_color <= 25 and 2 <= without_normals <= 20
