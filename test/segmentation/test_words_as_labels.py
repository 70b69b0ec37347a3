# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Words as the source of labels, in a text space whose axes are the classes of the linear head."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from word_space import CLASSES, PROBABLE, ClassVectors, language_head, office_scan, word_parameters

from concerto_ros import SemanticPipeline
from concerto_ros.heads.scoring import Sigmoid
from concerto_ros.labels.label_set import UNLABELLED, LabelSet
from concerto_ros.segmentation.point_words import PointWords
from concerto_ros.sensors.frame import Frame
from concerto_ros.settings.field import SettingsError
from concerto_ros.settings.settings import Settings


@pytest.fixture(scope="module")
def room():
    """What a sensor in the middle of an office sees: points, colours, normals."""
    return office_scan(30_000)[:3]


def pipeline_with(contrast=(), scoring=PROBABLE, threshold=0.0, **settings):
    pipeline = SemanticPipeline.from_settings(
        Settings(device="cpu", precision="float32", **settings)
    )
    head = language_head(contrast, scoring, threshold)
    pipeline.words = PointWords(head, ClassVectors(), pipeline.encoder)
    return pipeline


@pytest.fixture(scope="module")
def plain(room):
    """The labels of the linear head."""
    return pipeline_with().segment(*room)


def names(prediction):
    """The name of each point's class; empty where unlabelled."""
    return np.array([*(entry.name for entry in prediction.classes), *[""] * 256])[
        np.where(prediction.label == UNLABELLED, len(prediction.classes), prediction.label)
    ]


def test_words_label_as_the_head_whose_classes_they_are(room, plain):
    words = pipeline_with().segment(*room, words=CLASSES)
    assert [entry.name for entry in words.classes] == list(CLASSES)
    assert (words.label == plain.label).mean() > 0.9999  # but for ties
    assert len(np.unique(words.label)) > 5 and words.model == "demo + words of classes"
    assert ((words.confidence > 0) & (words.confidence <= 1)).all()


def test_contrast_words_win_points_that_then_have_no_label(room, plain):
    pipeline = pipeline_with(contrast=CLASSES)
    words = pipeline.segment(*room, words=["seat|chair", "table"])
    assert [entry.name for entry in words.classes] == ["seat", "table"]
    # "chair" means the same as "seat" and does not compete with it.
    np.testing.assert_array_equal(names(words) == "table", names(plain) == "table")
    np.testing.assert_array_equal(names(words) == "seat", names(plain) == "chair")
    without = (words.label == UNLABELLED).sum()
    assert words.unlabelled == {"no_word": without} and words.count_no_word == without
    assert words.not_finite == 0
    blank = words.no_word
    assert (words.confidence[blank] == 0).all() and (words.entropy[blank] == 1).all()


def test_words_that_mean_the_same_take_no_labels_from_each_other(room):
    pipeline = pipeline_with(contrast=["floor", "wall"], threshold=0.9)
    alone = pipeline.segment(*room, words=["chair"])
    beside = pipeline.segment(*room, words=["chair", "something to sit on"])
    # Each of the two has half of the probability.
    assert (beside.confidence <= 0.51).all() and (alone.label == 0).any()
    np.testing.assert_array_equal(beside.label != UNLABELLED, alone.label != UNLABELLED)


def test_what_is_less_probable_than_the_threshold_has_no_label(room):
    pipeline = pipeline_with()
    sure = pipeline.segment(*room, words=CLASSES)
    strict = pipeline_with(threshold=0.9).segment(*room, words=CLASSES)
    np.testing.assert_array_equal(strict.label != UNLABELLED, sure.confidence >= 0.9)
    assert 0 < strict.count_no_word < len(strict.label)
    pipeline.set_words(CLASSES, threshold=0.9)
    np.testing.assert_array_equal(pipeline.segment(*room).label, strict.label)


def test_a_sigmoid_gives_each_word_its_own_probability(room, plain):
    pipeline = pipeline_with(scoring=Sigmoid(10.0, -4.0), threshold=0.5)
    alone = pipeline.segment(*room, words=["table"])
    among = pipeline.segment(*room, words=CLASSES)
    both = (names(alone) == "table") & (names(among) == "table")
    assert both.any()
    np.testing.assert_allclose(alone.confidence[both], among.confidence[both], rtol=1e-4)
    assert alone.confidence[both].min() >= 0.5
    assert (names(plain)[both] == "table").all()


