# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The labels as those read them who are not PCL: other fields, other points."""

from __future__ import annotations

import numpy as np
import pytest
from node_harness import CAMERA, ONE_CLOUD, SECOND, START, cloud_message, room, send_pair, stamp_of
from rclpy.parameter import Parameter
from sensor_msgs.msg import PointCloud2, PointField

from concerto_ros.labels.label_set import UNLABELLED
from concerto_ros.ros.outputs.messages import make_header

AUTOWARE = {"labels.layout": "autoware"}
INPUT = ONE_CLOUD | {"labels.points": "input"}


def started(harness, **parameters):
    one = harness(**parameters)
    one.listen_to_labels()
    one.start()
    return one


def newest(one, stamp: int = START) -> PointCloud2:
    one.labels(stamp)
    return next(m for m in one.received["/concerto/labels"][::-1] if stamp_of(m) == stamp)


def test_autoware_reads_the_labels_in_its_own_layout(harness):
    one = started(harness, **ONE_CLOUD, **AUTOWARE)
    one.send_room()
    message = newest(one)
    fields = [(field.name, field.offset, field.datatype) for field in message.fields]
    assert fields == [
        ("x", 0, PointField.FLOAT32),
        ("y", 4, PointField.FLOAT32),
        ("z", 8, PointField.FLOAT32),
        ("class_id", 12, PointField.UINT8),
        ("probability", 13, PointField.FLOAT32),
        ("entropy", 17, PointField.FLOAT32),
    ]
    assert message.point_step == 21 and len(message.data) == 21 * message.width
    labels = one.labels(START)
    assert labels["class_id"].max() < 12
    assert ((labels["probability"] > 0) & (labels["probability"] <= 1)).all()
    assert ((labels["entropy"] > 0) & (labels["entropy"] < 1)).all()
    # Of twelve classes: the more certain the best one is, the less there is to be said.
    assert np.corrcoef(labels["probability"], labels["entropy"])[0, 1] < -0.5


def test_the_message_comes_back_with_a_label_for_each_of_its_points(harness):
    one = started(harness, **INPUT)
    one.send_transform("odom", "lidar", static=True, x=5.0)
    points = room()
    points[7] = np.nan
    points[9, 1] = np.inf
    points[11] = 0.0  # a missing return, as some drivers write it
    message = cloud_message(make_header("lidar", START), points)
    message.height, message.width, message.row_step = 3, 100, 100 * message.point_step
    one.send(message)
    answer = newest(one)
    assert answer.header.frame_id == "lidar"
    assert (answer.height, answer.width, answer.row_step) == (3, 100, 100 * answer.point_step)
    assert not answer.is_dense
    labels = one.labels(START)
    got = np.stack([labels[axis] for axis in "xyz"], axis=1)
    np.testing.assert_array_equal(got, points)
    bad = np.isin(np.arange(300), [7, 9, 11])
    assert (labels["label"][bad] == UNLABELLED).all() and (labels["confidence"][bad] == 0).all()
    assert (labels["label"][~bad] < 12).all() and (labels["confidence"][~bad] > 0).all()


def test_points_of_the_message_get_the_labels_of_the_map(harness):
    one = started(harness, **INPUT, window_seconds=100.0)
    infer = one.node._configured.pipeline.infer
    said = {}

    def heard(snapshot, outputs, question=None):
        said[snapshot.stamp] = snapshot, infer(snapshot, outputs, question)
        return said[snapshot.stamp][1]

    one.node._configured.pipeline.infer = heard
    one.send_room(START, seed=0)
    one.labels(START)
    points = one.send_room(START + SECOND, seed=1)
    labels = one.labels(START + SECOND)
    snapshot, prediction = said[START + SECOND]
    assert len(snapshot) > len(np.unique(np.floor(points / 0.1), axis=0))
    rows = snapshot.rows_of(points)
    assert (labels["label"] == prediction.label[rows]).all()


def test_without_a_label_autoware_reads_255_and_nothing_known(harness):
    one = started(harness, **INPUT, **AUTOWARE)
    points = room()
    points[::2] = np.nan
    one.send(cloud_message(make_header("odom", START), points))
    labels = one.labels(START)
    assert set(labels["class_id"][::2]) == {UNLABELLED}
    assert set(labels["probability"][::2]) == {0.0} and set(labels["entropy"][::2]) == {1.0}
    assert labels["class_id"][1::2].max() < 12


def test_a_camera_gets_back_the_pixels_that_it_measured(harness):
    one = started(harness, **CAMERA, **{"labels.points": "input"})
    send_pair(one, START)
    labels = one.labels(START)
    assert newest(one).header.frame_id == "camera"
    assert labels["z"] == pytest.approx(1.5, abs=0.01) and labels["label"].max() < 12


@pytest.mark.parametrize("name", ["labels.layout", "labels.points"])
def test_what_is_not_known_is_named(harness, name):
    one = harness(**ONE_CLOUD, **{name: "pictures"})
    assert not one.configure()
    assert one.wait(
        lambda: (d := one.diagnosis("state")()) and f"{name}: got 'pictures'" in d.message,
        "the reason",
    )


def test_labels_are_fused_while_nobody_listens_where_that_is_asked_for(harness):
    one = harness(**ONE_CLOUD, **{"fusion.always": True})
    one.start()
    one.send_room(START)
    one.wait(lambda: one.status.inferences == 1, "an inference")
    assert "labels" in one.status.stage_names and "pca" not in one.status.stage_names
    change = [Parameter("fusion.always", value=False)]
    assert one.node.set_parameters_atomically(change).successful
    one.send_room(START + SECOND)
    one.wait_for_fused(2)
    assert one.status.inferences == 1


def test_a_map_carries_its_fused_labels_to_the_next(harness):
    one = started(harness, **ONE_CLOUD)
    pipeline = one.node._configured.pipeline
    one.send_room(START)
    one.labels(START)
    one.send_room(START + SECOND)
    one.labels(START + SECOND)
    memory = pipeline.state_dict()
    assert len(memory["fusion.keys"]) == len(pipeline.snapshot())
    assert memory["fusion.weight"].max() > 1 and int(memory["fusion.stamp"]) == START + SECOND
    pipeline.clear()
    assert not [name for name in pipeline.state_dict() if name.startswith("fusion")]
