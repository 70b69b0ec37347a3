# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The real node with ``inference.region: changed``: its clouds are of the whole map."""

from __future__ import annotations

import time

import numpy as np
from geometry_msgs.msg import Point
from node_harness import ONE_CLOUD, SECOND, START, call, cloud_message
from sensor_msgs.msg import PointCloud2

from concerto_ros.ros.outputs.messages import make_header
from concerto_ros.ros.stages import inference_stage
from concerto_ros.segmentation.regions import selection
from concerto_ros.sensors.point_cloud2 import point_cloud_fields
from concerto_ros.srv import GetLabelAt


def street(begin: float, end: float) -> np.ndarray:
    """(N, 3) a road two metres wide and a wall beside it."""
    along, across = np.meshgrid(np.arange(begin, end, 0.1), np.arange(0, 2, 0.1), indexing="ij")
    x, y = along.ravel() + 0.05, across.ravel() + 0.05
    road, wall = np.stack([x, y, 0 * x], axis=1), np.stack([x, 0 * x, y], axis=1)
    return np.concatenate([road, wall]).astype(np.float32)


def test_labels_and_colours_are_those_of_the_whole_map(harness):
    one = harness(
        **ONE_CLOUD, **{"inference.region": "changed", "max_range": 90.0, "window_radius": 100.0}
    )
    one.listen_to_labels()
    one.listen("/concerto/pca", PointCloud2, 20)
    one.start()
    one.send(cloud_message(make_header("odom", START), street(1, 41)))
    before = one.labels(START)
    later = START + SECOND // 5
    one.send(cloud_message(make_header("odom", later), street(39, 44)))
    after = one.labels(later)
    assert len(after["x"]) > len(before["x"]) > 10_000
    assert (after["label"] < 255).all() and "region" in one.status.stage_names
    for name in ("label", "confidence"):
        far = [columns[name][columns["x"] < 30] for columns in (before, after)]
        np.testing.assert_array_equal(*far)
    one.wait(lambda: len(one.received["/concerto/pca"]) > 1, "colours")
    colours = point_cloud_fields(one.received["/concerto/pca"][-1])
    assert len(colours["x"].ravel()) == len(after["x"])


def test_where_no_newer_frame_comes_what_waits_is_labelled_and_sent(harness, monkeypatch):
    monkeypatch.setattr(selection, "LEAST", 0)
    monkeypatch.setattr(inference_stage, "SETTLE", 0.3)
    one = harness(**ONE_CLOUD, **{"inference.region": "changed", "max_range": 90.0})
    one.listen_to_labels()
    one.start()
    one.send(cloud_message(make_header("odom", START), street(1, 7)))
    one.labels(START)
    later = START + SECOND // 20
    new = np.array([[5.0, 1.0, 0.5]], np.float32)
    one.send(cloud_message(make_header("odom", later), new))
    assert np.count_nonzero(one.labels(later)["label"] == 255) == 1
    # Answers to calls are no labels for those who listen.
    call(one, GetLabelAt, "get_label_at", GetLabelAt.Request(point=Point(x=5.0, y=1.0, z=0.5)))
    one.wait(lambda: (one.labels(later)["label"] < 255).all(), "a label of what is new")
    heard = len(one.received["/concerto/labels"])
    time.sleep(3 * inference_stage.SETTLE)
    assert len(one.received["/concerto/labels"]) == heard == 3


def test_a_voxel_that_waits_for_a_label_says_so_until_it_has_one(harness, monkeypatch):
    monkeypatch.setattr(selection, "LEAST", 0)
    one = harness(**ONE_CLOUD, **{"inference.region": "changed", "max_range": 90.0})
    one.start()

    def label_at(x: float):
        where = GetLabelAt.Request(point=Point(x=x, y=1.0, z=0.5))
        return call(one, GetLabelAt, "get_label_at", where)

    one.send(cloud_message(make_header("odom", START), street(1, 7)))
    one.wait_for_fused(1)
    assert "no voxel" in label_at(5.0).message
    new = np.array([[5.0, 1.0, 0.5]], np.float32)
    one.send(cloud_message(make_header("odom", START + SECOND // 20), new))
    one.wait_for_fused(2)
    waits = label_at(5.0)
    assert not waits.success and "not predicted yet" in waits.message and waits.label == 255
    assert label_at(5.0).success
