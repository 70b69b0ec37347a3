# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The launch file, by ``ros2 launch`` itself. Skipped where launch is not installed."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from paths import REPOSITORY

pytest.importorskip("launch.actions", reason="launch is not installed (ROS wheels lack it)")
pytest.importorskip("launch_ros", reason="launch_ros is not installed (ROS wheels lack it)")

LAUNCH_FILE = REPOSITORY / "launch" / "perception.launch.py"


@pytest.fixture(scope="module")
def launch_module():
    spec = importlib.util.spec_from_file_location("perception_launch", LAUNCH_FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_argument_has_a_description_and_a_default(launch_module):
    arguments = launch_module.generate_launch_description().get_launch_arguments()
    assert {argument.name for argument in arguments} == {
        "params_file",
        "cloud_topic",
        "camera",
        "preset",
        "checkpoint",
        "head",
        "label_set",
        "voxel_size",
        "device",
        "fixed_frame",
        "robot_frame",
        "namespace",
        "autostart",
        "rviz",
        "use_sim_time",
        "enclave",
        "log_level",
    }
    for argument in arguments:
        assert argument.description
        assert argument.default_value is not None


@pytest.mark.parametrize("camera", ["camera/camera", "/camera/camera/"])
def test_a_camera_is_named_by_its_path(launch_module, camera: str):
    assert launch_module.camera_parameters(camera) == {
        "camera_names": ["camera_camera"],
        "cameras.camera_camera.color_topic": "/camera/camera/color/image_raw",
        "cameras.camera_camera.depth_topic": "/camera/camera/aligned_depth_to_color/image_raw",
        "cameras.camera_camera.info_topic": "/camera/camera/color/camera_info",
    }


@pytest.fixture
def ros2_launch(ros_domain: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Starts the launch file with arguments; gives the process and the path of its output."""
    pytest.importorskip("ros2launch", reason="ros2launch is not installed")
    if (Path(sys.prefix) / "share" / "concerto_ros").exists():
        monkeypatch.setenv("AMENT_PREFIX_PATH", sys.prefix, prepend=os.pathsep)
    monkeypatch.setenv("ROS_LOG_DIR", str(tmp_path / "log"))
    # The launch file sets the transport profile by itself.
    monkeypatch.delenv("FASTRTPS_DEFAULT_PROFILES_FILE", raising=False)
    processes = []

    def start(*arguments: str) -> tuple[subprocess.Popen, Path]:
        output = tmp_path / "output.txt"
        code = "import sys; from ros2cli.cli import main; sys.exit(main())"
        command = [sys.executable, "-c", code, "launch", str(LAUNCH_FILE), *arguments]
        with output.open("w", encoding="utf-8") as stream:
            processes.append(subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT))
        return processes[-1], output

    yield start
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)  # SIGTERM would orphan the node
            try:
                process.wait(timeout=20.0)
            except subprocess.TimeoutExpired:
                process.kill()


def wait_until(condition, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.1)
    return False


def ask(node, kind, name: str, request):
    """The answer of a service, or None when none came in time."""
    import rclpy

    client = node.create_client(kind, name)
    try:
        if not client.wait_for_service(timeout_sec=1.0):
            return None
        future = client.call_async(request)
        executor = rclpy.executors.SingleThreadedExecutor(context=node.context)
        executor.add_node(node)
        executor.spin_until_future_complete(future, timeout_sec=2.0)
        executor.remove_node(node)
        return future.result() if future.done() else None
    finally:
        node.destroy_client(client)


def test_the_node_comes_up_active_with_what_was_asked_for(ros2_launch, ros_context):
    import rclpy
    from lifecycle_msgs.msg import State
    from lifecycle_msgs.srv import GetState
    from rcl_interfaces.srv import GetParameters

    process, output = ros2_launch(
        "namespace:=robot1", "cloud_topic:=/points", "fixed_frame:=7", "log_level:=debug"
    )
    node = rclpy.create_node("test_launch", context=ros_context)

    def active() -> bool:
        answer = ask(node, GetState, "/robot1/concerto/get_state", GetState.Request())
        return answer is not None and answer.current_state.id == State.PRIMARY_STATE_ACTIVE

    assert wait_until(active, 60.0), output.read_text(encoding="utf-8")

    names = ["clouds", "clouds.cloud.topic", "fixed_frame", "preset", "use_sim_time"]
    request = GetParameters.Request(names=names)
    values = ask(node, GetParameters, "/robot1/concerto/get_parameters", request).values
    assert list(values[0].string_array_value) == ["cloud"]
    assert values[1].string_value == "/points"
    assert values[2].string_value == "7"  # a name, though it looks like a number
    assert values[3].string_value == "indoor"  # from the parameter file
    assert values[4].bool_value is False
    node.destroy_node()

    pid = int(re.search(r"started with pid \[(\d+)\]", output.read_text(encoding="utf-8"))[1])
    environment = Path(f"/proc/{pid}/environ").read_text(encoding="utf-8").split("\0")
    profile = [v for v in environment if v.startswith("FASTRTPS_DEFAULT_PROFILES_FILE=")]
    assert len(profile) == 1
    assert profile[0].endswith("config/fastdds.xml")

    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30.0) == 0
    text = output.read_text(encoding="utf-8")
    assert "process has finished cleanly" in text
    assert "Traceback" not in text


@pytest.mark.parametrize(("arguments", "sim"), [((), True), (("use_sim_time:=false",), False)])
def test_the_clock_is_that_of_the_parameter_file_unless_asked_for(
    ros2_launch, ros_context, tmp_path, arguments, sim
):
    import rclpy
    from rcl_interfaces.srv import GetParameters

    file = tmp_path / "robot.yaml"
    file.write_text(
        "/**:\n  ros__parameters:\n    use_sim_time: true\n    autostart: false\n",
        encoding="utf-8",
    )
    _, output = ros2_launch(f"params_file:={file}", *arguments)
    node = rclpy.create_node("test_launch", context=ros_context)
    request = GetParameters.Request(names=["use_sim_time", "autostart"])
    answers = []

    def answered() -> bool:
        answer = ask(node, GetParameters, "/concerto/get_parameters", request)
        if answer is not None:
            answers.append([value.bool_value for value in answer.values])
        return bool(answers)

    assert wait_until(answered, 60.0), output.read_text(encoding="utf-8")
    node.destroy_node()
    assert answers == [[sim, False]]


def test_a_parameter_file_that_is_not_there_is_refused(ros2_launch):
    process, output = ros2_launch("params_file:=/nowhere/perception.yaml")
    assert process.wait(timeout=30.0) == 1
    assert "params_file: got '/nowhere/perception.yaml'" in output.read_text(encoding="utf-8")


@pytest.mark.skipif(shutil.which("rviz2") is not None, reason="RViz is installed")
def test_without_rviz_nothing_is_left_behind(ros2_launch):
    process, output = ros2_launch("rviz:=true")
    assert process.wait(timeout=30.0) == 1
    text = output.read_text(encoding="utf-8")
    assert "package 'rviz2' not found" in text
    assert "process started" not in text
