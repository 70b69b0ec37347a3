# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters as ``ros2 param`` reads and sets them: through the services of the node."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from node_harness import CAMERA, ONE_CLOUD, Harness, call
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.srv import DescribeParameters, GetParameters, ListParameters, SetParameters
from rclpy.parameter import parameter_value_to_python

from concerto_ros.ros.node import PerceptionNode
from concerto_ros.settings.settings import DEFAULTS, NAMED, settings_of

#: An input of each kind and a filter.
FULL = {**CAMERA, **ONE_CLOUD, "filter_names": ["obstacles"], "filters.obstacles.frame": "odom"}


@pytest.fixture
def full(harness):
    one = harness(**FULL)
    one.start()
    return one


def listed(one: Harness) -> list[str]:
    return call(one, ListParameters, "list_parameters").result.names


def got(one: Harness, names: list[str]) -> dict[str, Any]:
    answer = call(one, GetParameters, "get_parameters", GetParameters.Request(names=names))
    return dict(zip(names, map(parameter_value_to_python, answer.values), strict=True))


def dumped(one: Harness) -> dict[str, Any]:
    """What ``ros2 param dump`` writes: every value, nested by the dots of its name."""
    tree: dict[str, Any] = {}
    for name, value in got(one, listed(one)).items():
        *branches, leaf = name.split(".")
        branch = tree
        for key in branches:
            branch = branch.setdefault(key, {})
            assert isinstance(branch, dict), f"{name}: {key} is a value as well"
        assert leaf not in branch, f"{name}: is the prefix of others as well"
        branch[leaf] = value
    return {"/concerto": {"ros__parameters": tree}}


def test_every_parameter_is_listed_and_no_old_name_is(full):
    names = set(listed(full))
    of_inputs = {
        pattern.replace("<name>", name)
        for group in NAMED
        for name in FULL[group]
        for pattern in settings_of(group)
    }
    assert names >= {*DEFAULTS, *of_inputs, "autostart"}
    assert not names & {"clouds", "cameras", "filters"}


def test_every_parameter_has_a_value_and_a_description(full):
    names = [name for name in listed(full) if not name.startswith(("qos_overrides.", "use_sim"))]
    assert all(value is not None for value in got(full, names).values())
    request = DescribeParameters.Request(names=names)
    for told in call(full, DescribeParameters, "describe_parameters", request).descriptors:
        kind = type(DEFAULTS.get(told.name))
        if kind is bool:
            assert told.additional_constraints == "true or false", told.name
        if kind is tuple:
            assert "list" in told.additional_constraints, told.name
        if told.name != "start_type_description_service":
            assert told.description, told.name


def test_every_parameter_answers_to_being_set_to_what_it_is(full):
    values = call(full, GetParameters, "get_parameters", GetParameters.Request(names=listed(full)))
    parameters = [
        ParameterMessage(name=name, value=value)
        for name, value in zip(listed(full), values.values, strict=True)
    ]
    request = SetParameters.Request(parameters=parameters)
    results = call(full, SetParameters, "set_parameters", request).results
    assert len(results) == len(parameters)
    for parameter, result in zip(parameters, results, strict=True):
        assert result.successful or "read" in result.reason, f"{parameter.name}: {result.reason}"


def test_what_is_dumped_starts_the_same_node(full, tmp_path):
    file = tmp_path / "dumped.yaml"
    file.write_text(yaml.safe_dump(dumped(full)))
    arguments = ["--ros-args", "--params-file", str(file)]
    again = PerceptionNode(context=full.context, cli_args=arguments)
    try:
        for name, value in got(full, listed(full)).items():
            if not name.startswith("qos_overrides."):  # declared with their topics
                told = again.get_parameter(name).value
                assert told == value or (told != told and value != value), name
    finally:
        again.close()


def test_a_node_whose_lists_are_empty_in_its_file_can_be_dumped(harness):
    one = harness(cloud_names=None, filter_names=None, **{"objects.classes": None})
    assert got(one, ["cloud_names", "filter_names", "objects.classes"]) == {
        "cloud_names": [""],
        "filter_names": [""],
        "objects.classes": [""],
    }
    dumped(one)


@pytest.mark.parametrize(
    ("overrides", "wanted"),
    [
        ({"clouds": ["front"], "clouds.front.topic": "/points"}, ["front"]),
        ({"cloud_names": [""], "clouds": ["front"], "clouds.front.topic": "/points"}, ["front"]),
        ({**ONE_CLOUD, "clouds": ["rear"]}, ["front"]),
    ],
    ids=["the old name", "the file of defaults and the old name", "both"],
)
def test_the_names_of_0_1_are_read_with_a_notice(harness, capfd, overrides, wanted):
    one = harness(**overrides)
    assert got(one, ["cloud_names"]) == {"cloud_names": wanted}
    assert "clouds" not in listed(one)
    assert one.configure()
    assert one.robot.get_subscriptions_info_by_topic("/points")
    said = capfd.readouterr().err
    assert "clouds: got" in said and "cloud_names" in said


def test_a_wrong_value_under_a_name_of_0_1_is_refused(harness):
    one = harness(cameras="head")
    assert not one.configure()
    found = one.diagnosis("state")
    one.wait(lambda: (d := found()) and "camera_names: got 'head'" in d.message, "the reason")