def test_points_whose_features_are_not_finite_are_no_missing_words(room):
    pipeline = pipeline_with(contrast=["floor"])
    forward = pipeline.encoder.forward_features

    def broken(feat, hierarchy):
        pyramid = forward(feat, hierarchy)
        pyramid.feats[0][:5] = torch.nan
        return pyramid

    pipeline.encoder.forward_features = broken
    words = pipeline.segment(*room, words=["table"])
    assert words.not_finite >= 5 and words.count_no_word > 0
    assert not (words.no_word & words.unusable).any()
    assert words.unlabelled["output_not_finite"] == words.not_finite


def test_set_words_stays_until_it_is_taken_back(room, plain):
    pipeline = pipeline_with()
    pipeline.set_words(["table", "wall"], colors=[(1, 2, 3), (4, 5, 6)])
    assert pipeline.labels_are_words
    assert [entry.color for entry in pipeline.labels.classes] == [(1, 2, 3), (4, 5, 6)]
    assert set(np.unique(pipeline.segment(*room).label)) == {0, 1}
    with pytest.raises(ValueError, match="no vector of 'unicorn'"):
        pipeline.set_words(["unicorn"])
    assert pipeline.labels_are_words
    pipeline.set_words(None)
    assert not pipeline.labels_are_words and pipeline.labels == LabelSet.load("demo")
    np.testing.assert_array_equal(pipeline.segment(*room).label, plain.label)


def test_parameters_name_words_and_models(room, plain, tmp_path):
    parameters = word_parameters(tmp_path, contrast=())
    parameters |= {"device": "cpu", "precision": "float32"}
    named = Settings.from_mapping(parameters | {"words.names": CLASSES})
    pipeline = SemanticPipeline.from_settings(named)
    assert pipeline.labels_are_words
    assert (pipeline.segment(*room).label == plain.label).mean() > 0.9999


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"words.head": "nowhere.safetensors"}, "words.head: language head nowhere.safetensors"),
        ({"words.table": "nowhere.npz"}, "words.table: .*nowhere.npz"),
        ({"words.names": ["chair", "chair"]}, r"words.names: words\[1\]: 'chair' is there twice"),
        ({"words.names": ["unicorn"]}, "words.names: word 'unicorn': not among"),
        ({"words.threshold": 1.5}, "words.threshold: got 1.5"),
    ],
)
def test_parameters_of_words_that_are_wrong_are_named(changes, words, tmp_path):
    parameters = word_parameters(tmp_path) | {"device": "cpu", "words.names": ["chair"]}
    with pytest.raises((SettingsError, OSError), match=words):
        SemanticPipeline.from_settings(Settings.from_mapping(parameters | changes))


def frame_of(room, stamp):
    points, colors, normals = room
    return Frame(points, stamp, "odom", "camera", colors, normals, origin=np.array([0, 0, 1.4]))


def test_labels_are_fused_over_time_and_start_again_with_other_words(room):
    pipeline = pipeline_with()
    pipeline.set_words(["table", "wall"])
    for stamp in (1, 500_000_000):
        pipeline.insert(frame_of(room, stamp))
        fused = pipeline.infer(pipeline.snapshot())
    assert pipeline.state_dict()["fusion.mean"].shape == (len(fused.label), 2)
    pipeline.set_words(["table", "wall", "floor"])
    assert not any(name.startswith("fusion") for name in pipeline.state_dict())
    three = pipeline.infer(pipeline.snapshot())
    assert pipeline.state_dict()["fusion.mean"].shape == (len(three.label), 3)
    assert set(np.unique(three.label)) == {0, 1, 2}


def test_a_cloud_in_parts_has_the_same_words(room, monkeypatch):
    pipeline = pipeline_with(contrast=["floor", "wall"])
    whole = pipeline.segment(*room, words=["table", "chair"])
    forward = pipeline.encoder.forward_features

    def with_little_memory(feat, hierarchy):
        if len(feat) > 0.7 * len(np.unique(whole.points, axis=0)):
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return forward(feat, hierarchy)

    monkeypatch.setattr(pipeline.encoder, "forward_features", with_little_memory)
    parts = pipeline.segment(*room, words=["table", "chair"])
    assert (parts.label == whole.label).mean() > 0.9
    assert parts.unlabelled["no_word"] == parts.count_no_word > 0


def test_colours_of_many_words_differ():
    labels = LabelSet.of_names("words", [f"word {number}" for number in range(255)])
    assert len({entry.color for entry in labels.classes}) == 255
    with pytest.raises(ValueError, match="word 3.* already"):
        LabelSet.of_names("words", ["word 3", "word 3"])
    with pytest.raises(ValueError, match="colors: got 1, expected 2, one for each"):
        LabelSet.of_names("words", ["a", "b"], [(0, 0, 0)])
