# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``inference.region: changed``: a prediction covers what changed, and says all of the map."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from not_finite import spoil_rows
from word_space import CLASSES, ClassVectors, language_head

from concerto_ros import SemanticPipeline
from concerto_ros.heads.added_rows import Examples
from concerto_ros.heads.similarity import FeatureQuery
from concerto_ros.labels.label_set import UNLABELLED
from concerto_ros.mapping.voxel_grid import find_keys
from concerto_ros.segmentation.feature_encoder import FeatureEncoder
from concerto_ros.segmentation.point_words import PointWords
from concerto_ros.segmentation.regions.selection import REFRESH
from concerto_ros.sensors.frame import Frame
from concerto_ros.settings.settings import Settings

SECOND = 1_000_000_000
#: Lies between two turns of the refresh.
START = 100_100_000_000


@pytest.fixture(scope="module")
def model():
    return SemanticPipeline.from_settings(Settings(device="cpu", precision="float32"))


def make(model, region="changed", **settings):
    """A pipeline with an empty map, and the models of ``model``."""
    parameters = {"device": "cpu", "precision": "float32", "inference.region": region}
    settings = Settings.from_mapping(parameters | settings)
    return SemanticPipeline(settings, model.encoder, model.head, model.labels)


def corridor(x0: float, x1: float, seconds: float, tint=150, step=0.03) -> Frame:
    """Floor and wall of a corridor between two places along it."""
    x, y = np.meshgrid(np.arange(x0, x1, step), np.arange(0, 1.2, step), indexing="ij")
    zero = np.zeros(x.size)
    floor = np.stack([x.ravel(), y.ravel(), zero], axis=1)
    wall = np.stack([x.ravel(), zero, y.ravel()], axis=1)
    normals = np.repeat([[0, 0, 1], [0, 1, 0]], len(floor), axis=0).astype(np.float32)
    points = np.concatenate([floor, wall]).astype(np.float32)
    colors = np.full(points.shape, tint, np.uint8)
    stamp = START + round(seconds * SECOND)
    return Frame(points, stamp, "odom", "", colors, normals, origin=np.array([x0, 1.0, 1.0]))


@pytest.fixture
def encoded(monkeypatch):
    """The number of voxels that the encoder saw, prediction by prediction."""
    counts = []
    encode = FeatureEncoder.encode

    def counting(self, model_input, *arguments):
        counts.append(len(model_input))
        return encode(self, model_input, *arguments)

    monkeypatch.setattr(FeatureEncoder, "encode", counting)
    return counts


def predict(pipeline, *frames, outputs=("labels", "pca"), question=None):
    for frame in frames:
        pipeline.insert(frame)
    snapshot = pipeline.snapshot()
    return snapshot, pipeline.infer(snapshot, outputs, question)


def test_a_still_scene_costs_nothing(model, encoded):
    pipeline = make(model)
    _, first = predict(pipeline, corridor(0, 6, 0.0))
    for step in range(1, 5):
        snapshot, again = predict(pipeline, corridor(0, 6, 0.2 * step))
        assert again.stamp == snapshot.stamp == START + step * SECOND // 5
    assert len(encoded) == 1 and "features" not in again.stage_ms
    for name in ("label", "confidence", "entropy", "pca_rgb"):
        np.testing.assert_array_equal(getattr(again, name), getattr(first, name))


def test_what_changed_is_predicted_and_the_rest_stays(model, encoded):
    pipeline = make(model)
    before, first = predict(pipeline, corridor(0, 8, 0.0))
    # The far end of the corridor is painted red and goes on.
    snapshot, after = predict(pipeline, corridor(7.0, 9.0, 0.2, (250, 20, 20)))
    assert len(after.label) == len(snapshot) > len(before)
    assert 0 < encoded[1] < 0.5 * len(snapshot)
    assert (after.label < UNLABELLED).all() and (after.confidence > 0).all()
    row = find_keys(before.keys, snapshot.keys)
    far = np.flatnonzero((row >= 0) & (snapshot.points[:, 0] < 6.0))
    for name in ("label", "confidence", "entropy", "pca_rgb"):
        old, new = getattr(first, name), getattr(after, name)
        np.testing.assert_array_equal(new[far], old[row[far]])
    painted = np.flatnonzero((row >= 0) & (snapshot.points[:, 0] > 7.2))
    assert (first.confidence[row[painted]] != after.confidence[painted]).mean() > 0.9


