# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Parameters and lifecycle of the perception node."""

from __future__ import annotations

import math
import threading

import huggingface_hub.constants
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from node_harness import (
    CAMERA,
    ONE_CLOUD,
    SECOND,
    START,
)
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy, qos_profile_sensor_data

from concerto_ros.settings.settings import DEFAULTS, NAMED, about, settings_of

CAMERA_TOPICS = {name: value for name, value in CAMERA.items() if name.startswith("camera")}

# Parameters --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("preset", "underwater", "one of indoor, outdoor"),
        ("rate", -3.0, "0.01 to 100 Hz"),
        ("rate", "fast", "a number"),
        ("max_voxels", 0, "1 to 2e+07"),
        ("fixed_frame", "", "a name"),
        ("precision", "int4", "one of auto, float32, bfloat16, float16"),
        ("device", "toaster", "auto, cpu, cuda or cuda:N"),
        ("checkpoint", "no/such/file.pth", "a path"),
        ("label_set", "no_such_set", "scannet20"),
        ("cloud_names", ["a b"], "letters, digits and _"),
        ("clouds.front.topic", "", "a name"),
        ("max_range", 0.1, "more than min_range"),
    ],
)
def test_a_wrong_value_refuses_to_configure_and_is_named(harness, name, value, wanted):
    one = harness(**(ONE_CLOUD | {"min_range": 0.5} | {name: value}))
    assert not one.configure()
    said = one.wait(
        lambda: (d := one.diagnosis("state")()) and name in d.message and d, "the reason"
    )
    assert wanted in said.message and str(value).strip("[]'") in said.message


