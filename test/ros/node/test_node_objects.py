# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Objects as a planner meets them: clouds into the real node, objects out, over DDS."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch
from diagnostic_msgs.msg import DiagnosticStatus
from node_harness import SECOND, START, cloud_message
from object_scene import (
    BOXES,
    FIRST,
    OBJECTS,
    PARAMETERS,
    SCENE,
    SECOND_BOX,
    block,
    label_by_height,
    objects_of,
)
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from sensor_msgs.msg import PointCloud2
from visualization_msgs.msg import Marker, MarkerArray

from concerto_ros.msg import SemanticObjectArray
from concerto_ros.objects.encoders.shared.base import ObjectEncoder
from concerto_ros.objects.encoders.shared.preprocess import InputForm
from concerto_ros.ros.outputs.messages import make_header

#: No encoder: objects are named by their labels.
LABELS_ALONE = {"objects.encoder": ""}


@pytest.fixture
def planner(harness):
    """Starts a node and listens to its objects."""

    def make(**parameters):
        one = harness(**parameters)
        one.listen(OBJECTS, SemanticObjectArray, QoSProfile(depth=20))
        assert one.configure()
        label_by_height(one)
        one.activate()
        return one

    return make


# What comes out ----------------------------------------------------------------------------------


def test_two_boxes_on_a_table_are_two_objects_that_keep_their_ids(planner):
    one = planner(**(BOXES | LABELS_ALONE))
    arrays = [objects_of(one, START + number * SECOND) for number in range(3)]
    assert [[found.id for found in array.objects] for array in arrays] == [[1, 2]] * 3
    first, second = arrays[-1].objects
    assert arrays[-1].header.frame_id == "odom" and arrays[-1].model == "demo"
    assert first.on_surface and first.hypotheses[0].class_name == "other"
    assert first.hypotheses[0].score == pytest.approx(0.5)
    assert first.point_count == len(FIRST) and len(first.embedding) == 0
    assert (first.first_seen.sec, first.last_seen.sec) == (1_700_000_000, 1_700_000_002)
    center, size = second.box_center.position, second.box_size
    assert (center.x, center.y, center.z) == pytest.approx((2.2, 0.32, 0.84), abs=0.021)
    assert (size.x, size.y, size.z) == pytest.approx((0.36, 0.2, 0.12), abs=0.041)
    assert second.box_center.orientation.w == pytest.approx(1.0)
    assert second.centroid.x == pytest.approx(SECOND_BOX[:, 0].mean(), abs=1e-3)


def test_the_bundled_encoder_names_what_the_labels_call_other(planner):
    found = objects_of(planner(**BOXES)).objects
    assert [one.hypotheses[0].class_name for one in found] == ["box", "box"]
    assert all(hypothesis.class_name != "other" for one in found for hypothesis in one.hypotheses)


def test_a_box_taken_away_and_a_new_one_do_not_share_an_id(planner):
    one = planner(**BOXES, window_seconds=0.5)
    objects_of(one)
    gone = np.concatenate([SCENE[: -len(SECOND_BOX)], SECOND_BOX + [0, 4, 0]]).astype("f4")
    later = objects_of(one, START + SECOND, gone).objects
    assert [found.id for found in later] == [1, 3]
    assert [found.id for found in objects_of(one, START + 2 * SECOND).objects] == [1, 2]


def test_markers_are_a_box_and_a_name_for_each_object(planner):
    one = planner(**(BOXES | LABELS_ALONE))
    one.listen("/concerto/object_markers", MarkerArray, QoSProfile(depth=20))
    objects_of(one)
    markers = one.wait(lambda: one.received["/concerto/object_markers"], "markers")[-1].markers
    assert markers[0].action == Marker.DELETEALL
    lines = [marker for marker in markers if marker.type == Marker.LINE_LIST]
    names = [marker for marker in markers[1:] if marker.type == Marker.TEXT_VIEW_FACING]
    assert [marker.id for marker in lines] == [marker.id for marker in names] == [1, 2]
    assert names[0].text == "other 50% #1" and len(lines[0].points) == 24
    assert all(marker.header.frame_id == "odom" for marker in markers)