def test_a_prediction_of_a_part_is_nearly_that_of_the_whole_map(model):
    changed, whole = make(model), make(model, "map")
    for frame in (corridor(0, 8, 0.0), corridor(6.5, 8, 0.2, 90)):
        for pipeline in (changed, whole):
            snapshot, prediction = predict(pipeline, frame)
            if pipeline is changed:
                part = prediction
    assert (part.label == prediction.label).mean() > 0.95
    assert np.abs(part.pca_rgb.astype(int) - prediction.pca_rgb).mean() < 12


def test_where_all_of_the_map_changes_it_is_as_without(model):
    changed, whole = make(model), make(model, "map")
    for step in range(3):  # a LiDAR on a robot that moves
        frame = corridor(0.1 * step, 4 + 0.1 * step, 0.2 * step, 60 + 60 * step)
        (_, one), (_, other) = (predict(pipeline, frame) for pipeline in (changed, whole))
        for name in ("label", "confidence", "entropy", "pca_rgb"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_a_part_that_is_nothing_but_strays_has_no_label(model, encoded):
    pipeline = make(model)
    predict(pipeline, corridor(0, 4, 0.0))
    deep = np.array([[2.0, 0.6, -4.0]], np.float32)  # a reflection far below the floor
    pipeline.insert(Frame(deep, START + SECOND // 10, "odom", origin=np.array([0, 1.0, 1.0])))
    for step in range(1, 9):
        snapshot, prediction = predict(pipeline, corridor(0, 4, 0.25 * step))
        (row,) = np.flatnonzero(snapshot.points[:, 2] < -3)
        assert prediction.label[row] == UNLABELLED and prediction.confidence[row] == 0
    assert prediction.below_floor[row] and min(encoded) == 1  # it was a part by itself


def test_every_voxel_is_predicted_again_in_time(model, encoded):
    pipeline = make(model)
    sizes = []
    for step in range(round(REFRESH / 0.5) + 1):
        snapshot, _ = predict(pipeline, corridor(0, 8, 0.5 * step), outputs=["labels"])
        sizes.append(len(snapshot))
    assert sum(encoded[1:]) >= sizes[0] and len(encoded) < len(sizes)


@pytest.mark.parametrize("seconds", [0.0, 2.0])
def test_the_rest_stays_with_and_without_fusion(model, seconds):
    pipeline = make(model, **{"fusion.seconds": seconds})
    before, first = predict(pipeline, corridor(0, 8, 0.0))
    for step in range(1, 4):
        snapshot, after = predict(pipeline, corridor(7.5, 8, 0.2 * step, 40 * step))
    far = snapshot.points[:, 0] < 6
    np.testing.assert_array_equal(after.label[far], first.label[before.points[:, 0] < 6])


def test_what_is_asked_for_later_is_there_for_the_whole_map(model, encoded):
    pipeline = make(model)
    _, labels = predict(pipeline, corridor(0, 8, 0.0), outputs=["labels"])
    assert not labels.pca_rgb.any()
    _, colours = predict(pipeline, corridor(7.5, 8, 0.2, 20), outputs=["pca"])
    assert colours.pca_rgb.any(axis=1).mean() > 0.95
    assert (colours.label == UNLABELLED).all() and not colours.confidence.any()
    assert labels.unfamiliar is not None and colours.unfamiliar is None
    predictions = len(encoded)
    _, both = predict(pipeline)  # the labels are remembered beside the colours
    assert len(encoded) == predictions and (both.label < UNLABELLED).all()
    np.testing.assert_array_equal(both.pca_rgb, colours.pca_rgb)


@pytest.mark.parametrize(("seconds", "computed"), [(9.0, True), (11.0, False)])
def test_what_nobody_asks_for_any_more_is_not_computed(model, seconds, computed):
    pipeline = make(model)
    predict(pipeline, corridor(0, 8, 0.0))
    _, labels = predict(pipeline, corridor(0, 8, seconds, 20), outputs=["labels"])
    assert ("pca" in labels.stage_ms) == computed and not labels.pca_rgb.any()
    assert (labels.label < UNLABELLED).all()


def test_few_new_voxels_have_no_label_until_they_are_predicted(model, encoded):
    pipeline = make(model)
    before, first = predict(pipeline, corridor(0, 8, 0.0))
    small = np.array([[2.02, 0.5, 0.05], [5.02, 0.5, 0.05], [3, 3, 3]], np.float32)
    snapshot, after = predict(pipeline, Frame(small, START + SECOND // 5, "odom"))
    assert len(encoded) == 1
    new = find_keys(before.keys, snapshot.keys) < 0
    assert new.sum() == 3
    # What lies on the floor is not the floor, for a planner least of all.
    assert (after.label[new] == UNLABELLED).all()
    np.testing.assert_array_equal(after.label[~new], first.label)
    snapshot, after = predict(pipeline, Frame(small, START + 2 * SECOND, "odom"))
    assert len(encoded) == 2 and (after.label < UNLABELLED).all()


def test_in_a_map_that_is_asked_for_again_no_voxel_waits(model, encoded):
    """Where sensors stop there is no next turn."""
    pipeline = make(model)
    predict(pipeline, corridor(0, 8, 0.0))
    small = np.array([[2.02, 0.5, 0.05], [5.02, 0.5, 0.05], [3, 3, 3]], np.float32)
    _, waiting = predict(pipeline, Frame(small, START + SECOND // 5, "odom"))
    snapshot, after = predict(pipeline)
    assert np.count_nonzero(waiting.label == UNLABELLED) == 3
    np.testing.assert_array_equal(waiting.waiting, waiting.label == UNLABELLED)
    assert after.waiting is None
    assert (after.label < UNLABELLED).all()
    far = snapshot.points[:, 0] > 6.5
    np.testing.assert_array_equal(after.label[far], waiting.label[far])
    predict(pipeline)
    assert len(encoded) == 2  # for what is known all was done


def test_what_was_predicted_does_not_depend_on_who_else_looked_at_the_map(model):
    alone, watched = make(model, window_radius=5.2), make(model, window_radius=5.2)
    for step in range(8):
        frame = corridor(0.2 * step, 3 + 0.3 * step, 0.2 * step, 60 + 20 * step)
        for pipeline in (alone, watched):
            pipeline.insert(frame, np.array([0.2 * step, 0.6, 0.6]))
        watched.snapshot()
        if step % 2:
            (_, one), (_, other) = predict(alone), predict(watched)
            for name in ("label", "confidence", "entropy", "pca_rgb"):
                np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_where_the_floor_comes_into_view_all_heights_are_counted_anew(model):
    """Until then the lowest surface, that of a gallery, was the floor."""
    changed, whole = (make(model, each, **{"fusion.seconds": 0.0}) for each in ("changed", "map"))
    gallery = corridor(0, 8, 0.0)
    gallery = replace(gallery, points=gallery.points + np.float32([0, 0, 2.4]))
    floor = corridor(7.0, 8.4, 0.2)
    low = floor.points[:, 2] < 0.01
    floor = replace(
        floor, points=floor.points[low], colors=floor.colors[low], normals=floor.normals[low]
    )
    equal = []
    for frame in (gallery, *(replace(floor, stamp=START + SECOND * n // 5) for n in range(1, 6))):
        (snapshot, part), (_, all_of_it) = (predict(each, frame) for each in (changed, whole))
        equal.append((part.label == all_of_it.label)[snapshot.points[:, 0] < 6].mean())
    assert equal[0] == 1 and equal[1] < 0.95 and equal[-1] > 0.99


@pytest.mark.parametrize("start", [START, 0])
def test_where_stamps_stand_still_no_voxel_waits_for_ever(model, start):
    """A sensor whose messages have no stamp, in the fixed frame, or a paused clock."""
    pipeline = make(model)
    predict(pipeline, replace(corridor(0, 8, 0.0), stamp=start))
    unlabelled = []
    for step in range(4):
        small = np.array([[2.02 + step, 0.5, 0.05], [3, 3, 1 + step]], np.float32)
        _, prediction = predict(pipeline, Frame(small, start, "odom"))
        unlabelled.append(np.count_nonzero(prediction.label == UNLABELLED))
    assert unlabelled == [2, 0, 2, 0]


def test_a_voxel_that_comes_back_waits_for_a_label_of_its_own(model):
    pipeline = make(model, window_radius=5.2)
    small = np.array([[-2, 0.5, 0.05], [-2, 0.5, 0.15], [-2, 0.5, 0.25]], np.float32)
    near, far = np.array([3, 0.6, 0.6]), np.array([5, 0.6, 0.6])
    pipeline.insert(Frame(small, START, "odom"), near)
    pipeline.insert(corridor(0, 8, 0.2), near)
    before, first = predict(pipeline)
    assert (first.label < UNLABELLED).all()
    stamp = START + SECOND // 5  # all that follows has the stamp of this map, as of another sensor
    pipeline.insert(Frame(small[:0], stamp, "odom"), far)
    assert len(pipeline.snapshot()) == len(before) - 3
    pipeline.insert(Frame(small, stamp, "odom"), near)
    snapshot, back = predict(pipeline)
    np.testing.assert_array_equal(snapshot.keys, before.keys)
    np.testing.assert_array_equal(back.label == UNLABELLED, snapshot.points[:, 0] < -1)


def test_a_map_that_all_voxels_left_is_refused(model, encoded):
    pipeline = make(model, window_radius=5.2)
    near, far = np.array([3, 0.6, 0.6]), np.array([50, 0.6, 0.6])
    frame = corridor(0, 6, 0.0)
    pipeline.insert(frame, near)
    before, first = predict(pipeline)
    pipeline.insert(replace(frame, stamp=START + 1), far)
    with pytest.raises(ValueError, match="the snapshot holds no voxel"):
        predict(pipeline)
    pipeline.insert(replace(frame, stamp=START + 2), near)
    snapshot, back = predict(pipeline)
    np.testing.assert_array_equal(snapshot.keys, before.keys)
    assert encoded == [len(before)] * 2  # they are other voxels
    assert (back.label == first.label).mean() > 0.99


def test_what_is_done_with_a_prediction_changes_no_later_one(model):
    pipeline = make(model)
    _, first = predict(pipeline, corridor(0, 8, 0.0))
    label, rgb = first.label.copy(), first.pca_rgb.copy()
    for step in (1, 2):
        first.label[:], first.pca_rgb[:], first.confidence[:] = 1 + label.max(), 0, -1
        _, first = predict(pipeline, corridor(0, 8, 0.2 * step))
        np.testing.assert_array_equal(first.label, label)
        np.testing.assert_array_equal(first.pca_rgb, rgb)
        assert (first.confidence > 0).all()


def test_after_a_bad_moment_all_is_predicted_again(model, encoded, monkeypatch):
    monkeypatch.setattr(model.encoder, "forward_features", model.encoder.forward_features)
    pipeline = make(model)
    bad = spoil_rows(model.encoder, slice(0, None, 2))
    _, spoilt = predict(pipeline, corridor(0, 8, 0.0))
    assert (spoilt.label == UNLABELLED).mean() > 0.4
    bad[0] = False
    _, after = predict(pipeline, corridor(0, 8, 0.2))
    assert (after.label < UNLABELLED).all() and not after.not_finite
    predict(pipeline, corridor(0, 8, 0.3))
    assert len(encoded) == 2


def test_words_and_classes_that_are_set_label_the_whole_map_at_once(model):
    pipeline = make(model)
    pipeline.words = PointWords(language_head(), ClassVectors(), pipeline.encoder)
    before, head = predict(pipeline, corridor(0, 8, 0.0))
    pipeline.set_words(CLASSES[:2])
    snapshot, words = predict(pipeline, corridor(7.5, 8, 0.2, 20))
    assert [entry.name for entry in words.classes] == list(CLASSES[:2])
    labels = set(np.unique(words.label))
    assert labels <= {0, 1, UNLABELLED}
    assert (words.no_word == (words.label == UNLABELLED)).all()
    _, again = predict(pipeline, corridor(7.5, 8, 0.4, 250))
    assert set(np.unique(again.label)) <= {0, 1, UNLABELLED}
    far = snapshot.points[:, 0] < 6
    np.testing.assert_array_equal(again.no_word[far], words.no_word[far])
    pipeline.set_words(None)
    _, back = predict(pipeline)
    assert (back.label[far] == head.label[before.points[:, 0] < 6]).mean() > 0.9


def test_a_class_that_is_taught_labels_the_whole_map(model):
    pipeline = make(model)
    snapshot, first = predict(pipeline, corridor(0, 8, 0.0))
    rows = np.flatnonzero((snapshot.points[:, 2] < 0.04) | (snapshot.points[:, 2] > 0.3))[::40]
    _, asked = predict(pipeline, question=FeatureQuery(rows=rows))
    on_floor = torch.from_numpy(snapshot.points[rows, 2] < 0.04)
    features = asked.features
    taught = pipeline.taught.taught("carpet", Examples(features[on_floor], features[~on_floor]))
    pipeline.use(taught)
    _, after = predict(pipeline)
    carpet = after.label == taught.label_of("carpet")
    assert carpet[snapshot.points[:, 2] < 0.04].mean() > 0.8 and carpet.mean() < 0.7


def test_features_of_rows_are_those_of_the_whole_map(model):
    pipeline = make(model)
    snapshot, _ = predict(pipeline, corridor(0, 8, 0.0))
    question = FeatureQuery(rows=np.array([5, 900, 4]))
    _, asked = predict(pipeline, question=question)
    expected = make(model, "map").infer(snapshot, (), question).features
    torch.testing.assert_close(asked.features, expected)
    assert len(asked.label) == len(snapshot)


def test_a_comparison_answers_for_the_whole_map_and_is_remembered(model, encoded):
    pipeline = make(model)
    snapshot, _ = predict(pipeline, corridor(0, 8, 0.0))
    row = np.array([len(snapshot) // 2])
    like = predict(pipeline, question=FeatureQuery(rows=row))[1].features[0]
    question = FeatureQuery(like=like)
    _, first = predict(pipeline, question=question)
    assert np.isfinite(first.similarity).all() and first.similarity[row] > 0.9
    count = len(encoded)
    _, same = predict(pipeline, question=replace(question, rows=None))
    np.testing.assert_array_equal(same.similarity, first.similarity)
    assert len(encoded) == count
    _, other = predict(pipeline, question=FeatureQuery(like=-like))
    np.testing.assert_allclose(other.similarity, -first.similarity, atol=2e-3)
    assert predict(pipeline)[1].similarity is None


def test_a_text_is_found_in_the_map(model):
    pipeline, whole = make(model), make(model, "map")
    for each in (pipeline, whole):
        each.words = PointWords(language_head(CLASSES), ClassVectors(), each.encoder)
        predict(each, corridor(0, 8, 0.0))
    names = [entry.name for entry in model.labels.classes]
    common = names[int(np.bincount(whole.infer(whole.snapshot()).label).argmax())]
    found, expected = pipeline.find(common), whole.find(common)
    np.testing.assert_allclose(found.prediction.match, expected.prediction.match, atol=1e-5)
    assert expected.prediction.match.any()
    like = torch.ones(sum(model.encoder.channels))
    both = FeatureQuery(like=like, match=pipeline.text_query(common).match)  # a text precedes
    _, text = predict(pipeline, question=both)
    _, cosine = predict(pipeline, question=FeatureQuery(like=like))
    assert text.match is not None and cosine.match is None
    assert not np.allclose(text.similarity, cosine.similarity)


def test_what_left_the_map_is_forgotten(model):
    pipeline = make(model)
    predict(pipeline, corridor(0, 8, 0.0))
    pipeline.clear()
    snapshot, fresh = predict(pipeline, corridor(0, 8, 0.2))
    other = make(model, "map")
    _, expected = predict(other, corridor(0, 8, 0.2))
    np.testing.assert_array_equal(fresh.label, expected.label)
    np.testing.assert_array_equal(fresh.pca_rgb, expected.pca_rgb)


def test_a_pipeline_that_continues_begins_with_the_whole_map(model, encoded):
    first, second = make(model), make(model)
    predict(first, corridor(0, 8, 0.0))
    second.insert(corridor(0, 8, 0.0))
    second.load_state_dict(first.state_dict())
    snapshot, continued = predict(second, corridor(7.5, 8, 0.2, 20))
    assert encoded[-1] == len(snapshot) and (continued.label < UNLABELLED).all()
    first.load_state_dict(first.state_dict())
    assert len(predict(first, corridor(7.5, 8, 0.2, 20))[1].label) == len(snapshot)
    assert encoded[-1] == len(snapshot)


def test_a_single_cloud_is_no_part_of_it(model, encoded):
    pipeline = make(model)
    snapshot, first = predict(pipeline, corridor(0, 8, 0.0))
    pipeline.segment(corridor(0, 1, 0.0).points)
    _, again = predict(pipeline)
    assert len(encoded) == 2
    np.testing.assert_array_equal(again.label, first.label)
