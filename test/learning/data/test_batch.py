# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Batches: what an encoder learns from is what the pipeline later gives it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from training_data import INDOOR, VEHICLE, box_scan

from concerto_ros.learning.data.batch import majority, make_batch, with_normals
from concerto_ros.learning.data.collate import FittedNormals, ScanCollate
from concerto_ros.learning.data.labelled_scan import NO_NAME, Scan
from concerto_ros.mapping.voxel_map import VoxelMap
from concerto_ros.segmentation.model_input import build_model_input
from concerto_ros.sensors.frame import Frame

VOXEL = 0.05


def pipeline_input(scan, convention, *, fit_normals=False):
    """What :class:`SemanticPipeline` makes of the same points."""
    origin = (
        (scan.points.min(axis=0) + scan.points.max(axis=0)) / 2 if fit_normals else np.zeros(3)
    )
    voxels = VoxelMap(VOXEL, window_seconds=1.0, max_voxels=len(scan))
    frame = Frame(scan.points, 0, "", colors=scan.colors, normals=scan.normals, origin=origin)
    voxels.insert(frame, origin)
    snapshot = voxels.snapshot()
    if fit_normals:
        snapshot = snapshot.with_normals()
    return build_model_input(snapshot, convention, None)


@pytest.mark.parametrize("convention", [INDOOR, VEHICLE])
@pytest.mark.parametrize("colors", [True, False])
@pytest.mark.parametrize("normals", [True, False])
def test_an_encoder_sees_bit_for_bit_what_the_pipeline_gives_it(convention, colors, normals):
    scan = box_scan(1, colors=colors, normals=normals)
    batch = make_batch([scan], convention, VOXEL)
    wanted = pipeline_input(scan, convention)
    for name in ("feat", "grid_coord", "coord", "offset"):
        ours, theirs = getattr(batch, name), getattr(wanted, name)
        assert ours.dtype == theirs.dtype and torch.equal(ours, theirs), name


def test_fitted_normals_are_those_of_the_pipeline():
    scan = box_scan(1, normals=False)
    ours = make_batch([with_normals(scan, VOXEL)], INDOOR, VOXEL)
    theirs = pipeline_input(scan, INDOOR, fit_normals=True)
    assert ours.feat[:, 6:].numpy() == pytest.approx(theirs.feat[:, 6:].numpy(), abs=1e-6)
    assert torch.linalg.vector_norm(ours.feat[:, 6:], dim=1).min() > 0.99


def test_normals_that_are_there_stay():
    scan = box_scan(1)
    assert FittedNormals([scan], VOXEL)[0] is scan


def test_scans_of_a_batch_do_not_touch():
    scans = [box_scan(1), box_scan(2, 400), box_scan(3, 1)]
    batch = make_batch(scans, INDOOR, VOXEL)
    start = 0
    for scan, end, inverse in zip(scans, batch.offset.tolist(), batch.inverse, strict=True):
        alone = make_batch([scan], INDOOR, VOXEL)
        for name in ("feat", "grid_coord", "coord", "labels"):
            assert torch.equal(getattr(batch, name)[start:end], getattr(alone, name))
        assert np.array_equal(inverse, alone.inverse[0] + start)
        start = end
    assert start == len(batch)


def test_every_point_finds_its_voxel():
    scan = box_scan(4)
    shifted = replace(scan, points=scan.points - np.float32(7.3))
    batch = make_batch([shifted], INDOOR, VOXEL)
    cell = np.floor(shifted.points.astype(np.float64) / VOXEL).astype(int)
    assert np.array_equal(batch.grid_coord[batch.inverse[0]], cell - cell.min(axis=0))


def test_points_alone_below_the_floor_are_left_out_and_keep_their_place():
    scan = box_scan(4)
    below = np.float32([[0.1, 0.2, -9.0], [0.9, 0.4, -6.0]])
    joined = Scan(
        "with strays",
        np.concatenate([below[:1], scan.points, below[1:]]),
        np.concatenate([[7], scan.labels, [7]]).astype(np.uint8),
    )
    plain = replace(scan, colors=None, normals=None)
    clean, batch = make_batch([plain], INDOOR, VOXEL), make_batch([plain, joined], INDOOR, VOXEL)
    assert torch.equal(batch.coord[len(clean) :], clean.coord)
    assert torch.equal(batch.labels[len(clean) :], clean.labels)
    heights = batch.at_points(batch.coord[:, 2].numpy(), fill=-1.0, scan=1)
    assert heights[0] == heights[-1] == -1.0
    assert np.array_equal(heights[1:-1], clean.at_points(clean.coord[:, 2].numpy(), fill=-1.0))