@pytest.mark.parametrize("name", ["checkpoint", "head"])
def test_a_model_that_was_not_fetched_is_told_with_the_command_that_fetches_it(
    harness, monkeypatch, tmp_path, name
):
    for variable in ("XDG_CACHE_HOME", "HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    official = {"checkpoint": "concerto_large", "head": "concerto_large_linear_prob_head_sc"}
    one = harness(**ONE_CLOUD, **{name: official[name]})
    assert not one.configure()
    state = one.diagnosis("state")
    said = one.wait(lambda: (d := state()) and d.level == DiagnosticStatus.ERROR and d, "an error")
    assert said.message.startswith(f"unconfigured: {name}: {official[name]} is not on this")
    assert f"run `concerto-ros download {official[name]}` once, with a network" in said.message
    assert [(entry.key, entry.value) for entry in said.values] == [
        ("reason", said.message.removeprefix("unconfigured: "))
    ]


def test_a_wrong_value_can_be_mended(harness):
    one = harness(**(ONE_CLOUD | {"rate": -3.0}))
    assert not one.configure()
    assert one.node.set_parameters([Parameter("rate", value=3.0)])[0].successful
    one.start()


def test_whole_numbers_are_welcome_where_a_float_is_meant(harness):
    one = harness(**(ONE_CLOUD | {"rate": 3}))
    assert one.configure()


def test_inputs_can_be_named_while_the_node_runs(harness):
    one = harness(voxel_size=0.1, fixed_frame="odom", **{"clouds.front.min_rate": -1.0})

    def change(name, value):
        return one.node.set_parameters([Parameter(name, value=value)])[0].successful

    assert change("cloud_names", ["front"]) and change("clouds.front.topic", "/points")
    assert not one.configure()  # what came from outside is wrong, and can be mended
    state = one.diagnosis("state")
    one.wait(lambda: (d := state()) and "clouds.front.min_rate" in d.message, "the reason")
    assert not change("clouds.front.min_rate", -2.0)
    assert change("clouds.front.min_rate", 0.0)
    assert change("filter_names", ["obstacles"]) and change("filters.obstacles.exclude", ["floor"])
    one.listen_to_labels()
    one.start()
    assert not change("cloud_names", ["front", "rear"])
    assert not one.node.has_parameter("clouds.rear.topic")
    one.send_room()
    one.labels(START)


def test_a_parameter_cannot_be_deleted(full):
    def try_all():
        before = declared(full)
        for name in before:
            result = full.node.set_parameters([Parameter(name)])[0]
            assert not result.successful and name in result.reason, name
        assert declared(full) == before

    try_all()
    assert full.configure()
    try_all()


def test_an_empty_list_in_a_parameter_file_means_no_input(harness):
    one = harness(cloud_names=None, camera_names=None)
    assert one.configure()


def test_an_empty_name_means_no_input(harness):
    one = harness(cloud_names=[""], camera_names=[""])
    assert one.configure()


def test_live_parameters_change_and_the_others_say_read_only(active):
    def change(**values):
        return active.node.set_parameters_atomically(
            [Parameter(name, value=value) for name, value in values.items()]
        )

    assert change(rate=2.0, transform_timeout=0.1).successful
    assert active.node._ros_parameters.settings.rate == 2.0
    refused = change(rate=7.0, voxel_size=0.2)
    assert not refused.successful and "voxel_size: read_only" in refused.reason
    assert active.node.get_parameter("rate").value == 2.0
    out_of_range = change(rate=1000.0)
    assert not out_of_range.successful
    assert not change(max_range=0.001, min_range=5.0).successful


def test_every_parameter_is_described(active):
    for name in active.node.get_parameters_by_prefix(""):
        if name.startswith("qos_overrides") or name == "use_sim_time":
            continue
        descriptor = active.node.describe_parameter(name)
        assert len(descriptor.description) > 10, name
    assert active.node.describe_parameter("rate").floating_point_range[0].to_value == 100.0


# Every parameter of a node with inputs and filters -----------------------------------------------

#: Never declared by this package, or declared by rclpy for it.
FOREIGN = ("use_sim_time", "start_type_description_service")


@pytest.fixture
def full(harness):
    """A node with an input of each kind and a filter; not configured."""
    return harness(**ONE_CLOUD, **CAMERA_TOPICS, filter_names=["obstacles"])


def declared(one) -> dict:
    """Name and value of every parameter that this package declares, with one NaN for all."""
    values = {
        name: one.node.get_parameter(name).value
        for name in one.node.get_parameters_by_prefix("")
        if not name.startswith("qos_overrides.") and name not in FOREIGN
    }
    return {name: value if value == value else math.nan for name, value in values.items()}


def another(name: str, value):
    """A good value that is not ``value``."""
    if isinstance(value, bool):
        return not value
    if name == "max_range":  # more than the preset's min_range
        return 7.0
    if value != value:
        return 0.5
    if isinstance(value, float):
        return 0.99 * value if value else 0.01
    return value + 1 if isinstance(value, int) else value


def bad_values(value) -> list:
    """Values of another type, and numbers that no parameter takes."""
    if isinstance(value, bool):
        return [1, "true"]
    if value != value:  # NaN turns it off, and it may be below zero
        return [math.inf, -math.inf, "1.0"]
    if isinstance(value, float):
        return [math.nan, math.inf, -math.inf, -1.0, "1.0"]
    if isinstance(value, int):
        return [-1, 2**62, 1.5, "1"]
    return [5, True]


def is_live(name: str) -> bool:
    if name in DEFAULTS:
        return about(name).live
    group, _, rest = name.partition(".")
    pattern = f"{group}.<name>.{rest.rpartition('.')[2]}"
    known = {full: entry for names in NAMED for full, entry in settings_of(names).items()}
    return pattern in known and known[pattern].metadata["setting"].live


def in_force(one, name: str):
    """The value that the node works with."""
    group, _, key = name.rpartition(".")
    parameters = one.node._ros_parameters
    if name in DEFAULTS:
        return getattr(getattr(parameters.settings, group) if group else parameters.settings, key)
    return getattr({f"filters.{entry.name}": entry for entry in parameters.filters}[group], key)


def test_every_parameter_changes_while_running_or_says_read_only(full):
    full.start()
    values = declared(full)
    assert {"rate", "objects.rate", "clouds.front.topic", "filters.obstacles.frame"} <= set(values)
    live = {name for name in values if is_live(name)}
    for name in values:
        value = another(name, values[name])
        result = full.node.set_parameters([Parameter(name, value=value)])[0]
        assert result.successful == (name in live), f"{name}: {result.reason}"
        if name in live:
            assert full.node.get_parameter(name).value == value
            wanted = tuple(filter(None, value)) if isinstance(value, list) else value
            assert in_force(full, name) == wanted
        else:
            assert name in result.reason
            assert "read_only" in result.reason or "read-only" in result.reason
            kept = declared(full)
            assert {name: kept[name]} == {name: values[name]}


def test_a_wrong_value_of_any_parameter_is_refused_by_name_and_nothing_changes(full):
    def refuse(name, value, *others):
        before, settings = declared(full), full.node._ros_parameters.settings
        result = full.node.set_parameters_atomically([*others, Parameter(name, value=value)])
        assert not result.successful and name in result.reason, f"{name}={value!r}"
        assert declared(full) == before and full.node._ros_parameters.settings == settings

    for name, value in declared(full).items():
        for bad in bad_values(value):
            refuse(name, bad)
    full.start()
    for name, value in declared(full).items():
        if is_live(name):
            for bad in bad_values(value):
                refuse(name, bad, Parameter("input_rate", value=7.0))
    refuse("voxel_size", 0.2, Parameter("rate", value=7.0))


def test_qos_of_every_topic_can_be_overridden(full):
    assert full.configure()
    node = full.node
    for kind, endpoints in (("publisher", node.publishers), ("subscription", node.subscriptions)):
        topics = {endpoint.topic_name for endpoint in endpoints} - {"/rosout", "/parameter_events"}
        assert len(topics) >= 6
        for topic in topics:
            for policy in ("reliability", "durability", "history", "depth"):
                assert node.has_parameter(f"qos_overrides.{topic}.{kind}.{policy}"), topic


def test_qos_can_be_overridden(harness):
    one = harness(**ONE_CLOUD, **{"qos_overrides./points.subscription.reliability": "reliable"})
    assert one.configure()
    offered = one.robot.get_subscriptions_info_by_topic("/points")[0].qos_profile
    assert offered.reliability == ReliabilityPolicy.RELIABLE


def test_the_qos_of_one_topic_is_that_of_no_other(harness):
    overrides = {
        "qos_overrides./points.subscription.durability": "transient_local",
        "qos_overrides./concerto/labels.publisher.depth": 7,
        "qos_overrides./concerto/classes.publisher.depth": 7,
    }
    rear = {"cloud_names": ["front", "rear"], "clouds.rear.topic": "/behind"}
    one = harness(**(ONE_CLOUD | rear), **overrides)
    assert one.configure()

    def durability(topic):
        return one.robot.get_subscriptions_info_by_topic(topic)[0].qos_profile.durability

    assert durability("/points") == DurabilityPolicy.TRANSIENT_LOCAL
    assert durability("/behind") == DurabilityPolicy.VOLATILE
    depth = {
        topic: one.node.get_parameter(f"qos_overrides.{topic}.publisher.depth").value
        for topic in (f"/concerto/{name}" for name in ("labels", "pca", "classes", "legend"))
    }
    assert depth["/concerto/labels"] == depth["/concerto/classes"] == 7
    assert depth["/concerto/pca"] == depth["/concerto/legend"] == 1


# Lifecycle ---------------------------------------------------------------------------------------


def test_messages_are_ignored_while_inactive(harness):
    one = harness(**ONE_CLOUD)
    assert one.configure()
    one.send_room(START)
    one.activate()
    one.wait_for_status()
    assert one.status.frames_received == 0
    one.send_room(START + SECOND)
    one.wait_for_fused(1)


def test_a_whole_life_twice(harness):
    one = harness(**ONE_CLOUD)
    one.listen_to_labels()
    before = threading.active_count()
    for life in range(2):
        stamp = START + life * SECOND
        one.start()
        one.send_room(stamp)
        one.labels(stamp)
        one.node.trigger_deactivate()
        assert threading.active_count() == before
        one.node.trigger_cleanup()
        one._publishers.clear()
        one.received["/concerto/status"].clear()


@pytest.mark.parametrize(
    "wrong",
    [
        {"cameras.head.color_topic": "/no topic"},
        {"qos_overrides./info.subscription.depth": "many"},
        {"qos_overrides./tf_static.subscription.depth": "many"},
        {"qos_overrides./concerto/pca.publisher.depth": "many"},
        {"qos_overrides./concerto/objects.publisher.depth": "many"},
    ],
)
def test_a_node_that_cannot_be_configured_listens_to_nothing_and_offers_nothing(harness, wrong):
    one = harness(**(ONE_CLOUD | CAMERA_TOPICS | wrong))

    def topics():
        node = one.node
        ends = (*node.subscriptions, *node.publishers)
        return sorted(end.topic_name for end in ends), len(node._managed_entities)

    before = topics()
    for _ in range(2):
        assert not one.configure()
        assert topics() == before


def test_sensor_data_qos_is_met(active):
    asked = active.robot.get_subscriptions_info_by_topic("/points")[0].qos_profile
    assert asked.reliability == qos_profile_sensor_data.reliability
