# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Models of furniture libraries among the objects that the bundled encoder learns from."""

from __future__ import annotations

import numpy as np
import pytest
from furniture_libraries import write_furnished_folder

from concerto_ros.learning.objects.data.synthetic import CLASSES
from concerto_ros.learning.objects.demo_encoder.held_out_models import (
    held_out_models,
    models_to_test,
)
from concerto_ros.learning.objects.demo_encoder.library_models import (
    RULES,
    UNCLEAR,
    answer_of,
    models_by_answer,
    training_model,
    varied,
)
from concerto_ros.learning.objects.demo_encoder.objects import (
    ANSWERS,
    LIBRARY_BACKGROUND,
    training_objects,
)
from concerto_ros.objects.encoders.shared.base import NONE_OF_THESE
from concerto_ros.sim.library import FurnitureLibrary
from concerto_ros.sim.library.in_rooms import ENOUGH
from concerto_ros.sim.library.kinds import Kinds


@pytest.fixture
def furniture(tmp_path, monkeypatch):
    """A library of whose four chairs, tables and beds one each is held out."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    names = ("Chair", "Coffee table", "Bed", "Vase")
    return write_furnished_folder(tmp_path / "models", names)


def test_rules_speak_of_classes_and_of_kinds_that_exist():
    kinds = {kind.kind for kind, _ in Kinds()._rules}
    for rule in RULES:
        assert rule.answer in (*CLASSES, UNCLEAR) and set(rule.kinds) <= kinds


def test_models_belong_to_a_class_to_none_or_are_left_out(furniture):
    answers = {p.entry.name: answer_of(p) for p in FurnitureLibrary.open(furniture).pieces()}
    expected = {"Chair": "chair", "Coffee table": "table", "Bed": NONE_OF_THESE, "Vase": UNCLEAR}
    assert answers == expected
    for held_out, count in ((False, 3), (True, 1)):
        models = models_by_answer(furniture, held_out)
        assert {answer: len(pieces) for answer, pieces in models.items()} == {
            "chair": count, "table": count, NONE_OF_THESE: count
        }  # fmt: skip
        assert all(p.held_out == held_out for pieces in models.values() for p in pieces)


def test_a_class_of_few_models_has_few_of_them_in_training(furniture):
    rng = np.random.default_rng(0)
    drawn = [training_model("chair", furniture, rng) is not None for _ in range(400)]
    assert np.mean(drawn) == pytest.approx(0.5 * 3 / ENOUGH, abs=0.06)
    assert all(training_model("mug", furniture, rng) is None for _ in range(20))


def test_models_are_varied_within_reason_and_stand_on_the_ground(furniture):
    model = models_by_answer(furniture, False)["chair"][0]
    rng = np.random.default_rng(1)
    volumes, heights = [], []
    for _ in range(40):
        mesh = varied(model, "chair", rng)
        low, high = mesh.bounds()
        np.testing.assert_allclose([*(low + high)[:2], low[2]], 0, atol=1e-5)
        heights.append((high - low)[2] / model.size[2])
        volumes.append(np.linalg.det(mesh.corners.astype(np.float64)).sum())
    assert min(heights) > 0.78 and max(heights) < 1.27 and np.ptp(heights) > 0.15
    mirrored = np.array(volumes) < 0
    assert 10 < mirrored.sum() < 30


def test_a_library_takes_a_share_of_the_objects_and_leaves_the_others_as_they_are(
    furniture, tmp_path
):
    plain = training_objects(tmp_path / "plain", 3, 5)
    mixed = training_objects(tmp_path / "mixed", 3, 5, furniture)
    things = 3 * len(CLASSES)
    same = (plain.points[:things] == mixed.points[:things]).all((1, 2))
    changed = {CLASSES[label] for label in mixed.labels[:things][~same]}
    assert changed and changed <= {"chair", "table"} and (~same).sum() < 6
    np.testing.assert_array_equal(plain.points[things:], mixed.points[things : things + 5])
    added = mixed.labels[things + 5 :].tolist()
    assert added == [ANSWERS.index(NONE_OF_THESE)] * round(LIBRARY_BACKGROUND * 5)


def test_held_out_models_are_tested_by_class_and_by_sort_of_background(furniture, tmp_path):
    assert list(held_out_models(furniture)) == ["chair", "table", "beds"]
    found = models_to_test(tmp_path, 2, 0.04, furniture)
    labels = {sort: objects.labels.tolist() for sort, objects in found.items()}
    none = ANSWERS.index(NONE_OF_THESE)
    assert labels == {"chair": [3] * 2, "table": [13] * 2, "beds": [none] * 2}
    assert CLASSES[3] == "chair" and CLASSES[13] == "table"
    again = models_to_test(tmp_path / "again", 2, 0.04, furniture)
    for sort, objects in found.items():
        np.testing.assert_array_equal(objects.points, again[sort].points)
