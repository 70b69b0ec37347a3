# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Clouds of chosen classes, as a planner meets them: over DDS."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import bundled_models
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from node_harness import ONE_CLOUD, SECOND, START, Harness, stamp_of
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import PointCloud2

from concerto_ros.labels.class_filter import ClassFilter
from concerto_ros.labels.label_set import UNLABELLED, LabelSet
from concerto_ros.labels.prediction import Prediction
from concerto_ros.msg import SemanticClasses
from concerto_ros.ros.outputs.clouds import CloudOutputs
from concerto_ros.ros.outputs.labelled_map import LabelledMap
from concerto_ros.sensors.point_cloud2 import point_cloud_fields
from concerto_ros.settings.field import SettingsError
from concerto_ros.settings.outputs import FilterSettings
from concerto_ros.settings.settings import Settings

DEMO = LabelSet.load("demo")
ID = {entry.name: entry.id for entry in DEMO.classes}


def chosen(label, confidence=1.0, **settings) -> list[bool]:
    label = np.array(label, np.uint8)
    confidence = np.where(label == UNLABELLED, 0, confidence).astype(np.float32)
    passing = ClassFilter.of(FilterSettings("obstacles", **settings), DEMO)
    return passing.passes(label, confidence).tolist()


def test_included_classes_pass_or_all_but_the_excluded_ones():
    label = [ID["floor"], ID["wall"], ID["table"], UNLABELLED]
    assert chosen(label, include=("wall",)) == [False, True, False, False]
    assert chosen(label, exclude=("floor", "wall")) == [False, False, True, False]
    assert chosen(label) == [True, True, True, False]
    assert chosen(label, exclude=("floor",), unlabelled=True) == [False, True, True, True]
    assert chosen([]) == []


def test_one_name_of_several_is_enough_so_that_a_filter_fits_indoors_and_outdoors():
    settings = FilterSettings("obstacles", exclude=("floor|ground",))
    outdoor = LabelSet.load("demo_outdoor")
    for labels, lowest in ((DEMO, "floor"), (outdoor, "ground")):
        stopped = ~ClassFilter.of(settings, labels).passing[: len(labels)]
        assert [entry.name for entry in labels.classes if stopped[entry.id]] == [lowest]
    assert chosen([ID["floor"], ID["bed"], ID["wall"]], include=("bed|wall",)) == [
        False,
        True,
        True,
    ]


@pytest.mark.parametrize("name", ["floor", "flor|grund", "|"])
def test_a_name_that_the_model_does_not_have_is_refused_with_those_that_it_has(name):
    settings = FilterSettings("obstacles", exclude=(name,))
    with pytest.raises(SettingsError) as refusal:
        ClassFilter.of(settings, LabelSet.load("demo_outdoor"))
    assert f"filters.obstacles.exclude: got {name!r}, expected" in str(refusal.value)
    assert "label set demo_outdoor: ground, building, fence, vegetation" in str(refusal.value)


def test_what_is_less_certain_does_not_pass():
    label = [ID["wall"], ID["wall"], ID["wall"], UNLABELLED]
    confidence = [0.29, 0.3, 0.9, 0.0]
    assert chosen(label, confidence, min_confidence=0.3) == [False, True, True, False]
    assert chosen(label, confidence, min_confidence=0.3, unlabelled=True)[-1]


def test_only_one_of_include_and_exclude_is_meant():
    with pytest.raises(SettingsError, match="filters.obstacles: got include .*wall.* and exclude"):
        FilterSettings("obstacles", include=("wall",), exclude=("floor",))


def test_a_model_without_classes_has_none_to_include():
    with pytest.raises(SettingsError, match="it has none"):
        ClassFilter.of(FilterSettings("a", include=("wall",)), LabelSet("none", "none", ()))


def test_a_filter_that_does_not_fit_the_classes_of_a_prediction_is_never_used():
    sent = []
    publisher = SimpleNamespace(publish=sent.append, get_subscription_count=lambda: 1)
    node = SimpleNamespace(create_lifecycle_publisher=lambda *_, **__: publisher)
    filters = (FilterSettings("obstacles", include=("wall",)),)
    parameters = SimpleNamespace(filters=filters, settings=Settings())
    outputs = CloudOutputs(node, QoSProfile(depth=1), DEMO, parameters, None)
    nothing = np.zeros(1, np.float32)
    prediction = Prediction(
        points=np.zeros((1, 3), np.float32),
        label=np.zeros(1, np.uint8),
        confidence=nothing,
        entropy=nothing,
        pca_rgb=np.zeros((1, 3), np.uint8),
        classes=DEMO.classes[: ID["wall"]],
        model="demo",
        stamp=START,
        stage_ms={},
    )
    for _ in range(2):
        with pytest.raises(SettingsError, match="filters.obstacles.include: got 'wall'"):
            outputs.publish(LabelledMap(None, prediction), ["labels"])
    assert not sent


# Through the node --------------------------------------------------------------------------------

OBSTACLES = "/concerto/filtered/obstacles"
FILTERED = ONE_CLOUD | {"filter_names": ["obstacles"], "filters.obstacles.exclude": ["floor"]}


