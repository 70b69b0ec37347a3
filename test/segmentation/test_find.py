# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a text names is found in a single cloud and in the map."""

from __future__ import annotations

import numpy as np
import pytest
from word_space import CLASSES, ClassVectors, language_head, office_scan

from concerto_ros import SemanticPipeline
from concerto_ros.segmentation.point_words import PointWords
from concerto_ros.sensors.frame import Frame
from concerto_ros.settings.settings import Settings
from concerto_ros.sim import Room


@pytest.fixture(scope="module")
def pipeline():
    pipeline = SemanticPipeline.from_settings(Settings(device="cpu", precision="float32"))
    pipeline.words = PointWords(language_head(CLASSES), ClassVectors(), pipeline.encoder)
    return pipeline


@pytest.fixture(scope="module")
def room():
    """What a sensor in the middle of an office sees: points, colours, normals, their classes."""
    return office_scan(40_000)


def test_a_text_is_found_where_it_is(pipeline, room):
    points, colors, normals, truth = room
    found = pipeline.find("something to sit on", points, colors, normals)
    best = found.matches[0]
    assert 0.5 < best.score <= 1 and found.text == "something to sit on"
    assert [match.score for match in found.matches] == sorted(
        (match.score for match in found.matches), reverse=True
    )
    assert found.matches[-1].score >= 0.25 * best.score
    assert (np.array(Room.classes)[truth[best.rows]] == "chair").mean() > 0.6
    middle = points[best.rows].mean(axis=0)
    assert np.abs(best.centroid - middle).max() < 0.1
    assert (np.abs(points[best.rows] - best.box.center).max(axis=0) < 0.1 + best.box.size).all()
    prediction = found.prediction
    assert prediction.similarity.shape == prediction.match.shape == (len(points),)
    assert (prediction.match[best.rows] > 0).all()
    matching = prediction.similarity[prediction.match > 0]
    assert matching.mean() > prediction.similarity.mean() + 0.2


def test_places_are_those_of_the_points_however_they_were_moved(pipeline, room):
    points, colors, normals, _ = room
    near = pipeline.find("chair", points, colors, normals).matches[0]
    far = np.array([4.5e5, 5.4e6, 300.0])
    moved = pipeline.find("chair", points + far, colors, normals, origin=far).matches[0]
    assert np.linalg.norm(moved.centroid - far - near.centroid) < 0.3


def test_what_is_not_there_is_not_found(pipeline, room):
    points, colors, normals, _ = room
    nothing = pipeline.find("bed", points, colors, normals)
    assert nothing.matches == () and nothing.prediction.similarity.max() < 0.9
    strict = pipeline.find("chair", points, colors, normals, threshold=0.999)
    assert len(strict.matches) < len(pipeline.find("chair", points, colors, normals).matches)


def test_the_map_answers_too_and_keeps_its_labels(pipeline, room):
    points, colors, normals, _ = room
    pipeline.insert(Frame(points, 1, "odom", "lidar", colors, normals))
    before = pipeline.infer(pipeline.snapshot())
    found = pipeline.find("seat")
    voxels = pipeline.snapshot().points
    assert len(found.prediction.match) == len(voxels)
    assert np.abs(found.matches[0].centroid - voxels[found.matches[0].rows].mean(0)).max() < 1e-4
    after = pipeline.infer(pipeline.snapshot())
    np.testing.assert_array_equal(before.label, after.label)
    pipeline.clear()
    with pytest.raises(ValueError, match="voxel"):
        pipeline.find("seat")


@pytest.mark.parametrize("threshold", [float("nan"), -0.1, 1.5])
def test_a_threshold_that_is_no_probability_is_refused(pipeline, threshold):
    with pytest.raises(ValueError, match="threshold: got .*, expected 0 to 1"):
        pipeline.find("chair", np.zeros((3, 3)), threshold=threshold)
    with pytest.raises(ValueError, match="threshold: got .*, expected 0 to 1"):
        pipeline.set_words(["chair"], threshold=threshold)


def test_a_text_without_a_vector_is_refused(pipeline):
    with pytest.raises(ValueError, match="no vector of 'unicorn'"):
        pipeline.find("unicorn", np.zeros((3, 3)))


def test_the_bundled_head_labels_by_classes_and_fine_names_beside_each_other(room):
    points, colors, normals, truth = room
    bundled = SemanticPipeline.from_settings(Settings(device="cpu", precision="float32"))
    words = ["floor|ground", "wall", "table|desk", "chair|office chair", "plant"]
    label = bundled.segment(points, colors, normals, words=words).label
    names = np.array(Room.classes)[truth]
    for row, name in enumerate(["floor", "wall", "table", "chair"]):
        assert (label[names == name] == row).mean() > 0.75, name
    found = bundled.find("office chair", points, colors, normals)
    assert (names[found.matches[0].rows] == "chair").mean() > 0.6
