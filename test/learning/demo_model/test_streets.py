# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The scans the outdoor model is trained on: repeatable, labelled, as sensors would give them."""

from __future__ import annotations

import numpy as np
import pytest

from concerto_ros.labels.label_set import LabelSet
from concerto_ros.learning.data.batch import make_batch
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.learning.demo_model.collate import LARGE_CROP_VOXELS, PAIR_VOXELS, StreetCollate
from concerto_ros.learning.demo_model.street_augmentation import augment_street, crop_street
from concerto_ros.learning.demo_model.street_scans import SCANS, street_scans_of
from concerto_ros.learning.demo_model.streets import (
    TEST_STREETS,
    TRAINING_STREETS,
    VALIDATION_STREETS,
    DemoStreets,
)
from concerto_ros.segmentation.convention import Convention
from concerto_ros.sim.streets import CLASSES

SEED = 5
OUTDOOR = Convention(0.25, "box")
VOXEL = 0.16


@pytest.fixture(scope="module")
def streets(tmp_path_factory):
    return DemoStreets(tmp_path_factory.mktemp("streets"), [SEED], processes=1)


def test_the_classes_are_the_simulators():
    assert tuple(entry.name for entry in LabelSet.load("demo_outdoor").classes) == CLASSES


def test_no_street_is_learned_from_and_tested_on():
    parts = [set(TRAINING_STREETS), set(VALIDATION_STREETS), set(TEST_STREETS)]
    assert sum(map(len, parts)) == len(set.union(*parts))


def test_a_seed_gives_the_same_scans_again_and_the_files_hold_them(streets):
    assert len(streets) == SCANS
    for kept, again in zip(streets, street_scans_of(SEED), strict=True):
        assert kept.name == again.name and np.array_equal(kept.labels, again.labels)
        assert np.abs(kept.points - again.points).max() < 0.0021
        both = kept.normals.any(1) & again.normals.any(1)
        assert ((kept.normals * again.normals).sum(1)[both] > 0.999).all()


def test_scans_are_labelled_streets_with_the_ground_below_the_sensor(streets):
    seen = np.unique(np.concatenate([scan.labels[scan.labelled] for scan in streets]))
    assert len(seen) >= 6
    for scan in streets:
        assert len(scan) > 2000 and scan.labelled.mean() > 0.8
        assert (scan.labels == CLASSES.index("ground")).mean() > 0.05
        if "aerial" in scan.name or "tripod" in scan.name:
            continue
        near = np.linalg.norm(scan.points[:, :2], axis=1) < 12
        ground = scan.points[near & (scan.labels == CLASSES.index("ground")), 2]
        if len(ground):
            assert -4 < np.median(ground) < -0.1


def test_some_sweeps_have_strays_below_the_ground_that_are_not_labelled(streets):
    deep = []
    for scan in streets:
        ground = scan.points[scan.labels == CLASSES.index("ground"), 2]
        below = scan.points[:, 2] < ground.min() - 1
        assert not scan.labelled[below].any()
        deep.append(below.mean())
    assert 0.001 < max(deep) < 0.03


def test_normals_of_the_ground_point_up(streets):
    for scan in streets:
        ground = (scan.labels == CLASSES.index("ground")) & scan.normals.any(1)
        assert np.median(scan.normals[ground, 2]) > 0.9


def test_strays_do_not_move_the_floor_of_a_sweep(streets):
    """The floor of the batch is the ground whatever lies below it."""
    scan = streets[0]
    batch = make_batch([scan], OUTDOOR, VOXEL)
    ground = batch.labels.numpy() == CLASSES.index("ground")
    height = batch.coord[:, 2].numpy() / OUTDOOR.scale
    clean = make_batch(
        [Scan(scan.name, scan.points[scan.labelled], scan.labels[scan.labelled])], OUTDOOR, VOXEL
    )
    of_clean = clean.labels.numpy() == CLASSES.index("ground")
    expected = np.median(clean.coord[:, 2].numpy()[of_clean]) / OUTDOOR.scale
    assert np.median(height[ground]) == pytest.approx(expected, abs=1.0)


@pytest.mark.parametrize("large", [False, True])
def test_training_batches_are_crops_of_a_given_size(streets, large):
    collate = StreetCollate(OUTDOOR, VOXEL, large=large)
    limit = LARGE_CROP_VOXELS if large else PAIR_VOXELS
    scans, sizes = [streets[0], streets[2]], []
    for seed in range(8):
        batch = collate(scans, np.random.default_rng(seed))
        sizes.append(len(batch))
        assert batch.feat.isfinite().all()
        assert (batch.labels != 255).float().mean() > 0.5
    # Strays and jitter add some voxels to those of the crops.
    assert max(sizes) < 1.35 * limit and max(sizes) > 0.5 * limit


def test_batches_for_validation_are_whole_scans(streets):
    batch = StreetCollate(OUTDOOR, VOXEL)([streets[1]], None)
    assert np.array_equal(batch.feat, make_batch([streets[1]], OUTDOOR, VOXEL).feat)


def test_augmentation_keeps_labels_and_drops_colours_and_normals_now_and_then(streets):
    scan = max(streets, key=lambda s: s.colors is not None)
    results = [augment_street(scan, np.random.default_rng(seed)) for seed in range(40)]
    assert any(r.normals is None for r in results) and any(r.normals is not None for r in results)
    for result in results:
        assert np.array_equal(result.labels[: len(scan)], scan.labels)
        assert (result.labels[len(scan) :] == 255).all()
        size = np.ptp(result.points[: len(scan), 2]) / np.ptp(scan.points[:, 2])
        assert 0.5 < size < 8


def test_augmentation_without_normals_is_refused(streets):
    bare = Scan("bare", streets[0].points, streets[0].labels)
    with pytest.raises(ValueError, match="bare: has no normals"):
        augment_street(bare, np.random.default_rng(0))


def test_crops_stay_small_and_are_of_the_scan(streets):
    scan = streets[2]
    rows = {tuple(point) for point in scan.points.tolist()}
    for seed in range(10):
        part = crop_street(scan, 2000, VOXEL, np.random.default_rng(seed))
        assert 0 < len(part) <= len(scan)
        assert {tuple(point) for point in part.points.tolist()} <= rows
        assert len(make_batch([part], OUTDOOR, VOXEL)) < 2600
