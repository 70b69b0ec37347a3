# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The node with a model whose output is not finite: nothing is floor, and a person is told."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import Point, PointStamped
from node_harness import ONE_CLOUD, SECOND, START, call
from not_finite import overflowing_head, spoil_rows
from rclpy.qos import QoSProfile
from sensor_msgs.msg import PointCloud2

from concerto_ros.heads import LinearHead
from concerto_ros.heads.linear import save_head
from concerto_ros.labels.label_set import UNLABELLED
from concerto_ros.sensors.point_cloud2 import point_cloud_fields
from concerto_ros.srv import GetLabelAt, Teach

OBSTACLES = "/concerto/filtered/obstacles"
FILTER = {"filter_names": ["obstacles"], "filters.obstacles.exclude": ["floor"]}


def start(harness, **parameters):
    one = harness(**(ONE_CLOUD | {"precision": "float32"} | parameters))
    one.listen_to_labels()
    one.start()
    return one


def model(one):
    return one.node._configured.pipeline


def error_of(one, task: str):
    def found():
        entry = one.diagnosis(task)()
        return entry if entry is not None and entry.level == DiagnosticStatus.ERROR else None

    return one.wait(found, f"an ERROR of {task}")


def test_a_head_with_a_nan_is_refused_at_configure(harness, tmp_path):
    head = LinearHead.load("demo")
    head.seg_head.bias[3] = float("nan")
    save_head(tmp_path / "head.pth", head)
    one = harness(**ONE_CLOUD, head=str(tmp_path / "head.pth"))
    assert not one.configure()
    text = error_of(one, "state").message
    assert "head.pth" in text and "seg_head.bias (1 of 12 values)" in text


def test_scores_that_overflow_are_unlabelled_counted_and_an_error(harness, tmp_path):
    head = overflowing_head(tmp_path / "head.pth", 1e38)
    one = start(harness, head=str(head))
    points = one.send_room()
    labels = one.labels(START)
    bad = labels["label"] == UNLABELLED
    assert bad.sum() > 0.5 * len(bad)
    assert np.isfinite(labels["confidence"]).all() and (labels["confidence"][bad] == 0).all()
    one.wait(lambda: one.status.inferences == 1, "the status")
    assert one.status.voxels_not_finite == bad.sum()
    message = error_of(one, "inference").message
    assert f"{bad.sum()} of {len(bad)} voxels are unlabelled" in message and "float32" in message
    x, y, z = map(float, points[3])
    answer = call(one, GetLabelAt, "get_label_at", GetLabelAt.Request(point=Point(x=x, y=y, z=z)))
    assert not answer.success and "not finite" in answer.message


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_bad_moment_passes_without_a_trace(harness, value):
    """All voxels are bad for one frame; the fused labels are then as they were."""
    one = start(harness, **FILTER, **{"fusion.seconds": 5.0})
    one.listen(OBSTACLES, PointCloud2, QoSProfile(depth=20))
    one.send_room(START)
    good = one.labels(START)
    active = spoil_rows(model(one).encoder, slice(None), value)
    one.send_room(START + SECOND)
    bad = one.labels(START + SECOND)
    assert (bad["label"] == UNLABELLED).all() and (bad["confidence"] == 0).all()
    one.wait(lambda: len(one.received[OBSTACLES]) >= 2, "the obstacles")
    assert one.received[OBSTACLES][-1].width == 0, "a planner would drive around nothing"
    active[0] = False
    one.send_room(START + 2 * SECOND)
    again = one.labels(START + 2 * SECOND)
    np.testing.assert_array_equal(again["label"], good["label"])
    assert np.isfinite(again["confidence"]).all()
    assert one.wait(lambda: one.status.inferences >= 3 and one.status, "the status")
    assert one.status.voxels_not_finite == len(bad["label"])


def test_what_is_not_finite_is_not_taught(harness):
    one = start(harness)
    points = one.send_room()
    one.labels(START)
    wall = {"shape": Teach.Request.SPHERE, "center": Point(x=4.0, y=0.0, z=1.0), "radius": 0.7}
    request = Teach.Request(class_name="plant", **wall)
    active = spoil_rows(model(one).encoder, slice(None))
    answer = call(one, Teach, "teach", request)
    assert not answer.success and "features are not finite" in answer.message

    publisher = one.publisher("/clicked_point", PointStamped, QoSProfile(depth=10))
    x, y, z = map(float, points[3])
    publisher.publish(PointStamped(point=Point(x=x, y=y, z=z)))
    inferences = one.status.inferences
    one.wait(lambda: one.status.inferences > inferences, "the click to be looked at")
    assert not one.node._configured.comparison.active

    snapshot = model(one).snapshot()
    inside = np.linalg.norm(snapshot.points - [4, 0, 1], axis=1) < 0.7
    active[0] = False
    spoil_rows(model(one).encoder, torch.from_numpy(np.flatnonzero(inside)[::2]))
    answer = call(one, Teach, "teach", request)
    assert answer.success, answer.message
    assert answer.examples == inside.sum() - len(np.flatnonzero(inside)[::2])
    assert all(p.isfinite().all() for p in model(one).head.parameters())


def test_similarity_has_no_nan(harness):
    one = start(harness)
    one.listen("/concerto/similarity", PointCloud2, QoSProfile(depth=20))
    points = one.send_room()
    one.labels(START)
    publisher = one.publisher("/clicked_point", PointStamped, QoSProfile(depth=10))
    x, y, z = map(float, points[3])
    publisher.publish(PointStamped(point=Point(x=x, y=y, z=z)))
    one.wait(lambda: one.received["/concerto/similarity"], "a similarity")
    spoil_rows(model(one).encoder, slice(0, 10))
    one.send_room(START + SECOND)
    bad = (one.labels(START + SECOND)["label"] == UNLABELLED).sum()
    assert bad >= 10

    def newest():
        message = one.received["/concerto/similarity"][-1]
        return message if message.header.stamp.sec == START // SECOND + 1 else None

    message = one.wait(newest, "the similarity of the second frame")
    intensity = point_cloud_fields(message)["intensity"]
    assert np.isfinite(intensity).all() and message.width == one.status.voxels - bad