def test_objects_alone_are_looked_for_at_their_own_rate(planner):
    one = planner(**(BOXES | {"objects.rate": 0.01}))
    objects_of(one)
    for number in range(1, 6):
        one.send(cloud_message(make_header("odom", START + number), SCENE))
        one.wait_for_fused(number + 1)
    assert one.status.inferences == one.status.object_passes == 1


def test_nothing_is_looked_for_unless_wanted(harness):
    one = harness(**BOXES)
    one.listen_to_labels()
    one.start()
    one.send(cloud_message(make_header("odom", START), SCENE))
    one.labels(START)
    one.wait(lambda: one.status.inferences, "an inference")
    assert one.status.object_passes == 0
    diagnosis = one.wait(one.diagnosis("objects"), "diagnostics of objects")
    assert diagnosis.level == DiagnosticStatus.OK and "no search yet" in diagnosis.message
    one.node.set_parameters([Parameter("objects.enabled", value=True)])
    one.wait(lambda: one.status.object_passes, "objects nobody listens to")


# Bad input ---------------------------------------------------------------------------------------


def test_three_voxels_are_no_object_but_an_object_where_asked_for(planner):
    three = np.array([[0.02, 0.02, 2.02], [0.06, 0.02, 2.02], [0.1, 0.02, 2.02]], np.float32)
    one = planner(**BOXES)
    assert len(objects_of(one, points=np.concatenate([SCENE, three])).objects) == 2
    one.node.set_parameters([Parameter("objects.min_voxels", value=3)])
    found = objects_of(one, START + SECOND, np.concatenate([SCENE, three])).objects
    assert min(one.point_count for one in found) == 3


def test_points_that_are_not_finite_change_nothing(planner):
    one = planner(**BOXES)
    bad = np.concatenate([SCENE, np.full((50, 3), np.nan, np.float32)])
    bad[-10:] = [[np.inf, 0, 0]]
    assert [found.point_count for found in objects_of(one, points=bad).objects] == [
        len(FIRST),
        len(SECOND_BOX),
    ]


def test_nothing_in_the_map_that_is_an_object_is_an_empty_array(planner):
    one = planner(**BOXES)
    assert objects_of(one, points=block((1, 0, 0), (2, 1, 0.04))).objects == []


class Sizes(ObjectEncoder):
    """Says how many points an object has: few or many."""

    name, form, feature_channels, classes = "sizes", InputForm(points=512), 2, 2

    def __init__(self, error: str = ""):
        super().__init__()
        self.error = error
        self.weight = torch.nn.Parameter(torch.ones(()))

    def embed(self, batch):
        return torch.stack([batch[:, :, 0].amax(1), batch[:, :, 1].amax(1)], 1)

    def classify(self, batch):
        if self.error:
            raise RuntimeError(self.error)
        different = torch.tensor([len(cloud.unique(dim=0)) for cloud in batch])
        return torch.stack([100.0 * (different < 150), 100.0 * (different >= 150)], 1)


WITH_ENCODER = BOXES | {"objects.encoder": "x.pth", "objects.encoder_classes": ["mug", "crate"]}


@pytest.fixture
def encoder(monkeypatch):
    """Stands in for the file of an object encoder."""
    made = Sizes()
    monkeypatch.setattr(
        "concerto_ros.objects.finding.naming.load_object_encoder", lambda path: made
    )
    return made


def test_an_encoder_names_the_objects(planner, encoder):
    one = planner(**WITH_ENCODER, **{"objects.embeddings": True})
    array = objects_of(one)
    assert array.model == "sizes (x.pth)"
    wanted = ["mug" if len(box) < 150 else "crate" for box in (FIRST, SECOND_BOX)]
    assert [found.hypotheses[0].class_name for found in array.objects] == wanted
    assert array.objects[0].hypotheses[0].score == pytest.approx(1.0)
    assert [len(found.embedding) for found in array.objects] == [2, 2]


