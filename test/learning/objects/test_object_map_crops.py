# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the bundled encoder learns from: objects cropped from maps, and background crops."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from furniture_libraries import write_furnished_folder

from concerto_ros.learning.objects.data.shapes import build
from concerto_ros.learning.objects.data.synthetic import CLASSES
from concerto_ros.learning.objects.demo_encoder.background_crops import (
    BACKGROUND_CROPS,
    TRAINED,
    background_crop,
)
from concerto_ros.learning.objects.demo_encoder.map_crops import MIN_VOXELS, crop_from_map
from concerto_ros.learning.objects.demo_encoder.objects import (
    ANSWERS,
    FORM,
    background_to_test,
    things_to_test,
    training_objects,
)
from concerto_ros.learning.objects.demo_encoder.training import train
from concerto_ros.objects.encoders.demo_encoder import load_demo
from concerto_ros.objects.encoders.shared.base import NONE_OF_THESE
from concerto_ros.objects.encoders.shared.preprocess import InputForm, prepare_object
from concerto_ros.sim.mesh import Finish, box

GREY = Finish((0.5, 0.5, 0.5))


def cuboid(x: float, y: float, z: float):
    return box((x, y, z), (0, 0, z / 2), GREY, "other")


@pytest.mark.parametrize("voxel", [0.02, 0.04])
def test_a_box_is_cut_out_of_the_map_it_is_seen_in(voxel):
    for seed in range(3):
        found = crop_from_map(cuboid(0.3, 0.2, 0.25), voxel, np.random.default_rng(seed))
        assert found.purity > 0.9 and found.whole > 0.4
        low, high = found.points.min(0), found.points.max(0)
        assert (high - low < np.array([0.3, 0.2, 0.25]) + 2 * voxel).all()
        assert high[2] == pytest.approx(0.25, abs=voxel)
        # One point in a voxel: none is nearly another.
        apart = np.linalg.norm(found.points[:, None] - found.points, axis=2)
        assert np.median(np.sort(apart, 1)[:, 1]) > voxel / 3


def test_the_same_choices_give_the_same_cut():
    first, second = (
        crop_from_map(cuboid(0.2, 0.2, 0.2), 0.03, np.random.default_rng(4)) for _ in range(2)
    )
    np.testing.assert_array_equal(first.points, second.points)


def test_what_is_too_small_for_the_voxels_is_not_found():
    found = crop_from_map(cuboid(0.04, 0.04, 0.03), 0.04, np.random.default_rng(0))
    # If anything it is a piece of the table.
    assert found is None or found.purity < 0.1


def test_a_neighbour_at_a_distance_is_another_object():
    thing, other = cuboid(0.2, 0.2, 0.3), cuboid(0.3, 0.3, 0.3)
    for seed in range(4):
        found = crop_from_map(thing, 0.02, np.random.default_rng(seed), neighbour=other, apart=0.2)
        assert found.purity == 1.0
        assert np.abs(found.points[:, :2]).max() < 0.15


@pytest.mark.parametrize("name", BACKGROUND_CROPS)
def test_background_crops_are_large_enough_for_a_node_and_always_the_same(name):
    first, again, other = (
        background_crop(name, 0.04, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert len(first) >= MIN_VOXELS and np.isfinite(first).all()
    np.testing.assert_array_equal(first, again)
    assert first.shape != other.shape or not np.array_equal(first, other)


def test_what_is_only_met_in_the_test_is_not_learnt():
    assert set(BACKGROUND_CROPS) - set(TRAINED) == {"unseen thing"}


def test_objects_and_background_crops_are_labelled(tmp_path):
    data = training_objects(tmp_path, 2, len(TRAINED))
    assert data.classes == ANSWERS == (*CLASSES, NONE_OF_THESE)
    counts = np.bincount(data.labels)
    assert counts.tolist() == [2] * len(CLASSES) + [len(TRAINED)]
    assert data.points.shape[1:] == (FORM.points, 3) and np.isfinite(data.points).all()
    crops = background_to_test(tmp_path, "corner", 2, 0.04)
    assert crops.labels.tolist() == [len(CLASSES)] * 2
    # As the node gives them to the encoder: none is passed over for being near the middle.
    assert data.prepared and crops.prepared


def test_objects_that_a_map_holds_too_little_of_are_left_out(tmp_path):
    found = things_to_test(tmp_path, 1, 0.12)
    assert 0 < len(found) < len(CLASSES) and found.prepared
    missing = {CLASSES[label] for label in set(range(len(CLASSES))) - set(found.labels)}
    assert {"mug", "keyboard", "roll"} <= missing


def test_an_encoder_may_see_sizes():
    form = InputForm(64, size_power=0.5)
    points = np.random.default_rng(0).normal(size=(64, 3))
    small, large = (prepare_object(scale * points, None, form) for scale in (0.01, 0.04))
    torch.testing.assert_close(2 * small, large, atol=1e-4, rtol=1e-4)
    radius = torch.linalg.vector_norm(large, dim=1).max()
    centred = 0.04 * (points - points.mean(0))
    assert radius**2 == pytest.approx(np.linalg.norm(centred, axis=1).max(), rel=1e-4)
    unit = prepare_object(points, None, InputForm(64))
    assert torch.linalg.vector_norm(unit, dim=1).max() == pytest.approx(1, abs=1e-5)


def test_training_the_bundled_encoder_twice_gives_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    furniture = write_furnished_folder(tmp_path / "models", ("Chair", "Bed"))
    written = []
    for run in ("first", "second"):
        output = tmp_path / f"{run}.safetensors"
        if run == "second":  # what only the report needs is not made again
            made = (tmp_path / "first" / "demo").glob("test_*")
            (tmp_path / "second" / "demo").mkdir(parents=True)
            for path in made:
                shutil.copy(path, tmp_path / "second" / "demo")
        outcome, report = train(
            tmp_path / run,
            per_class=1,
            background_count=5,
            epochs=2,
            test_per_class=1,
            furniture=furniture,
            output=output,
        )
        assert outcome.epochs == 2 and "| mug | " in report and "| corner | " in report
        assert "| chair (1) | " in report and "| beds (1) | " in report
        written.append(output.read_bytes())
    assert written[0] == written[1]
    encoder = load_demo(output)
    assert encoder.class_names == ANSWERS and encoder.form == FORM
    points = build("mug", np.random.default_rng(0)).corners.reshape(-1, 3)
    assert encoder.classify(encoder.prepare(points)[None]).shape == (1, len(ANSWERS))
