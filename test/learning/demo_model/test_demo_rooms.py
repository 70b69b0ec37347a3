# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The scans the bundled model is trained on: repeatable, labelled, as sensors would give them."""

from __future__ import annotations

import numpy as np

from concerto_ros.labels.label_set import UNLABELLED, LabelSet
from concerto_ros.learning.data.labelled_scan import NO_NAME
from concerto_ros.learning.demo_model import scene_scans
from concerto_ros.learning.demo_model.rooms import (
    TEST_SEEDS,
    TRAINING_SEEDS,
    VALIDATION_SEEDS,
    DemoRooms,
    thinned,
)
from concerto_ros.learning.demo_model.simulated_scans import SCANS, scans_of
from concerto_ros.sim import CLASSES

#: Classes whose points all have a fine name, at least the class's own.
_NAMED = [index for index, name in enumerate(CLASSES) if name != "other"]


def test_the_classes_are_the_simulators():
    assert tuple(entry.name for entry in LabelSet.load("demo").classes) == CLASSES


def test_no_room_is_learned_from_and_tested_on():
    parts = [set(TRAINING_SEEDS), set(VALIDATION_SEEDS), set(TEST_SEEDS)]
    assert sum(map(len, parts)) == len(set.union(*parts))
    assert 0 in TEST_SEEDS  # the room of the demonstration


def test_a_seed_gives_the_same_scans_again_and_the_files_hold_them(rooms):
    assert len(rooms) == SCANS
    for kept, again in zip(rooms, scans_of(*rooms.seeds), strict=True):
        assert kept.name == again.name and np.array_equal(kept.labels, again.labels)
        assert kept.names == again.names and np.array_equal(kept.name_ids, again.name_ids)
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
        assert known.mean() > 0.85
        assert np.isfinite(scan.points).all() and np.ptp(scan.points[known], axis=0).max() < 20
        length = np.linalg.norm(scan.normals, axis=1)
        assert np.allclose(length[length > 0], 1, atol=1e-4) and (length > 0).mean() > 0.75
    assert rooms[SCANS - 1].colors is None and rooms[0].colors is not None


def test_a_floor_is_flat_and_near_zero_but_not_quite(rooms):
    floors = [scan.points[scan.labels == CLASSES.index("floor"), 2] for scan in rooms]
    heights = np.concatenate(floors)
    assert len(heights) > 1000
    assert abs(np.median(heights)) < 0.3 and heights.std() > 0.001


def test_a_thinned_scan_is_a_tenth_without_colour(rooms):
    sparse = thinned(rooms[0])
    assert sparse.colors is None
    assert 0.07 < len(sparse) / len(rooms[0]) < 0.13


def test_fine_names_agree_with_classes_and_say_more(rooms):
    seen = set()
    for scan in rooms:
        assert ((scan.name_ids == NO_NAME) <= ~np.isin(scan.labels, _NAMED)).all()
        seen |= {scan.names[i] for i in np.unique(scan.name_ids[scan.name_ids != NO_NAME])}
    assert {"floor", "wall"} < seen and len(seen - set(CLASSES)) > 8


def test_rooms_of_files_without_names_are_made_again_where_names_are_asked_for(
    rooms, tmp_path, monkeypatch
):
    for file in rooms.folder.glob("*.npz"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    DemoRooms(tmp_path, rooms.seeds, named=True)  # nothing to do
    next(tmp_path.glob("*.names*.npz")).unlink()
    assert DemoRooms(tmp_path, rooms.seeds)[0].name_ids is None
    made = []
    monkeypatch.setattr(scene_scans, "spawn_map", lambda make, jobs, *a, **k: made.extend(jobs))
    DemoRooms(tmp_path, rooms.seeds, named=True)
    assert [job[2] for job in made] == rooms.seeds