def start(harness, **parameters) -> Harness:
    """A node whose model calls floor what is lower than half a metre, and the rest wall."""
    one = harness(**(FILTERED | parameters))
    one.listen(OBSTACLES, PointCloud2, QoSProfile(depth=20))
    assert one.configure()
    infer = one.node._configured.pipeline.infer

    def known(snapshot, outputs, question=None):
        prediction = infer(snapshot, outputs, question)
        low = snapshot.points[:, 2] < 0.5
        label = np.where(low, ID["floor"], ID["wall"]).astype(np.uint8)
        return replace(prediction, label=label, confidence=np.full(len(low), 0.5, np.float32))

    one.node._configured.pipeline.infer = known
    one.activate()
    return one


def filtered(one: Harness, stamp: int = START) -> tuple[PointCloud2, dict[str, np.ndarray]]:
    message = one.wait(
        lambda: next((m for m in one.received[OBSTACLES] if stamp_of(m) == stamp), None),
        f"obstacles of {stamp}",
    )
    fields = point_cloud_fields(message)
    return message, {name: column.reshape(-1) for name, column in fields.items()}


def test_a_planner_gets_the_classes_it_asked_for_and_nothing_else_is_computed(harness):
    one = start(harness)
    points = one.send_room()
    message, fields = filtered(one)
    assert list(fields) == ["x", "y", "z", "rgb", "label", "confidence"]
    assert message.header.frame_id == "odom"
    assert set(fields["label"]) == {ID["wall"]} and fields["z"].min() >= 0.5
    assert len(fields["x"]) == len(np.unique(np.floor(points[points[:, 2] >= 0.5] / 0.1), axis=0))
    status = one.wait(lambda: one.status if one.status.inferences else None, "an inference")
    assert "labels" in status.stage_names and "pca" not in status.stage_names


def test_no_obstacle_is_an_empty_cloud_and_not_silence(harness):
    one = start(harness, **{"filters.obstacles.min_confidence": 0.9})
    one.send_room()
    message, _ = filtered(one)
    assert message.width == 0 and len(message.data) == 0 and message.point_step == 24


def test_a_filter_comes_in_the_frame_of_choice(harness):
    one = start(harness, **{"filters.obstacles.frame": "base_link"})
    one.send_transform("odom", "base_link", START, x=1.0)
    one.send_transform("odom", "base_link", START + SECOND, x=2.0)
    points = one.send_room(START + SECOND // 2)
    message, fields = filtered(one, START + SECOND // 2)
    assert message.header.frame_id == "base_link"
    assert fields["x"].max() == pytest.approx(points[:, 0].max() - 1.5, abs=1e-4)


def test_without_its_transform_a_filter_is_not_sent_and_the_others_are(harness):
    frames = {"filter_names": ["lost", "obstacles"], "filters.lost.frame": "nowhere"}
    one = start(harness, **frames)
    one.listen("/concerto/filtered/lost", PointCloud2)
    one.wait(
        lambda: (
            one.node._configured.outputs.clouds.subscribed()
            == ["filtered/lost", "filtered/obstacles"]
        ),
        "the node to see both subscribers",
    )
    one.send_room()
    filtered(one)
    said = one.wait(
        lambda: (d := one.diagnosis("outputs")()) and d.level == DiagnosticStatus.ERROR and d,
        "diagnostics of the outputs",
    )
    assert "~/filtered/lost is not sent" in said.message and "nowhere" in said.message
    assert not one.received["/concerto/filtered/lost"]


def test_outdoors_the_node_has_the_outdoor_model_and_the_same_filter_fits(
    harness, tmp_path, monkeypatch
):
    bundled_models.bundle_outdoor_model(tmp_path, monkeypatch)
    lowest = {"filters.obstacles.exclude": ["floor|ground"]}
    one = harness(**(FILTERED | lowest | {"preset": "outdoor"}))
    one.listen(OBSTACLES, PointCloud2, QoSProfile(depth=20))
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    one.listen("/concerto/classes", SemanticClasses, latched)
    one.start()
    (classes,) = one.wait(lambda: one.received["/concerto/classes"], "the classes")
    assert tuple(entry.name for entry in classes.classes) == bundled_models.CLASSES
    assert classes.model == "demo_outdoor"
    one.send_room(START)
    _, fields = filtered(one)
    assert 0 not in fields["label"]  # the ground


def test_filters_offer_the_qos_of_the_other_clouds(harness):
    one = start(harness)
    offered = one.robot.get_publishers_info_by_topic(OBSTACLES)[0].qos_profile
    assert offered.reliability == ReliabilityPolicy.RELIABLE
    assert offered.durability == DurabilityPolicy.VOLATILE


@pytest.mark.parametrize(
    ("parameters", "wanted"),
    [
        ({"filters.obstacles.exclude": ["flor"]}, "filters.obstacles.exclude: got 'flor'"),
        ({"filters.obstacles.include": ["wall"]}, "only one of the two"),
        ({"filters.obstacles.min_confidence": 1.5}, "filters.obstacles.min_confidence: got 1.5"),
        ({"filters.obstacles.exclude": "floor"}, "expected a list of names"),
        ({"filter_names": ["a-b"]}, "filter_names: got the name 'a-b'"),
    ],
)
def test_a_wrong_filter_refuses_to_configure_and_is_named(harness, parameters, wanted):
    one = harness(**(FILTERED | parameters))
    assert not one.configure()
    assert one.wait(
        lambda: (d := one.diagnosis("state")()) and wanted in d.message and d, "the reason"
    )
