# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A command line that cannot be used ends the node at once, with one line that says why."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest
from paths import REPOSITORY

pytest.importorskip("rclpy")

from concerto_ros.ros import node as node_module
from concerto_ros.ros.bringup.command_line import command_line_sections
from concerto_ros.ros.middleware.qos import OVERRIDABLE
from concerto_ros.settings.qos_overrides import POLICIES
from concerto_ros.settings.settings import NODE_ONLY

BAD_TOPIC = ["-p", "cloud_names:=[front]", "-p", "clouds.front.topic:=/velo-dyne"]

REFUSED = [
    (["-p", "voxel_size:=abc"], "voxel_size: got 'abc'", "-p voxel_size:=abc"),
    (["-p", "voxel_size:=50"], "voxel_size: got 50.0, expected 0 to 10 m", "-p voxel_size:=50"),
    (["--param", "rate:=[1]"], "rate: got [1]", "--param rate:=[1]"),
    (["-p", "voxel_size"], "-p: got 'voxel_size', expected -p name:=value", ""),
    (["-p", "checkpoint:="], "-p: got 'checkpoint:=' without a value", "checkpoint:=''"),
    (["-p", "use_sim_time:='true'"], "use_sim_time: got 'true', expected true", "in -p use_sim_"),
    (["-p", "autostart:=1"], "autostart: got 1, expected true or false", "in -p autostart:=1"),
    (["-p", "a:=[1,"], "-p a:=[1,: got no YAML value", ""),
    (BAD_TOPIC, "clouds.front.topic: got '/velo-dyne'", "-p clouds.front.topic:=/velo-dyne"),
    (["--params-file", "/nowhere.yaml"], "--params-file: got '/nowhere.yaml'", "No such file"),
    (["--bogus"], "got arguments that ROS does not know: ['--bogus']", ""),
    (["-r", "__ns:=/a-b"], "Couldn't parse remap rule: '-r __ns:=/a-b'", ""),
    (["--log-level", "loud"], "Couldn't parse log level: '--log-level loud'", ""),
]

FILES = [
    ("voxel_size: abc", "voxel_size: got 'abc'"),
    ("cloud_names: front", "cloud_names: got 'front', expected a list of names"),
    ("rate: [1", "expected ',' or ']'"),
    ("rate:", "rate: got no value"),
]


def fatal(capfd: pytest.CaptureFixture) -> str:
    """The only line that says why."""
    lines = [line for line in capfd.readouterr().err.splitlines() if "[FATAL]" in line]
    assert len(lines) == 1
    return lines[0]


def run(*arguments: str) -> int:
    return node_module.main(["node", "--ros-args", *arguments])


@pytest.mark.parametrize(("arguments", "text", "place"), REFUSED)
def test_an_argument_that_cannot_be_used_is_named(ros_domain, capfd, arguments, text, place):
    assert run(*arguments) == 2
    line = fatal(capfd)
    assert text in line
    assert place in line


@pytest.mark.parametrize(("text", "why"), FILES)
def test_a_file_that_cannot_be_used_is_named(ros_domain, capfd, tmp_path, text: str, why: str):
    path = tmp_path / "robot.yaml"
    path.write_text(f"/**:\n  ros__parameters:\n    {text}\n", encoding="utf-8")
    assert run("--params-file", str(path)) == 2
    line = fatal(capfd)
    assert why in line
    assert str(path) in line


def test_misspelt_names_are_reported_wherever_they_stand(ros_domain, capfd, tmp_path):
    path = tmp_path / "robot.yaml"
    text = "cloud_names: [front]\n    clouds.front.topci: /points\n    voxle_size: 0.1"
    path.write_text(f"/**:\n  ros__parameters:\n    {text}\n", encoding="utf-8")
    assert run("--params-file", str(path), "-p", "fixed_fram:=map") == 2
    warnings = [line for line in capfd.readouterr().err.splitlines() if "[WARN]" in line]
    for name, nearest, where in (
        ("clouds.front.topci", "clouds.front.topic", path),
        ("voxle_size", "voxel_size", path),
        ("fixed_fram", "fixed_frame", "-p fixed_fram:=map"),
    ):
        (line,) = (each for each in warnings if f" {name} in {where}" in each)
        assert f"did you mean {nearest}?" in line


def test_a_file_for_another_name_of_the_node_is_reported(ros_domain, capfd, tmp_path):
    path = tmp_path / "robot.yaml"
    path.write_text("/concerto:\n  ros__parameters:\n    rate: 1.0\n", encoding="utf-8")
    wrong = ["-p", "voxel_size:=abc"]  # so that the node ends
    assert run("-r", "__ns:=/robot1", "--params-file", str(path), *wrong) == 2
    assert "this node is /robot1/concerto" in capfd.readouterr().err


def test_the_overrides_that_are_checked_are_those_of_the_topics():
    assert set(POLICIES) == {policy.name.lower() for policy in OVERRIDABLE.policy_kinds}


def test_only_the_arguments_of_ros_are_read():
    arguments = ["node", "-p", "a:=1", "--ros-args", "-p", "b:=2", "--", "-p", "c:=3"]
    assert [section.values for section in command_line_sections(arguments)] == [{"b": 2}]


def test_an_argument_for_one_node_is_for_that_node():
    (section,) = command_line_sections(["--ros-args", "-p", "concerto:rate:=2.0"])
    assert section.is_for("/concerto")
    assert not section.is_for("/robot1/concerto")
    assert section.values == {"rate": 2.0}


def test_every_parameter_of_the_node_is_known(harness):
    """Those that rclpy declares by itself as well."""
    from concerto_ros.settings.checked_parameters import ineffective_parameters
    from concerto_ros.settings.parameter_file import Section

    one = harness(cloud_names=["front"], **{"clouds.front.topic": "/points"})
    assert one.configure()
    names = dict.fromkeys(one.node._parameters, 0) | {"cloud_names": ["front"]}
    assert set(NODE_ONLY) < set(names)
    assert ineffective_parameters("/concerto", [Section("/**", names, "here")]) == []


@pytest.mark.parametrize("seconds", [0.02, 0.2])
def test_ctrl_c_in_a_terminal_ends_the_node_cleanly(ros_domain, tmp_path, seconds: float):
    """The terminal interrupts the node and `ros2 launch`, which interrupts the node once more."""
    command = [
        sys.executable,
        "-m",
        "concerto_ros.cli",
        "node",
        "--ros-args",
        "-p",
        "head:=nosuch",
    ]
    output = tmp_path / "output.txt"
    with output.open("w") as stream:
        process = subprocess.Popen(command, stderr=stream, cwd=REPOSITORY)
    end = time.monotonic() + 30.0
    while "cannot configure" not in output.read_text() and time.monotonic() < end:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20.0) == 0
    assert "Traceback" not in output.read_text()
