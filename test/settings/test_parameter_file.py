# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""ROS parameter files are read as ROS reads them, and refused in one line."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from concerto_ros.settings.field import SettingsError
from concerto_ros.settings.parameter_file import (
    read_parameters,
    read_sections,
    sections_for,
    write_parameters,
)

#: Plain scalars, and what ROS makes of them; YAML has other rules for most of these.
SCALARS = {
    "1e-3": 0.001,
    "5.": 5.0,
    ".5": 0.5,
    "-3": -3,
    "+5": 5,
    "0x10": 16,
    "010": 8,
    "08": 8.0,
    ".inf": math.inf,
    "-.Inf": -math.inf,
    "yes": True,
    "y": True,
    "off": False,
    "N": False,
    "1:30": "1:30",
    "2024-01-01": "2024-01-01",
    "null": "null",
    "~": "~",
    "odom": "odom",
    "'1'": "1",
    '"true"': "true",
    "!!str 7": "7",
    "[a, b]": ["a", "b"],
    "[]": [],
}

#: Text of a file, and what the error says of it.
BROKEN = {
    "a: [1,\n b: 2\n": "line 3: expected ',' or ']'",
    "/**:\n  ros__parameters:\n\tvoxel_size: 0.1\n": r"line 3: found character '\\t'",
    "/**:\n  ros__parameters:\n    a: b: c\n": "line 3: mapping values are not allowed here",
    "/**:\n  ros__parameters:\n    a: *b\n": "line 3: found undefined alias 'b'",
    "/**:\n  ros__parameters:\n    fixed_frame:\n": "fixed_frame: got no value",
    "/**:\n  ros__parameters: 3\n": r"ros__parameters of /\*\*: got '?3'?, expected a mapping",
    "/concerto:\n  voxel_size: 0.1\n": "/concerto/voxel_size has no ros__parameters",
    "voxel_size: 0.1\n": "/voxel_size has no ros__parameters",
    "/**:\n  ros_parameters:\n    rate: 1.0\n": r"got the key 'ros_parameters' below /\*\*",
    "ros__parameters:\n  rate: 1.0\n": "got the key 'ros__parameters' below no name of a node",
    "just text": "got no mapping",
    "": "got no mapping",
    "\x00": "special characters are not allowed",
}


def written(folder: Path, text: str) -> Path:
    path = folder / "robot.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def parameters(text: str) -> str:
    return f"/**:\n  ros__parameters:\n    {text}\n"


@pytest.mark.parametrize("scalar", SCALARS)
def test_a_value_has_the_type_that_ros_gives_it(tmp_path, scalar: str):
    ((_, value),) = read_parameters(written(tmp_path, parameters(f"a: {scalar}")))
    assert value == SCALARS[scalar]
    assert type(value) is type(SCALARS[scalar])


def test_ros_itself_reads_the_same(tmp_path, ros_context):
    rclpy = pytest.importorskip("rclpy")
    scalars = {k: v for k, v in SCALARS.items() if v != []}  # ROS leaves such a parameter unset
    lines = [f"p{i}: {scalar}" for i, scalar in enumerate(scalars)]
    path = written(tmp_path, parameters("\n    ".join(lines)))
    node = rclpy.create_node(
        "concerto",
        context=ros_context,
        cli_args=["--ros-args", "--params-file", str(path)],
        automatically_declare_parameters_from_overrides=True,
    )
    try:
        got = {name: node.get_parameter(name).value for name, _ in read_parameters(path)}
    finally:
        node.destroy_node()
    assert got == dict(read_parameters(path))


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_file_is_refused_by_its_name_in_one_line(tmp_path, text: str):
    path = written(tmp_path, text)
    with pytest.raises(SettingsError, match=BROKEN[text]) as error:
        read_sections(path)
    assert str(error.value).startswith(str(path))
    assert "expected" in str(error.value)
    assert "\n" not in str(error.value)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / "robot.yaml"
    path.write_bytes(b"\xff\xfe\x00a")
    with pytest.raises(SettingsError, match="no UTF-8 text"):
        read_sections(path)


