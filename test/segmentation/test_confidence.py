# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How far to trust a prediction: confidences by a temperature, and what is unlike the training."""

from __future__ import annotations

import numpy as np
import paths
import pytest

from concerto_ros import SemanticPipeline
from concerto_ros.heads.familiarity import Familiarity
from concerto_ros.heads.linear import LinearHead, save_head
from concerto_ros.labels.label_set import UNLABELLED
from concerto_ros.learning.data.batch import make_batch, with_normals
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.ptv3 import load_encoder
from concerto_ros.segmentation.convention import convention_for
from concerto_ros.sensors.frame import Frame
from concerto_ros.settings.settings import Settings
from concerto_ros.sim import Room

GOLDEN = paths.GOLDEN / "ptv3" / "single_room"


def pipeline_at(tmp_path, temperature: float) -> SemanticPipeline:
    """The encoder and the head of the golden files, the head with a temperature."""
    head = LinearHead.load(GOLDEN / "head.pth")
    head.temperature = temperature
    path = tmp_path / f"head_{temperature:g}.pth"
    save_head(path, head)
    return SemanticPipeline.from_settings(
        Settings(
            checkpoint=str(GOLDEN / "encoder.pth"),
            head=str(path),
            voxel_size=0.04,
            device="cpu",
            precision="float32",
        )
    )


def room_points(seed: int) -> np.ndarray:
    points = np.random.default_rng(seed).uniform((0, 0, 0), (2, 1.5, 1), (2000, 3))
    points[::2, 2] = 0.0
    return points.astype(np.float32)


@pytest.mark.parametrize("temperature", [0.5, 3.0])
def test_a_temperature_changes_confidence_and_entropy_and_no_label(tmp_path, temperature):
    plain = pipeline_at(tmp_path, 1.0).segment(room_points(0))
    other = pipeline_at(tmp_path, temperature).segment(room_points(0))
    np.testing.assert_array_equal(other.label, plain.label)
    np.testing.assert_array_equal(other.pca_rgb, plain.pca_rgb)
    less, more = (other, plain) if temperature > 1 else (plain, other)
    assert (less.confidence < more.confidence).all() and (less.entropy > more.entropy).all()


def test_confidences_are_the_softmax_of_scores_divided_by_the_temperature(tmp_path):
    plain = pipeline_at(tmp_path, 1.0).segment(room_points(0))
    halved = pipeline_at(tmp_path, 2.0).segment(room_points(0))
    # Of two classes a sigmoid is left; with more, the sum over the others is at least as large.
    odds = plain.confidence / (1 - plain.confidence)
    assert (halved.confidence / (1 - halved.confidence) <= np.sqrt(odds) * 1.001).all()
    classes = len(plain.classes)
    assert (halved.confidence > 1 / classes).all()


def test_fused_labels_and_what_is_carried_do_not_depend_on_it(tmp_path):
    pipelines = [pipeline_at(tmp_path, 1.0), pipeline_at(tmp_path, 3.0)]
    for step in range(3):
        results = []
        for pipeline in pipelines:
            frame = Frame(room_points(step), step * 500_000_000, "odom", "lidar")
            pipeline.insert(frame)
            results.append(pipeline.infer(pipeline.snapshot()))
        np.testing.assert_array_equal(results[0].label, results[1].label)
        assert (results[0].confidence > results[1].confidence).all()
    before, after = (pipeline.state_dict() for pipeline in pipelines)
    assert before.keys() == after.keys()
    assert all((before[name] == after[name]).all() for name in before)


# --- what does not look like the training -------------------------------------------------------


def knowing_head(tmp_path, quantile: float):
    """The golden head; a share ``quantile`` of the voxels of ``room_points(0)`` is familiar to it.

    Returns:
        The path of its file.
    """
    encoder, head = load_encoder(GOLDEN / "encoder.pth"), LinearHead.load(GOLDEN / "head.pth")
    points = room_points(0)
    scan = with_normals(Scan("room", points, np.zeros(len(points), np.uint8)), 0.04)
    batch = make_batch([scan], convention_for("indoor", rotary=False), 0.04)
    pyramid = encoder(batch.feat, batch.grid_coord, batch.coord, batch.offset)
    familiarity = Familiarity.of(pyramid.top.feat)
    distance = familiarity.distance(pyramid.top.feat)
    familiarity.threshold.fill_(1.01 * distance.quantile(quantile))
    head.familiarity = familiarity
    path = tmp_path / f"knowing_{quantile:g}.pth"
    save_head(path, head)
    return path


