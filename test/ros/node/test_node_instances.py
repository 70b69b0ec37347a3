# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Labels with the ids of objects, for maps of instances: over DDS."""

from __future__ import annotations

import numpy as np
import pytest
from node_harness import SECOND, START, cloud_message
from object_scene import BOXES, FIRST, ID, SCENE, SECOND_BOX, TABLE_TOP, label_by_height
from rclpy.qos import QoSProfile
from sensor_msgs.msg import PointCloud2, PointField

from concerto_ros.ros.outputs.messages import make_header
from concerto_ros.sensors.point_cloud2 import point_cloud_fields

INSTANCES = BOXES | {"objects.encoder": "", "labels.instances": True}
FILTERED = "/concerto/filtered/things"


@pytest.fixture
def listener(harness):
    """Starts a node to whose labels alone somebody listens."""

    def make(**parameters):
        one = harness(**parameters)
        one.listen_to_labels()
        assert one.configure()
        label_by_height(one)
        one.activate()
        return one

    return make


def labels(one, number: int) -> dict[str, np.ndarray]:
    """The labels of the scene after its cloud of this number, a tenth of a second each."""
    stamp = START + number * SECOND // 10
    one.send(cloud_message(make_header("odom", stamp), SCENE))
    return one.labels(stamp)


def after_a_search(one) -> dict[str, np.ndarray]:
    """The labels of a map after an earlier one was searched for objects."""
    labels(one, 0)
    one.wait(lambda: one.status.object_passes, "a search")
    return labels(one, 5)


def of_scene(columns: dict[str, np.ndarray], name: str) -> list[set[int]]:
    """The values of a column at the two boxes and on the table."""
    points = np.stack([columns[axis] for axis in "xyz"], axis=1)
    above = points[:, 2] > TABLE_TOP
    x = points[:, 0]
    boxes = (above & (x < FIRST[:, 0].max() + 0.02), above & (x > SECOND_BOX[:, 0].min() - 0.02))
    return [set(columns[name][rows].tolist()) for rows in (*boxes, ~above)]


def test_labels_have_the_ids_of_the_objects(listener):
    one = listener(**INSTANCES)
    columns = after_a_search(one)
    field = one.received["/concerto/labels"][-1].fields[-1]
    assert (field.name, field.offset, field.datatype) == ("instance", 24, PointField.UINT32)
    assert of_scene(columns, "instance") == [{1}, {2}, {0}]
    assert of_scene(columns, "label") == [{ID["other"]}, {ID["other"]}, {ID["table"]}]


def test_before_the_first_search_and_after_an_old_one_there_are_no_ids(listener):
    one = listener(**(INSTANCES | {"labels.instance_age": 1.0, "objects.rate": 0.01}))
    assert of_scene(labels(one, 0), "instance") == [{0}] * 3
    one.wait(lambda: one.status.object_passes, "a search")
    assert of_scene(labels(one, 9), "instance") == [{1}, {2}, {0}]
    assert of_scene(labels(one, 11), "instance") == [{0}] * 3
    assert one.status.object_passes == 1


def test_label_and_instance_are_packed_as_a_panoptic_id(listener):
    one = listener(**BOXES, **{"objects.encoder": "", "labels.layout": "panoptic"})
    columns = after_a_search(one)
    assert list(columns) == ["x", "y", "z", "rgb", "panoptic", "confidence"]
    other, table = ID["other"] << 16, ID["table"] << 16
    assert of_scene(columns, "panoptic") == [{other | 1}, {other | 2}, {table}]


def test_filtered_clouds_have_the_ids_too(harness):
    filters = {"filter_names": ["things"], "filters.things.include": ["other"]}
    one = harness(**INSTANCES, **filters)
    one.listen(FILTERED, PointCloud2, QoSProfile(depth=10))
    assert one.configure()
    label_by_height(one)
    one.activate()
    one.send(cloud_message(make_header("odom", START), SCENE))
    one.wait(lambda: one.status.object_passes, "a search")
    one.send(cloud_message(make_header("odom", START + SECOND), SCENE))
    cloud = one.wait(
        lambda: next(
            (m for m in one.received[FILTERED] if m.header.stamp.sec > START // SECOND), None
        ),
        "a filtered cloud",
    )
    columns = {name: values.ravel() for name, values in point_cloud_fields(cloud).items()}
    assert of_scene(columns, "instance") == [{1}, {2}, set()]


def test_the_points_of_the_message_have_the_ids_of_their_voxels(listener):
    one = listener(**INSTANCES, **{"labels.points": "input"})
    columns = after_a_search(one)
    assert len(columns["x"]) == len(SCENE)
    assert of_scene(columns, "instance") == [{1}, {2}, {0}]


def test_nobody_looks_for_objects_where_no_ids_are_asked_for(listener):
    one = listener(**BOXES)
    columns = labels(one, 0)
    one.wait(lambda: one.status.inferences, "an inference")
    assert "instance" not in columns and one.status.object_passes == 0
