# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Features that leave the node: the cloud, its directions, and the full ones by a service."""

from __future__ import annotations

import math

import numpy as np
import pytest
from geometry_msgs.msg import Point
from node_harness import LATCHED, ONE_CLOUD, SECOND, START, call, stamp_of
from rclpy.qos import QoSProfile
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Float32MultiArray

from concerto_ros.ptv3 import load_encoder
from concerto_ros.ros.services import map_services
from concerto_ros.sim import reference_scene as scenes
from concerto_ros.srv import GetFeatures

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


def features_at(node, points, frame_id: str = "", wait: bool = True):
    """The answer for (N, 3) points, and its features as (N, C)."""
    if wait:
        node.wait_for_fused(1)
    points = [Point(x=x, y=y, z=z) for x, y, z in np.asarray(points, np.float64).tolist()]
    request = GetFeatures.Request(points=points, frame_id=frame_id)
    answer = call(node, GetFeatures, "get_features", request)
    return answer, np.array(answer.features).reshape(-1, max(answer.channels, 1))


@pytest.fixture
def quiet(harness):
    """An active node to which nobody listens."""
    node = harness(**ONE_CLOUD, **{"features.components": 5, "features.encoding": "float32"})
    node.start()
    return node


def test_full_features_are_those_that_the_components_are_made_of(quiet):
    quiet.listen(FEATURES, PointCloud2, QoSProfile(depth=1))
    quiet.listen(DIRECTIONS, Float32MultiArray, LATCHED)
    points = quiet.send_room()
    message = quiet.wait(lambda: quiet.received[FEATURES], "features")[-1]
    directions = quiet.wait(lambda: quiet.received[DIRECTIONS], "directions")[-1]
    sent = records_of(message, "<f4", 5)
    voxels = np.floor(np.stack([sent[axis] for axis in "xyz"], 1).astype(np.float64) / 0.1)
    asked = points[[3, 200, 3]]
    answer, features = features_at(quiet, asked)
    assert answer.success and answer.message == ""
    assert stamp_of(answer) == START and answer.header.frame_id == "odom"
    assert features.shape == (3, answer.channels) == (3, sum(load_encoder("demo").channels))
    assert directions.layout.dim[0].label == f"channels of {answer.encoder}"
    np.testing.assert_array_equal(features[0], features[2])
    assert np.abs(features[0] - features[1]).max() > 0
    axes = np.array(directions.data, np.float64).reshape(answer.channels, 5)
    for point, feature in zip(asked, features.astype(np.float64), strict=True):
        row = (voxels == np.floor(point.astype(np.float64) / 0.1)).all(axis=1).argmax()
        np.testing.assert_allclose(feature @ axes, sent["features"][row], rtol=1e-3, atol=1e-3)


def test_a_point_without_a_voxel_has_no_feature_and_the_others_have_theirs(quiet):
    points = quiet.send_room()
    answer, features = features_at(quiet, [(50.0, 0.0, 0.0), points[3], (1e300, 0.0, 0.0)])
    assert answer.success
    assert np.isnan(features).all(axis=1).tolist() == [True, False, True]
    assert np.isfinite(features[1]).all()
    answer, nothing = features_at(quiet, [(50.0, 0.0, 0.0)])
    assert answer.success and nothing.shape == (1, answer.channels) and np.isnan(nothing).all()


def test_points_of_another_frame_are_placed_at_the_stamp_of_the_map(quiet):
    quiet.send_transform("odom", "arm", START, x=1.0)
    quiet.send_transform("odom", "arm", START + SECOND, x=2.0)
    points = quiet.send_room(START + SECOND // 2)
    there = features_at(quiet, points[3:5] - [1.5, 0, 0], "arm")[1]
    here = features_at(quiet, points[3:5])[1]
    assert np.isfinite(here).all()
    np.testing.assert_array_equal(there, here)


@pytest.mark.parametrize(
    ("points", "frame", "wanted"),
    [
        ([], "", "points: got 0, expected 1 to 4"),
        ([(1.0, 1.0, 1.0)] * 5, "", "points: got 5, expected 1 to 4"),
        ([(1.0, 1.0, 1.0), (0.0, math.nan, 0.0)], "", "expected finite numbers"),
        ([(1.0, 1.0, 1.0)], "nowhere", "nowhere"),
    ],
)
def test_wrong_questions_are_answered_with_the_reason(quiet, monkeypatch, points, frame, wanted):
    monkeypatch.setattr(map_services, "MAX_POINTS", 4)
    quiet.send_room()
    answer, features = features_at(quiet, np.reshape(points, (-1, 3)), frame)
    assert not answer.success and wanted in answer.message
    assert not len(answer.features) and answer.channels == 0 and not features.size


def test_without_a_map_there_are_no_features(harness):
    node = harness(**ONE_CLOUD)
    assert node.configure()
    assert features_at(node, [(1, 1, 1)], wait=False)[0].message == "the node is not active"
    node.activate()
    assert features_at(node, [(1, 1, 1)], wait=False)[0].message == "the map is empty"
