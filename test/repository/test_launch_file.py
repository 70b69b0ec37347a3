# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The launch file, by ``ros2 launch`` itself. Skipped where launch is not installed."""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from paths import REPOSITORY

pytest.importorskip("launch.actions", reason="launch is not installed (ROS wheels lack it)")
pytest.importorskip("launch_ros", reason="launch_ros is not installed (ROS wheels lack it)")

from concerto_ros.ros.bringup.launch_arguments import camera_parameters

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
        "respawn",
        "rviz",
        "rviz_config",
        "use_sim_time",
        "enclave",
        "log_level",
    }
    for argument in arguments:
        assert argument.description
        assert argument.default_value is not None


@pytest.mark.parametrize("camera", ["camera/camera", "/camera/camera/"])
def test_a_camera_is_named_by_its_path(camera: str):
    assert camera_parameters(camera) == {
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

    def start(
        *arguments: str, file: Path = LAUNCH_FILE, **environment: str
    ) -> tuple[subprocess.Popen, Path]:
        output = tmp_path / f"output{len(processes)}.txt"
        code = "import sys; from ros2cli.cli import main; sys.exit(main())"
        command = [sys.executable, "-c", code, "launch", str(file), *arguments]
        with output.open("w", encoding="utf-8") as stream:
            processes.append(
                subprocess.Popen(
                    command,
                    stdout=stream,
                    stderr=subprocess.STDOUT,
                    env=os.environ | environment,
                )
            )
        return processes[-1], output

    yield start
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)  # SIGTERM would orphan the node
    for process in processes:
        try:
            process.wait(timeout=20.0)
        except subprocess.TimeoutExpired:
            process.kill()


#: Stands for RViz: keeps its command line and waits to be ended.
FAKE_RVIZ = """#!{python}
import json, os, sys, time
path = os.path.join({folder!r}, f"rviz_{{os.getpid()}}.json")
with open(path + ".part", "w") as file:
    json.dump(sys.argv, file)
os.rename(path + ".part", path)
try:
    time.sleep(120)
except KeyboardInterrupt:
    pass
"""


class Rviz(NamedTuple):
    """What an RViz was started with."""

    config: dict
    namespace: str
    remappings: dict[str, str]
    use_sim_time: bool

    @property
    def topics(self) -> dict[str, str]:
        """The topic of each display."""
        displays = self.config["Visualization Manager"]["Displays"]
        return {d["Name"]: d["Topic"]["Value"] for d in displays if "Topic" in d}

    @property
    def fixed_frame(self) -> str:
        return self.config["Visualization Manager"]["Global Options"]["Fixed Frame"]


@pytest.fixture
def rviz(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Puts a program in RViz's place; gives the ones that were started."""
    prefix = tmp_path / "prefix"
    marker = prefix / "share" / "ament_index" / "resource_index" / "packages" / "rviz2"
    program = prefix / "lib" / "rviz2" / "rviz2"
    for path in (marker, program):
        path.parent.mkdir(parents=True)
    marker.touch()
    program.write_text(FAKE_RVIZ.format(python=sys.executable, folder=str(tmp_path)))
    program.chmod(0o755)
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(prefix), prepend=os.pathsep)

    def started(count: int = 1) -> list[Rviz]:
        wait_until(lambda: len(list(tmp_path.glob("rviz_*.json"))) >= count, 30.0)
        found = []
        for path in sorted(tmp_path.glob("rviz_*.json")):
            words = json.loads(path.read_text(encoding="utf-8"))
            rules = dict(b.split(":=") for a, b in itertools.pairwise(words) if a == "-r")
            parameters = next(b for a, b in itertools.pairwise(words) if a == "--params-file")
            found.append(
                Rviz(
                    yaml.safe_load(Path(words[words.index("-d") + 1]).read_text(encoding="utf-8")),
                    rules.pop("__ns", "/"),
                    rules,
                    "use_sim_time: true" in Path(parameters).read_text(encoding="utf-8"),
                )
            )
        assert len(found) == count
        return sorted(found, key=lambda each: each.namespace)

    return started


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

    names = ["cloud_names", "clouds.cloud.topic", "fixed_frame", "preset", "use_sim_time"]
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


