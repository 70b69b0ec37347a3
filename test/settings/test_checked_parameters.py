# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a node is given is checked before it starts: every value, and every name."""

from __future__ import annotations

from typing import Any

import pytest

from concerto_ros.settings.checked_parameters import checked_parameters, ineffective_parameters
from concerto_ros.settings.field import SettingsError
from concerto_ros.settings.parameter_file import Section

FRONT = {"cloud_names": ["front"], "clouds.front.topic": "/points"}

WRONG = [
    ({"voxel_size": "abc"}, "voxel_size: got 'abc'"),
    ({"voxel_size": -1.0}, "voxel_size: got -1.0, expected 0 to 10 m"),
    ({"rate": float("nan")}, "rate: got nan"),
    ({"autostart": "abc"}, "autostart: got 'abc', expected true or false"),
    ({"use_sim_time": 1}, "use_sim_time: got 1, expected true or false"),
    ({"preset": "outdor"}, "preset: got 'outdor', expected one of indoor, outdoor"),
    ({"cloud_names": [["front"]]}, "cloud_names: got .*expected a list of names"),
    ({"cloud_names": ["a-b"]}, "got the name 'a-b'"),
    ({"min_range": 3.0, "max_range": 1.0}, "max_range: got 1 m, expected more than min_range"),
    ({"cloud_names": ["front"]}, "clouds.front.topic: got ''"),
    (FRONT | {"clouds.front.topic": "/velo-dyne"}, "clouds.front.topic: got '/velo-dyne'"),
    (FRONT | {"clouds.front.topic": "1points"}, "clouds.front.topic: got '1points'"),
    (FRONT | {"clouds.front.topic": "/points/"}, "clouds.front.topic: got '/points/'"),
    (FRONT | {"clouds.front.topic": "/my points"}, "clouds.front.topic: got '/my points'"),
    (FRONT | {"clouds.front.topic": "//points"}, "clouds.front.topic: got '//points'"),
    (FRONT | {"clouds.front.topic": "/a/~b"}, "clouds.front.topic: got '/a/~b'"),
    (FRONT | {"clouds.front.min_rate": "fast"}, "clouds.front.min_rate: got 'fast'"),
    ({"max_voxels": 0.5}, "max_voxels: got 0.5, expected a whole number, 1 to"),
    ({"cpu_fallback": "yes"}, "cpu_fallback: got 'yes', expected true or false"),
    ({"checkpoint": None}, "checkpoint: got no value, expected a name"),
    ({"qos_overrides./points.subscription.durability": "latched"}, "got 'latched', expected one"),
    ({"qos_overrides./points.subscription.depth": "5"}, "depth: got '5', expected a whole number"),
    ({"qos_overrides./points.subscription.depth": -1}, "depth: got -1, expected a whole number"),
    ({"use_sim_time": "true"}, "use_sim_time: got 'true', expected true or false"),
    ({"autostart": 1}, "autostart: got 1, expected true or false"),
]

INEFFECTIVE = [
    ("voxle_size", "did you mean voxel_size?"),
    ("voxelsize", "did you mean voxel_size?"),
    ("clouds.front.topci", "did you mean clouds.front.topic?"),
    ("clouds.frnt.topic", "expected 'frnt' in it; did you mean front?"),
    ("clouds.rear.topic", "cloud_names is ['front'], expected 'rear' in it"),
    ("cameras.front.color_topic", "camera_names is [], expected 'front' in it"),
    ("filters.obstacles.include", "filter_names is [], expected 'obstacles' in it"),
    ("fusion_seconds", "did you mean fusion.seconds?"),
    ("qos_overrides./points.subscription.reliabilty", "did you mean reliability?"),
    ("qos_overrides./points.subscripton.depth", "did you mean subscription?"),
    ("qos_overrides.points.subscription.depth", "expected qos_overrides.</topic>."),
    ("use_sim_tme", "did you mean use_sim_time?"),
    ("xyz", "this node has no such parameter"),
]


def given(values: dict[str, Any], node: str = "/**", where: str = "in robot.yaml") -> Section:
    return Section(node, values, where)