def test_the_floor_may_be_taken_to_be_higher_than_it_is_for_training():
    scans = [box_scan(1), box_scan(2)]
    plain, lifted = (make_batch(scans, INDOOR, VOXEL, lifts) for lifts in (None, [0.0, -0.5]))
    first = int(plain.offset[0])
    assert torch.equal(lifted.coord[:first], plain.coord[:first])
    moved = (lifted.coord - plain.coord)[first:]
    assert torch.allclose(moved, torch.tensor([0.0, 0.0, 0.5]), atol=1e-6)
    assert torch.equal(lifted.feat[:, :3], lifted.coord)
    assert torch.equal(lifted.grid_coord, plain.grid_coord)
    assert torch.equal(
        make_batch(scans, VEHICLE, VOXEL, [0.0, -0.5]).coord,
        make_batch(scans, VEHICLE, VOXEL).coord,
    )


def majority_by_hand(rows, labels, size):
    result = []
    for row in range(size):
        counts = np.bincount(labels[(rows == row) & (labels != 255)], minlength=1)
        result.append(int(counts.argmax()) if counts.any() else 255)
    return result


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from([0, 1, 2, 254, 255])), max_size=40))
def test_the_label_of_a_voxel_is_that_of_most_points(pairs):
    rows = np.array([row for row, _ in pairs], dtype=np.int64)
    labels = np.array([label for _, label in pairs], dtype=np.uint8)
    assert majority(rows, labels, 6).tolist() == majority_by_hand(rows, labels, 6)


def test_points_without_a_label_are_seen_but_do_not_count():
    points = np.array([[0.01, 0, 0], [0.02, 0, 0], [0.03, 0, 0], [1, 1, 1]], np.float32)
    scan = Scan("few", points, np.array([255, 255, 4, 255], np.uint8))
    assert make_batch([scan], INDOOR, VOXEL).labels.tolist() == [4, 255]


@pytest.mark.parametrize(
    ("scans", "message"),
    [
        ([], "scans is empty"),
        ([Scan("nobody", np.zeros((0, 3), np.float32), np.zeros(0, np.uint8))], "nobody"),
        ([Scan("far", np.full((1, 3), 1e6, np.float32), np.zeros(1, np.uint8))], "far: 1 points"),
    ],
)
def test_what_cannot_be_a_batch_is_named(scans, message):
    with pytest.raises(ValueError, match=message):
        make_batch(scans, INDOOR, VOXEL)


def test_only_training_augments():
    moved = ScanCollate(
        INDOOR,
        VOXEL,
        lambda scan, random: replace(scan, points=scan.points * random.uniform(2, 3)),
    )
    scan = box_scan(1)
    plain = make_batch([scan], INDOOR, VOXEL)
    assert torch.equal(moved([scan], None).feat, plain.feat)
    first, again = (moved([scan], np.random.default_rng(5)) for _ in range(2))
    assert torch.equal(first.feat, again.feat) and len(first) > len(plain)


def test_a_voxel_has_the_fine_name_of_most_of_its_points():
    points = np.array([[0.01] * 3, [0.02] * 3, [0.03] * 3, [0.3] * 3], np.float32)
    ids = np.array([300, 2, 300, NO_NAME], np.uint16)
    names = tuple(f"name {index}" for index in range(301))
    scan = Scan("named", points, np.zeros(4, np.uint8), name_ids=ids, names=names)
    assert make_batch([scan, scan], INDOOR, VOXEL).name_ids.tolist() == [300, NO_NAME] * 2
    assert make_batch([replace(scan, name_ids=None)], INDOOR, VOXEL).name_ids is None
    with pytest.raises(ValueError, match="names of the scans differ"):
        make_batch([scan, replace(scan, names=(*names, "more"))], INDOOR, VOXEL)