def test_an_object_that_the_encoder_refuses_is_named_by_its_labels(planner, encoder):
    one = planner(**WITH_ENCODER, **{"objects.min_voxels": 3})
    points = np.concatenate([SCENE, FIRST[:3] + [0, 0, 2]]).astype("f4")
    small = min(objects_of(one, points=points).objects, key=lambda found: found.point_count)
    assert small.hypotheses[0].class_name == "other"
    assert one.wait(lambda: one.status.objects_not_encoded, "the count") == 1
    assert one.status.object_passes_failed == 0


def test_an_encoder_that_raises_stops_neither_boxes_nor_labels(planner, encoder):
    encoder.error = "out of memory"
    one = planner(**WITH_ENCODER)
    one.listen_to_labels()
    assert [found.hypotheses[0].class_name for found in objects_of(one).objects] == ["other"] * 2
    diagnosis = one.wait(
        lambda: (d := one.diagnosis("objects")()) and "out of memory" in d.message and d,
        "diagnostics",
    )
    assert diagnosis.level == DiagnosticStatus.ERROR
    one.wait(lambda: one.status.object_passes_failed, "the count")
    encoder.error = ""
    named = objects_of(one, START + SECOND).objects
    assert {found.hypotheses[0].class_name for found in named} <= {"mug", "crate"}
    one.labels(START + SECOND)
    assert one.status.inferences_failed == 0


def test_a_search_that_raises_does_not_stop_the_labels(planner):
    one = planner(**BOXES)
    one.listen_to_labels()
    find = one.node._configured.finder.find

    def broken(*_, **__):
        raise RuntimeError("no search today")

    one.node._configured.finder.find = broken
    one.send(cloud_message(make_header("odom", START), SCENE))
    one.labels(START)
    one.wait(lambda: one.status.object_passes_failed, "the count")
    one.node._configured.finder.find = find
    assert len(objects_of(one, START + SECOND).objects) == 2


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("objects.classes", ["mug"], "expected classes of demo: floor"),
        ("objects.supports", ["mug"], "expected classes of demo: floor"),
        ("objects.encoder", "no/such/file.pth", "is not a file"),
        ("objects.rate", 0.0, "0.01 to 100 Hz"),
    ],
)
def test_a_wrong_value_refuses_to_configure_and_is_named(harness, name, value, wanted):
    one = harness(**(PARAMETERS | {name: value}))
    assert not one.configure()
    said = one.wait(
        lambda: (d := one.diagnosis("state")()) and name in d.message and d, "the reason"
    )
    assert wanted in said.message


def test_names_that_are_not_as_many_as_classes_are_refused(harness, encoder):
    one = harness(**(WITH_ENCODER | {"objects.encoder_classes": ["mug"]}))
    assert not one.configure()
    said = one.wait(lambda: (d := one.diagnosis("state")()) and "got 1" in d.message and d, "it")
    assert "objects.encoder_classes: got 1 names, expected 2" in said.message


def test_detections_are_there_where_their_package_is(planner):
    one = planner(**BOXES)
    offered = dict(one.robot.get_topic_names_and_types())
    assert ("/concerto/detections" in offered) == bool(importlib.util.find_spec("vision_msgs"))
    if "/concerto/detections" not in offered:
        assert len(objects_of(one).objects) == 2
        return
    from vision_msgs.msg import Detection3DArray

    one.listen("/concerto/detections", Detection3DArray, QoSProfile(depth=20))
    objects = objects_of(one).objects
    detections = one.wait(lambda: one.received["/concerto/detections"], "detections")[-1]
    assert [detection.id for detection in detections.detections] == ["1", "2"]
    for detection, found in zip(detections.detections, objects, strict=True):
        told = [result.hypothesis.class_id for result in detection.results]
        assert told == [hypothesis.class_name for hypothesis in found.hypotheses] != []


def test_labels_keep_their_subscribers(planner):
    one = planner(**BOXES)
    objects_of(one)
    one.listen_to_labels()
    one.send(cloud_message(make_header("odom", START + SECOND), SCENE))
    assert len(one.labels(START + SECOND)["x"]) == len(SCENE)
    assert one.robot.get_publishers_info_by_topic("/concerto/labels")
    assert isinstance(one.received["/concerto/labels"][-1], PointCloud2)