@pytest.mark.parametrize(("values", "text"), WRONG)
def test_a_wrong_value_is_refused_with_parameter_value_and_place(values, text: str):
    with pytest.raises(SettingsError, match=text) as error:
        checked_parameters("/concerto", [given(values)])
    assert "(in robot.yaml)" in str(error.value)
    assert "expected" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "topic", ["points", "/points", "~/points", "/robot_1/lidar/points", "{ns}/points", "_a/b1"]
)
def test_names_of_topics_that_ros_accepts_are_accepted(topic: str):
    checked = checked_parameters("/concerto", [given(FRONT | {"clouds.front.topic": topic})])
    assert checked.inputs[0].topic == topic


@pytest.mark.parametrize("values", [{"camera_names": ["1cam"]}, {"camera_names": ["a", "a"]}])
def test_of_the_lists_of_inputs_the_wrong_one_is_named_and_placed(values):
    sections = [given({"cloud_names": [""]}, where="in base.yaml"), given(values)]
    with pytest.raises(SettingsError, match="^camera_names: got ") as error:
        checked_parameters("/concerto", sections)
    assert "(in robot.yaml)" in str(error.value)


def test_a_name_in_both_lists_of_inputs_is_placed_where_it_was_given_last():
    sections = [
        given(FRONT, where="in base.yaml"),
        given({"camera_names": ["front"]}, where="in robot.yaml"),
    ]
    with pytest.raises(SettingsError, match="^cloud_names or camera_names: .*in robot.yaml"):
        checked_parameters("/concerto", sections)


def test_the_place_is_the_one_whose_value_counts():
    sections = [given({"voxel_size": "abc"}), given({"voxel_size": "x"}, where="in -p x")]
    with pytest.raises(SettingsError, match=r"got 'x', .*\(in -p x\)"):
        checked_parameters("/concerto", sections)
    fixed = [given({"voxel_size": "abc"}), given({"voxel_size": 0.1}, where="in -p x")]
    assert checked_parameters("/concerto", fixed).settings.voxel_size == 0.1


def test_what_is_for_another_node_is_not_read():
    sections = [given({"voxel_size": "abc"}, "/other"), given({"rate": 2.0})]
    assert checked_parameters("/concerto", sections).settings.rate == 2.0


def test_names_of_version_0_1_are_read():
    checked = checked_parameters(
        "/concerto", [given({"clouds": ["front"], "clouds.front.topic": "/points"})]
    )
    assert [source.name for source in checked.inputs] == ["front"]
    with pytest.raises(SettingsError, match=r"\(in robot.yaml\)"):
        checked_parameters("/concerto", [given({"clouds": "front"})])


@pytest.mark.parametrize(("name", "text"), INEFFECTIVE)
def test_a_name_that_the_node_does_not_have_is_reported_with_the_nearest(name: str, text: str):
    (sentence,) = ineffective_parameters("/concerto", [given(FRONT | {name: "x"})])
    assert sentence.startswith(f"{name} in robot.yaml has no effect")
    assert text in sentence


def test_names_that_the_node_has_are_not_said():
    values = FRONT | {
        "use_sim_time": True,
        "autostart": True,
        "fusion.seconds": 1.0,
        "qos_overrides./concerto/labels.publisher.depth": 2,
        "filter_names": ["ground"],
        "filters.ground.include": ["floor"],
    }
    assert ineffective_parameters("/concerto", [given(values)]) == []


@pytest.mark.parametrize(
    ("key", "node"), [("/concerto", "/robot1/concerto"), ("/perception_node", "/concerto")]
)
def test_a_file_about_other_nodes_only_is_reported(key: str, node: str):
    (sentence,) = ineffective_parameters(node, [given({"rate": 1.0}, key)])
    assert f"got parameters of {key} in robot.yaml" in sentence
    assert f"expected {node} or /**" in sentence


def test_a_file_that_several_nodes_share_is_not_said():
    sections = [given({"x": 1}, "/controller_server"), given({"rate": 1.0}, "/concerto")]
    assert ineffective_parameters("/concerto", sections) == []
