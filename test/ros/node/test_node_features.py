# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Features that leave the node: the cloud, and the directions its components are."""

from __future__ import annotations

import numpy as np
import pytest
from node_harness import LATCHED, ONE_CLOUD, START, stamp_of
from rclpy.qos import QoSProfile
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Float32MultiArray

from concerto_ros.ptv3 import load_encoder
from concerto_ros.sim import reference_scene as scenes

FEATURES, DIRECTIONS = "/concerto/features", "/concerto/features_projection"


@pytest.fixture(autouse=True)
def small_scene(monkeypatch, tmp_path):
    points = np.random.default_rng(5).uniform(0, 1, (600, 3)).astype(np.float32)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(scenes, "reference_scene", lambda preset: (points, None))


def records_of(message: PointCloud2, feature: str, count: int, scale: bool = False):
    """The points of a cloud of features, as docs/topics.md says to read it."""
    fields = [(axis, "<f4") for axis in "xyz"] + [("scale", "<f4")] * scale
    return np.frombuffer(message.data, [*fields, ("features", feature, count)])


def test_features_are_sent_in_the_directions_that_are_latched(harness):
    node = harness(**ONE_CLOUD, **{"features.components": 5, "features.encoding": "float32"})
    node.start()
    node.listen(FEATURES, PointCloud2, QoSProfile(depth=1))
    node.listen(DIRECTIONS, Float32MultiArray, LATCHED)
    node.listen_to_labels()
    node.send_room()
    labels = node.labels(START)
    message = node.wait(lambda: node.received[FEATURES], "features")[-1]
    assert [field.name for field in message.fields] == ["x", "y", "z", "features"]
    assert message.fields[3].count == 5 and message.fields[3].datatype == PointField.FLOAT32
    records = records_of(message, "<f4", 5)
    assert message.width == len(records) == len(labels["x"]) and stamp_of(message) == START
    np.testing.assert_array_equal(records["x"], labels["x"])
    assert np.isfinite(records["features"]).all() and np.ptp(records["features"], 0).min() > 0

    directions = node.wait(lambda: node.received[DIRECTIONS], "directions")[-1]
    channels, components = directions.layout.dim
    width = sum(load_encoder("demo").channels)
    assert (channels.size, components.size) == (width, 5)
    assert channels.label.startswith("channels of demo ") and components.label == "components"
    axes = np.array(directions.data).reshape(width, 5)
    np.testing.assert_allclose(axes.T @ axes, np.eye(5), atol=1e-5)


def test_half_precision_is_sent_as_its_bits(harness):
    node = harness(**ONE_CLOUD, **{"features.components": 3})
    node.start()
    node.listen(FEATURES, PointCloud2, QoSProfile(depth=1))
    node.send_room()
    message = node.wait(lambda: node.received[FEATURES], "features")[-1]
    assert message.fields[3].datatype == PointField.UINT16
    features = records_of(message, "<u2", 3)["features"].view(np.float16)
    assert np.isfinite(features).all() and np.abs(features).max() > 0.1