@pytest.mark.parametrize(
    ("key", "nodes"),
    [
        ("/**", {"/concerto", "/robot1/concerto", "/a/b/concerto"}),
        ("concerto", {"/concerto"}),
        ("/concerto", {"/concerto"}),
        ("/robot1/concerto", {"/robot1/concerto"}),
        ("robot1/concerto", {"/robot1/concerto"}),
        ("/*/concerto", {"/robot1/concerto"}),
        ("/**/concerto", {"/concerto", "/robot1/concerto", "/a/b/concerto"}),
        ("/perception_node", set()),
    ],
)
def test_a_section_is_for_the_nodes_that_rclpy_takes_it_for(tmp_path, ros_context, key, nodes):
    rclpy = pytest.importorskip("rclpy")
    path = written(tmp_path, f"{key}:\n  ros__parameters:\n    a: 1\n")
    every = {"/concerto", "/robot1/concerto", "/a/b/concerto"}
    assert {name for name in every if sections_for(name, read_sections(path))} == nodes
    for name in every:
        node = rclpy.create_node(
            "concerto",
            namespace=name.removesuffix("concerto").rstrip("/"),
            context=ros_context,
            cli_args=["--ros-args", "--params-file", str(path)],
            automatically_declare_parameters_from_overrides=True,
        )
        assert node.has_parameter("a") == (name in nodes)
        node.destroy_node()


def test_nested_names_are_namespaces(tmp_path):
    path = written(tmp_path, "robot1:\n  concerto:\n    ros__parameters:\n      a: {b: 1}\n")
    (section,) = read_sections(path)
    assert section.node == "/robot1/concerto"
    assert section.values == {"a.b": 1}


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (["/**", "/concerto"], 2),
        (["/concerto", "/**"], 2),
        # What a third file says for /concerto stays in the first place, before /**.
        (["/concerto", "/**", "/concerto"], 2),
        (["/**", "/concerto", "/**"], 2),
    ],
)
def test_the_value_that_counts_is_the_one_that_rclpy_takes(tmp_path, ros_context, keys, value):
    rclpy = pytest.importorskip("rclpy")
    sections, arguments = [], ["--ros-args"]
    for number, key in enumerate(keys, 1):
        path = tmp_path / f"{number}.yaml"
        path.write_text(f"{key}:\n  ros__parameters:\n    a: {number}\n", encoding="utf-8")
        sections += read_sections(path)
        arguments += ["--params-file", str(path)]
    ours = [section.values["a"] for section in sections_for("/concerto", sections)][-1]
    node = rclpy.create_node(
        "concerto",
        context=ros_context,
        cli_args=arguments,
        automatically_declare_parameters_from_overrides=True,
    )
    theirs = node.get_parameter("a").value
    node.destroy_node()
    assert theirs == ours == value


def test_what_is_written_reaches_a_node_as_it_was(tmp_path, ros_context):
    rclpy = pytest.importorskip("rclpy")
    values = {
        "text": "1",
        "word": "yes",
        "empty": "",
        "quote": 'a "b" \\ c: # d',
        "flag": True,
        "count": 3,
        "small": 1e-7,
        "far": math.inf,
        "names": ["a", "1"],
        "mixed": [0, 65535.5],
        "clouds.front.topic": "/points",
        "qos_overrides./a/labels.publisher.depth": 2,
    }
    path = tmp_path / "written.yaml"
    write_parameters(path, "/robot1/concerto", values)
    assert dict(read_parameters(path)) == values
    node = rclpy.create_node(
        "concerto",
        namespace="/robot1",
        context=ros_context,
        cli_args=["--ros-args", "--params-file", str(path)],
        automatically_declare_parameters_from_overrides=True,
    )
    got = {name: node.get_parameter(name).value for name in values}
    node.destroy_node()
    got["mixed"] = list(got["mixed"])  # an array of floats
    assert got == values
