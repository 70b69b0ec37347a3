# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The demo's score: labels against the simulator's truth, voxel by voxel."""

from __future__ import annotations

import numpy as np
import pytest

from concerto_ros.sim import CLASSES

pytest.importorskip("rclpy")

from concerto_ros.ros.demo.score import TruthMap  # noqa: E402


def test_a_voxel_has_the_class_of_most_readings():
    truth = TruthMap(0.1)
    truth.add(np.array([(0.01, 0, 0), (0.02, 0, 0), (0.03, 0, 0)]), np.array([2, 5, 5]))
    assert truth.labels(np.array([(0.09, 0.09, 0.09), (0.11, 0, 0)])).tolist() == [5, 255]
    truth.add(np.array([(0.04, 0, 0), (0.05, 0, 0)]), np.array([2, 2]))
    assert truth.labels(np.array([(0.0, 0.0, 0.0)])).tolist() == [2]


def test_readings_without_a_class_do_not_count():
    truth = TruthMap(0.1)
    truth.add(np.zeros((3, 3)), np.full(3, 255))
    assert truth.labels(np.zeros((1, 3))).tolist() == [255]


def test_no_truth_no_labels():
    assert TruthMap(0.04).labels(np.ones((2, 3))).tolist() == [255, 255]


def test_adding_in_parts_is_adding_at_once():
    rng = np.random.default_rng(0)
    points, labels = rng.uniform(-1, 1, (4000, 3)), rng.integers(0, len(CLASSES), 4000)
    once, parts = TruthMap(0.25), TruthMap(0.25)
    once.add(points, labels)
    for rows in np.array_split(np.arange(4000), 7):
        parts.add(points[rows], labels[rows])
    places = rng.uniform(-1, 1, (500, 3))
    assert np.array_equal(once.labels(places), parts.labels(places))
    assert (once.labels(places) != 255).all()
