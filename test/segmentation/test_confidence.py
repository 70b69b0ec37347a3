# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How sure a prediction says it is: a temperature changes confidences and never a label."""

from __future__ import annotations

import numpy as np
import paths
import pytest

from concerto_ros import SemanticPipeline
from concerto_ros.heads.linear import LinearHead, save_head
from concerto_ros.sensors.frame import Frame
from concerto_ros.settings.settings import Settings

GOLDEN = paths.GOLDEN / "ptv3" / "single_room"


def pipeline_at(tmp_path, temperature: float) -> SemanticPipeline:
    """The encoder and the head of the golden files, the head with a temperature."""
    head = LinearHead.load(GOLDEN / "head.pth")
    head.temperature = temperature
    path = tmp_path / f"head_{temperature:g}.pth"
    save_head(path, head)
    return SemanticPipeline.from_settings(
        Settings(
            checkpoint=str(GOLDEN / "encoder.pth"), head=str(path), voxel_size=0.04, device="cpu"
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