#: Arguments that cannot be used, and what the one line of the refusal says.
REFUSED = [
    (["voxel_size:=abc"], ["voxel_size: got 'abc'", "voxel_size:=abc"]),
    (["voxel_size:=50"], ["voxel_size: got 50.0, expected 0 to 10 m", "voxel_size:=50"]),
    (["preset:=outdor"], ["preset: got 'outdor', expected one of indoor, outdoor"]),
    (["cloud_topic:=/velo-dyne"], ["got '/velo-dyne'", "cloud_topic:=/velo-dyne"]),
    (["cloud_topic:=/1points"], ["got '/1points'", "cloud_topic:=/1points"]),
    (["camera:=my-cam"], ["camera: got 'my-cam', expected a name such as camera"]),
    (["camera:=/"], ["camera: got '/', expected a name such as camera"]),
    (["camera:=1cam"], ["camera: got '1cam', expected a name such as camera"]),
    (["enclave:=concerto"], ["enclave: got 'concerto', expected a name such as /concerto"]),
    (["rviz:=true", "rviz_config:=/no.rviz"], ["rviz_config: got '/no.rviz', expected a file"]),
    (["namespace:=a-b"], ["namespace: got 'a-b'"]),
    (["rviz:=maybe"], ["rviz: got 'maybe', expected true or false"]),
    (["autostart:=1"], ["autostart: got '1', expected true or false"]),
    (["use_sim_time:=on"], ["use_sim_time: got 'on', expected true or false"]),
    (["respawn:=never"], ["respawn: got 'never', expected true or false"]),
    (["log_level:=loud"], ["log_level: got 'loud', expected one of debug"]),
    (["params_file:=/nowhere/x.yaml"], ["params_file: got '/nowhere/x.yaml'"]),
    (["params_file:=broken.yaml"], ["broken.yaml, line 3: expected ',' or ']'"]),
    (["params_file:=wrong.yaml"], ["rate: got 'fast'", "in wrong.yaml"]),
]


@pytest.mark.parametrize(("arguments", "texts"), REFUSED, ids=lambda value: str(value[0]))
def test_an_argument_that_cannot_be_used_starts_nothing(
    ros2_launch, tmp_path, monkeypatch, arguments, texts
):
    monkeypatch.chdir(tmp_path)
    Path("broken.yaml").write_text("/**:\n  ros__parameters:\n    rate: [1", encoding="utf-8")
    Path("wrong.yaml").write_text(
        "/**:\n  ros__parameters:\n    rate: fast\n    voxle_size: 0.1\n", encoding="utf-8"
    )
    process, output = ros2_launch(*arguments)
    assert process.wait(timeout=30.0) == 1
    text = output.read_text(encoding="utf-8")
    (error,) = (line for line in text.splitlines() if "[ERROR]" in line)
    assert all(each in error for each in texts)
    assert "process started" not in text
    assert "Traceback" not in text
    if "wrong.yaml" in arguments[0]:
        assert "voxle_size in wrong.yaml has no effect" in text
        assert "did you mean voxel_size?" in text


def test_a_misspelt_argument_is_reported(ros2_launch):
    process, output = ros2_launch("cloud_topc:=/points", "rviz:=no")
    assert process.wait(timeout=30.0) == 1
    assert "did you mean cloud_topic?" in output.read_text(encoding="utf-8")


def test_a_file_in_the_home_directory_is_found(ros2_launch, tmp_path, rviz):
    (tmp_path / "x.yaml").write_text(
        "/robot1/concerto:\n  ros__parameters:\n    fixed_frame: map\n    autostart: false\n"
        "    use_sim_time: true\n    clouds: [front]\n    clouds.front.topic: points\n",
        encoding="utf-8",
    )
    arguments = ("params_file:=~/x.yaml", "namespace:=robot1", "rviz:=True")
    _, output = ros2_launch(*arguments, HOME=str(tmp_path))
    (one,) = rviz()
    assert one.fixed_frame == "map"
    assert one.topics["Input front"] == "/robot1/points"
    assert one.topics["Similarity"] == "/robot1/concerto/similarity"
    assert one.use_sim_time
    assert "expected cloud_names" in output.read_text(encoding="utf-8")


def test_each_of_two_robots_has_its_own_topics(ros2_launch, rviz):
    for name in ("robot1", "robot2"):
        ros2_launch(f"namespace:={name}", "cloud_topic:=points", "autostart:=false", "rviz:=true")
    views = rviz(count=2)
    assert [view.namespace for view in views] == ["/robot1", "/robot2"]
    for view in views:
        assert set(view.topics.values()) == {
            f"{view.namespace}/points",
            *(
                f"{view.namespace}/concerto/{name}"
                for name in (
                    "labels",
                    "pca",
                    "similarity",
                    "object_markers",
                    "found_markers",
                    "legend",
                )
            ),
        }


#: Another launch file that includes ours, as those of robots do.
AROUND = """
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, GroupAction, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import PushRosNamespace, SetParameter, SetRemap

def generate_launch_description():
    ours = IncludeLaunchDescription(
        PythonLaunchDescriptionSource({file!r}),
        launch_arguments={{
            "params_file": {params!r},
            "cloud_topic": "points",
            "namespace": "lidar",
            "rviz": LaunchConfiguration("rviz"),
            "autostart": "False",
        }}.items(),
    )
    robots = [
        GroupAction([
            PushRosNamespace(name),
            SetParameter("use_sim_time", True),
            SetParameter("fixed_frame", name + "/odom"),
            SetRemap("/tf", "tf"),
            ours,
        ])
        for name in ("robot1", "robot2")
    ]
    return LaunchDescription([DeclareLaunchArgument("rviz", default_value="True"), *robots])
"""