def knowing(tmp_path, quantile: float = 0.1, unfamiliar: str = "keep") -> SemanticPipeline:
    return SemanticPipeline.from_settings(
        Settings(
            checkpoint=str(GOLDEN / "encoder.pth"),
            head=str(knowing_head(tmp_path, quantile)),
            voxel_size=0.04,
            unfamiliar=unfamiliar,
            device="cpu",
            precision="float32",
        )
    )


def test_a_head_that_does_not_know_finds_nothing_unfamiliar(tmp_path):
    prediction = pipeline_at(tmp_path, 1.0).segment(room_points(0))
    assert prediction.unfamiliar is None and prediction.count_unfamiliar == 0
    assert not prediction.is_unfamiliar


def test_unfamiliar_points_are_marked_and_keep_their_labels(tmp_path):
    plain = pipeline_at(tmp_path, 1.0).segment(room_points(0))
    marked = knowing(tmp_path).segment(room_points(0))
    assert 0 < marked.count_unfamiliar < 2000 and marked.is_unfamiliar
    np.testing.assert_array_equal(marked.label, plain.label)
    assert marked.unlabelled == {}
    few = knowing(tmp_path, 1.0).segment(room_points(0))
    assert few.unfamiliar is not None and few.count_unfamiliar == 0 and not few.is_unfamiliar


def test_unfamiliar_points_are_unlabelled_and_counted_where_that_is_wanted(tmp_path):
    marked = knowing(tmp_path).segment(room_points(0))
    blank = knowing(tmp_path, unfamiliar="unlabel").segment(room_points(0))
    np.testing.assert_array_equal(blank.unfamiliar, marked.unfamiliar)
    np.testing.assert_array_equal(blank.label == UNLABELLED, marked.unfamiliar)
    assert (blank.confidence[blank.unfamiliar] == 0).all()
    assert (blank.entropy[blank.unfamiliar] == 1).all()
    assert blank.unlabelled == {"unfamiliar": blank.count_unfamiliar} and blank.not_finite == 0


def test_a_selection_of_a_prediction_keeps_what_is_unfamiliar(tmp_path):
    whole = knowing(tmp_path).segment(room_points(0))
    part = whole.where(np.flatnonzero(whole.unfamiliar)[:5])
    assert part.count_unfamiliar == 5
    unseen = whole.at(whole.points[:2], np.array([-1, int(np.flatnonzero(whole.unfamiliar)[0])]))
    assert unseen.unfamiliar.tolist() == [False, True]


def simulated_room(seed: int) -> np.ndarray:
    """What a sensor in the middle of a room sees in all directions, (N, 3) metres."""
    rng = np.random.default_rng(seed)
    rays = rng.normal(size=(30_000, 3))
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    eye = np.array([0.0, 0.0, 1.4])
    hits = Room(seed, "office").cast(np.float32(eye), np.float32(rays))
    return np.float32(eye + rays[hits.hit] * hits.distance[hits.hit][:, None])


def open_land() -> np.ndarray:
    """Hills of a hundred metres, as a drone sees them, (N, 3) metres."""
    x, y = np.random.default_rng(0).uniform(-50, 50, (2, 20_000))
    return np.float32(np.stack([x, y, 8 * np.sin(0.09 * x) * np.cos(0.07 * y)], axis=1))


def test_the_bundled_model_of_rooms_knows_rooms_and_says_what_is_none():
    pipeline = SemanticPipeline.from_settings(Settings(device="cpu"))
    for seed in range(4):
        room = pipeline.segment(simulated_room(seed))
        assert room.count_unfamiliar < 0.015 * len(room.label)
    land = open_land()
    for reach in (50, 8):  # of a drone, and of a robot's map
        near = land[np.abs(land[:, :2]).max(axis=1) < reach] * np.float32([1, 1, 0.5])
        assert pipeline.segment(near, level=False).is_unfamiliar
