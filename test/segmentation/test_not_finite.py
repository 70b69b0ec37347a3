# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A model whose output is not finite labels nothing: NaN is not the first class, the floor."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from not_finite import overflowing_head, spoil_rows

from concerto_ros.heads.similarity import FeatureQuery
from concerto_ros.labels.label_set import UNLABELLED
from concerto_ros.labels.packed_cloud import CloudStyle, pack_similarity
from concerto_ros.pipeline import SemanticPipeline
from concerto_ros.ptv3.bundled import read_demo
from concerto_ros.sensors.frame import Frame
from concerto_ros.settings.field import SettingsError
from concerto_ros.settings.outputs import FusionSettings
from concerto_ros.settings.settings import Settings

NAN, INFINITY = float("nan"), float("inf")
SECOND = 1_000_000_000


def make(**settings) -> SemanticPipeline:
    return SemanticPipeline.from_settings(Settings(**{"precision": "float32"} | settings))


def cloud(seed: int = 0, size: int = 600) -> np.ndarray:
    points = np.random.default_rng(seed).uniform((1, -2, 0), (4, 2, 2), (size, 3))
    points[: size // 2, 2] = 0.0
    return points.astype(np.float32)


def frame(seconds: float) -> Frame:
    return Frame(cloud(), stamp=round(seconds * SECOND), frame_id="odom", source="front")


def demo_files(folder, change) -> tuple[str, str]:
    """Encoder and head of the bundled model as files; ``change`` edits their state dicts."""
    paths = []
    for part in ("encoder", "head"):
        content, _ = read_demo(part)
        config, state = content["config"], content["state_dict"]
        change(part, state)
        if part == "head":
            classes, width = state["seg_head.weight"].shape
            config = {"backbone_out_channels": width, "num_classes": classes}
        paths.append(str(folder / f"{part}.pth"))
        torch.save({"config": config, "state_dict": state}, paths[-1])
    return paths[0], paths[1]


@pytest.mark.parametrize("value", [NAN, INFINITY, -INFINITY])
@pytest.mark.parametrize(
    ("part", "name", "place"),
    [
        ("encoder", "embedding.stem.norm.bias", 3),
        ("encoder", "embedding.stem.linear.weight", (2, 1)),
        ("head", "seg_head.bias", 11),
        ("head", "seg_head.weight", (4, slice(None))),
    ],
)
def test_weights_that_are_not_finite_are_refused_by_name(tmp_path, part, name, place, value):
    def change(of, state):
        if of == part:
            state[name][place] = value

    checkpoint, head = demo_files(tmp_path, change)
    option = "checkpoint" if part == "encoder" else "head"
    wanted = (
        rf"^{option}: .*{part}.pth has weights that are not finite .*: {name} \(\d+ of \d+ val"
    )
    with pytest.raises(SettingsError, match=wanted):
        make(checkpoint=checkpoint, head=head)


@pytest.mark.parametrize(
    ("part", "name"), [("encoder", "embedding.stem.norm.bias"), ("head", "seg_head.bias")]
)
def test_weights_that_float16_cannot_hold_are_refused_in_float16_only(tmp_path, part, name):
    def change(of, state):
        if of == part:
            state[name][0] = 7e4

    checkpoint, head = demo_files(tmp_path, change)
    with pytest.raises(SettingsError, match=f"not finite in float16: {name} .*float32 or bfloat"):
        make(checkpoint=checkpoint, head=head, precision="float16")
    assert (make(checkpoint=checkpoint, head=head).segment(cloud()).label != UNLABELLED).all()


def test_weights_in_double_precision_that_float32_cannot_hold_are_refused(tmp_path):
    def change(of, state):
        if of == "head":
            state["seg_head.bias"] = state["seg_head.bias"].double() + 1e300

    checkpoint, head = demo_files(tmp_path, change)
    with pytest.raises(SettingsError, match=r"head: .* not finite .*seg_head.bias \(12 of 12"):
        make(checkpoint=checkpoint, head=head)


@pytest.mark.parametrize("label", [None, 0, 5])
def test_scores_that_overflow_are_no_label(tmp_path, caplog, label):
    """All classes, or a single one: infinity would always win, minus infinity never."""
    model = make(head=str(overflowing_head(tmp_path / "head.pth", 1e38, label)))
    with caplog.at_level(logging.WARNING):
        prediction = model.segment(cloud())
    bad = prediction.unusable
    assert prediction.not_finite == np.count_nonzero(bad) > 0
    assert (prediction.label[bad] == UNLABELLED).all()
    assert (prediction.label[~bad] != UNLABELLED).all()
    assert np.isfinite(prediction.confidence).all() and np.isfinite(prediction.entropy).all()
    assert (prediction.confidence[bad] == 0).all() and (prediction.entropy[bad] == 1).all()
    assert f"{prediction.not_finite} of 600 points" in caplog.text and "float32" in caplog.text


def test_float16_that_overflows_is_no_label(tmp_path):
    head = str(overflowing_head(tmp_path / "head.pth", 2e4))
    overflown = make(head=head, precision="float16").segment(cloud())
    assert 0 < overflown.not_finite == np.count_nonzero(overflown.label == UNLABELLED)
    exact = make(head=head).segment(cloud())
    assert exact.not_finite == 0 and (exact.label != UNLABELLED).all()


@pytest.mark.parametrize("value", [NAN, INFINITY, -INFINITY])
def test_one_voxel_that_is_not_finite_leaves_the_others_as_they_are(value):
    model, reference = make(), make()
    spoil_rows(model.encoder, 100, value)
    expected, got = reference.segment(cloud()), model.segment(cloud())
    changed = np.flatnonzero(got.label != expected.label)
    assert len(changed) == got.not_finite == 1 and got.label[changed[0]] == UNLABELLED
    np.testing.assert_array_equal(
        np.delete(got.confidence, changed), np.delete(expected.confidence, changed)
    )


def test_one_bad_prediction_leaves_no_trace_in_the_fused_labels():
    """Nor in the colours: what is carried on is as if those voxels had not been there."""
    model = make(fusion=FusionSettings(seconds=2.0))
    model.insert(frame(0.0))
    before = model.infer(model.snapshot())
    active = spoil_rows(model.encoder, slice(None))
    model.insert(frame(0.2))
    bad = model.infer(model.snapshot())
    assert (bad.label == UNLABELLED).all() and bad.not_finite == len(bad.label)
    assert (bad.confidence == 0).all()
    active[0] = False
    model.insert(frame(0.4))
    after = model.infer(model.snapshot())
    np.testing.assert_array_equal(after.label, before.label)
    assert np.isfinite(after.confidence).all() and after.not_finite == 0
    state = model.state_dict()
    assert all(value.isfinite().all() for value in state.values())


def test_the_state_of_a_pipeline_that_had_bad_predictions_heals():
    """A half-done bag job of an earlier version may hold NaN."""
    model = make()
    model.insert(frame(0.0))
    good = model.infer(model.snapshot())
    state = {name: value.clone() for name, value in model.state_dict().items()}
    state["fusion.mean"][7] = NAN
    model.load_state_dict(state)
    model.insert(frame(0.2))
    healed = model.infer(model.snapshot())
    np.testing.assert_array_equal(healed.label, good.label)


def test_colours_follow_only_what_is_finite():
    """A coarse feature that is not finite greys its voxels, this time only."""
    model, reference = make(), make()
    for each in (model, reference):
        each.insert(frame(0.0))
        each.infer(each.snapshot(), {"pca"})
    active = spoil_rows(model.encoder, 0, INFINITY, level=-1)
    model.insert(frame(0.2))
    bad = model.infer(model.snapshot(), {"pca"})
    assert 0 < bad.not_finite < len(bad.points)
    assert (bad.pca_rgb[bad.unusable] == 128).all()
    active[0] = False
    model.insert(frame(0.4))
    after = model.infer(model.snapshot(), {"pca"}).pca_rgb.astype(int)
    reference.insert(frame(0.4))
    expected = reference.infer(reference.snapshot(), {"pca"}).pca_rgb.astype(int)
    assert np.median(np.abs(after - expected)) <= 3


def test_similarity_leaves_out_what_is_not_finite():
    model = make()
    model.insert(frame(0.0))
    snapshot = model.snapshot()
    asked = FeatureQuery(rows=np.array([5]))
    feature = model.infer(snapshot, (), asked).features[0]
    spoil_rows(model.encoder, [3, 40], INFINITY)
    prediction = model.infer(snapshot, (), FeatureQuery(like=feature))
    assert np.flatnonzero(np.isnan(prediction.similarity)).tolist() == [3, 40]
    assert prediction.not_finite == 2
    packed = pack_similarity(prediction, CloudStyle(model.labels.palette))
    assert packed.width == len(snapshot) - 2
    intensity = packed.data.reshape(packed.width, -1)[:, -4:].copy().view(np.float32)
    assert np.isfinite(intensity).all()