def test_another_launch_file_may_include_it(ros2_launch, ros_context, tmp_path, rviz):
    import rclpy
    from rcl_interfaces.srv import GetParameters

    params = tmp_path / "robot.yaml"
    params.write_text("/**:\n  ros__parameters:\n    rate: 2.0\n", encoding="utf-8")
    around = tmp_path / "robots.launch.py"
    around.write_text(AROUND.format(file=str(LAUNCH_FILE), params=str(params)), encoding="utf-8")
    _, output = ros2_launch(file=around)
    views = rviz(count=2)
    assert [view.namespace for view in views] == ["/robot1/lidar", "/robot2/lidar"]
    for view in views:
        assert view.topics["Input cloud"] == f"{view.namespace}/points"
        assert view.fixed_frame == f"{view.namespace.split('/')[1]}/odom"
        assert view.use_sim_time
        assert view.remappings["/tf"] == "tf"

    node = rclpy.create_node("test_launch", context=ros_context)
    request = GetParameters.Request(names=["use_sim_time", "fixed_frame", "rate"])
    answers = []

    def answered() -> bool:
        answer = ask(node, GetParameters, "/robot2/lidar/concerto/get_parameters", request)
        answers.extend(answer.values if answer else [])
        return bool(answers)

    assert wait_until(answered, 60.0), output.read_text(encoding="utf-8")
    node.destroy_node()
    assert answers[0].bool_value
    assert answers[1].string_value == "robot2/odom"
    assert answers[2].double_value == 2.0


def test_arguments_have_precedence_over_every_key_of_the_file(ros2_launch, rviz, tmp_path):
    """rclpy applies /** after /concerto where that comes first, whatever the order of files."""
    file = tmp_path / "robot.yaml"
    file.write_text(
        "/concerto:\n  ros__parameters:\n    rate: 2.0\n    autostart: false\n"
        "/**:\n  ros__parameters:\n    fixed_frame: map\n",
        encoding="utf-8",
    )
    _, output = ros2_launch(f"params_file:={file}", "fixed_frame:=odom_local", "rviz:=true")
    (one,) = rviz()
    assert one.fixed_frame == "odom_local"
    (given,) = (tmp_path / "log").rglob("concerto.yaml")
    assert yaml.safe_load(given.read_text(encoding="utf-8")) == {
        "/concerto": {
            "ros__parameters": {"rate": 2.0, "autostart": False, "fixed_frame": "odom_local"}
        }
    }


def test_a_configuration_of_ones_own_is_used(ros2_launch, rviz, tmp_path):
    own = tmp_path / "own.rviz"
    own.write_text("{Visualization Manager: {Displays: []}}", encoding="utf-8")
    ros2_launch("rviz:=true", f"rviz_config:={own}", "autostart:=false")
    (one,) = rviz()
    assert one.config == {"Visualization Manager": {"Displays": []}}


def test_a_node_that_died_is_started_again(ros2_launch):
    """A dead CUDA context ends the process with an exit status; only a new one computes again."""
    process, output = ros2_launch("autostart:=false")

    def started() -> list[int]:
        return [int(pid) for pid in re.findall(r"started with pid \[(\d+)\]", output.read_text())]

    assert wait_until(started, 30.0)
    os.kill(started()[0], signal.SIGKILL)
    assert wait_until(lambda: len(started()) == 2, 20.0)
    process.send_signal(signal.SIGINT)
    process.wait(timeout=30.0)
    assert len(started()) == 2


def test_a_node_may_be_left_dead(ros2_launch):
    process, output = ros2_launch("autostart:=false", "respawn:=false")
    assert wait_until(lambda: "started with pid" in output.read_text(), 30.0)
    pid = int(re.search(r"started with pid \[(\d+)\]", output.read_text())[1])
    os.kill(pid, signal.SIGKILL)
    process.wait(timeout=30.0)  # nothing is left to launch
    assert output.read_text().count("started with pid") == 1


@pytest.mark.skipif(shutil.which("rviz2") is not None, reason="RViz is installed")
def test_without_rviz_nothing_is_left_behind(ros2_launch):
    process, output = ros2_launch("rviz:=true")
    assert process.wait(timeout=30.0) == 1
    text = output.read_text(encoding="utf-8")
    assert "package 'rviz2' not found" in text
    assert "process started" not in text
