# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The command line as a user meets it: processes, files, exit status."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from not_finite import overflowing_head
from PIL import Image
from strange_head import strange_head

from concerto_ros.cli import COMMANDS, main, module_of
from concerto_ros.cli.segment import upright
from concerto_ros.sensors.cloud_files import read_cloud
from concerto_ros.sensors.ply import read_ply

COMMAND = [sys.executable, "-m", "concerto_ros.cli"]
DEADLINE = 90.0


def write_npz(path, size=3000):
    random = np.random.default_rng(0)
    points = random.uniform(0, 1, (size, 3)).astype(np.float32)
    points[: size // 2, 2] = 0
    np.savez(path, xyz=points, rgb=random.integers(0, 256, (size, 3)).astype(np.uint8))
    return points


def start(*arguments, **options):
    return subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )


def finish(process):
    """Interrupt like Ctrl-C; the output."""
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=DEADLINE)
    return output


def test_help_lists_every_command(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    assert all(re.search(rf"^ +{name} ", shown, re.MULTILINE) for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(capsys, name):
    with pytest.raises(SystemExit) as stop:
        main([name, "--help"])
    assert stop.value.code == 0
    assert len(capsys.readouterr().out) > 200


def test_an_unknown_option_is_refused(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["segment", "x.ply", "--colour"])
    assert stop.value.code == 2
    assert "--colour" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "former", "present", "name", "value"),
    [
        (["bag", "IN", "OUT"], "--part-seconds", "--segment-seconds", "segment_seconds", 3.0),
        (["evaluate", "DATA"], "--phases", "--grid-offsets", "grid_offsets", 4),
        (["evaluate", "DATA"], "--accumulate", "--frames-per-scan", "frames_per_scan", 5),
        (
            ["train", "head", "DATA"],
            "--accumulate-batches",
            "--gradient-accumulation",
            "gradient_accumulation",
            2,
        ),
    ],
)
def test_former_names_of_options_work_with_a_notice(
    monkeypatch, capsys, command, former, present, name, value
):
    parsed = []
    module = module_of(command[0])
    monkeypatch.setattr(module, "run", lambda arguments: parsed.append(arguments) or 0)
    assert main([*command, present, str(value)]) == 0
    assert capsys.readouterr().err == ""
    assert main([*command, former, str(value)]) == 0
    assert capsys.readouterr().err == f"{former} is now called {present}\n"
    assert getattr(parsed[0], name) == getattr(parsed[1], name) == value
    with pytest.raises(SystemExit):
        main([*command, "--help"])
    assert former not in re.findall(r"--[a-z-]+", capsys.readouterr().out)


def test_segment_labels_a_file(tmp_path, capsys):
    points = write_npz(tmp_path / "scan.npz")
    assert main(["segment", str(tmp_path / "scan.npz"), "-o", str(tmp_path / "out")]) == 0
    labelled = read_cloud(tmp_path / "out" / "scan_labels.ply")
    assert labelled.points == pytest.approx(points, abs=1e-5)
    header = (tmp_path / "out" / "scan_labels.ply").read_bytes()[:600]
    assert b"label" in header and b"confidence" in header and b"demo" in header
    for name in ("scan_labels.png", "scan_pca.png"):
        assert Image.open(tmp_path / "out" / name).size == (1280, 720)
    said = capsys.readouterr().out
    assert "model demo\n" in said and f"no label: 0 of {len(points)} points\n" in said


def test_segment_of_a_georeferenced_file_says_what_has_no_label_and_why(tmp_path, capsys):
    points = write_npz(tmp_path / "near.npz").astype(np.float64)
    far = points + [500_000.123, 4_649_776.5, 300]
    odd = [[0, 0, 0], [np.nan, 0, 0]]
    np.savez(tmp_path / "utm.npz", points=np.vstack([far, odd]))
    assert main(["segment", str(tmp_path / "utm.npz")]) == 0
    labelled = read_ply(tmp_path / "utm_labels.ply")
    written = np.stack([labelled[axis] for axis in "xyz"], axis=1)
    np.testing.assert_array_equal(written, np.vstack([far, odd[:1]]))
    assert np.flatnonzero(labelled["label"] == 255).tolist() == [len(far)]
    assert (
        f"no label: 1 of {len(far) + 1} points (1 far from the others,"
        " 1 more not finite and left out of the results)\n" in capsys.readouterr().out
    )


def test_segment_says_how_many_points_have_no_label_because_of_the_model(tmp_path, capsys):
    write_npz(tmp_path / "scan.npz", 300)
    some = str(overflowing_head(tmp_path / "some.pth", 1e38, label=5))
    arguments = ["segment", str(tmp_path / "scan.npz"), "--precision", "float32", "--head"]
    assert main([*arguments, some]) in (0, 1)
    assert re.search(r"\d+ points have no label: .*not finite", capsys.readouterr().out)
    assert main([*arguments, str(overflowing_head(tmp_path / "all.pth", 3e38))]) == 1
    assert "300 points have no label" in capsys.readouterr().out


def test_segment_says_that_a_scan_does_not_look_like_the_training(tmp_path, capsys):
    write_npz(tmp_path / "scan.npz", 300)
    head = str(strange_head(tmp_path / "head.pth"))
    assert main(["segment", str(tmp_path / "scan.npz"), "--head", head]) == 0
    said = capsys.readouterr().out
    assert "no label: 0 of 300 points" in said
    assert "does not look like what the model was trained on" in said and "100%" in said
    arguments = ["segment", str(tmp_path / "scan.npz"), "--unfamiliar", "unlabel", "--head", head]
    assert main(arguments) == 0
    unlabelled = "no label: 300 of 300 points (300 not like what the model was trained on)"
    assert unlabelled in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "wanted"), [(None, "scan.ply"), (b"", "scan.ply"), (b"ply\nnonsense", "scan.ply")]
)
def test_segment_names_a_file_it_cannot_read(tmp_path, capsys, content, wanted):
    path = tmp_path / "scan.ply"
    if content is not None:
        path.write_bytes(content)
    assert main(["segment", str(path)]) == 1
    said = capsys.readouterr().err
    assert wanted in said and len(said.splitlines()) == 1


@pytest.mark.parametrize("up", ["x", "y", "z", "-x", "-y", "-z"])
def test_upright_turns_the_named_axis_to_z(up):
    turn = upright(up)
    axis = np.zeros(3)
    axis["xyz".index(up[-1])] = -1.0 if up[0] == "-" else 1.0
    assert turn @ axis == pytest.approx([0, 0, 1])
    assert turn @ turn.T == pytest.approx(np.eye(3)) and np.linalg.det(turn) > 0


def test_upright_knows_optical_axes():
    assert upright("-y") @ [0, 0, 1] == pytest.approx([1, 0, 0])  # forward (REP-103)
    assert upright("-y") @ [1, 0, 0] == pytest.approx([0, -1, 0])  # right


def write_bag(path, messages=20):
    """A small bag of one cloud topic at 20 Hz."""
    from rosbags.rosbag2 import Writer
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS2_JAZZY)
    types = store.types
    random = np.random.default_rng(0)
    with Writer(path, version=9) as writer:
        connection = writer.add_connection(
            "/points", "sensor_msgs/msg/PointCloud2", typestore=store
        )
        for i in range(messages):
            stamp = 1_700_000_000_000_000_000 + i * 50_000_000
            points = random.uniform((1, -1, 0), (3, 1, 1), (400, 3)).astype(np.float32)
            message = types["sensor_msgs/msg/PointCloud2"](
                header=types["std_msgs/msg/Header"](
                    stamp=types["builtin_interfaces/msg/Time"](
                        sec=stamp // 10**9, nanosec=stamp % 10**9
                    ),
                    frame_id="lidar",
                ),
                height=1,
                width=len(points),
                fields=[
                    types["sensor_msgs/msg/PointField"](
                        name=name, offset=4 * i, datatype=7, count=1
                    )
                    for i, name in enumerate("xyz")
                ],
                is_bigendian=False,
                point_step=12,
                row_step=12 * len(points),
                data=points.view(np.uint8).reshape(-1),
                is_dense=True,
            )
            raw = store.serialize_cdr(message, "sensor_msgs/msg/PointCloud2")
            writer.write(connection, stamp, raw)


def test_play_needs_a_bag(tmp_path, capsys, ros_domain):
    assert main(["play", str(tmp_path / "none")]) == 1
    assert "none" in capsys.readouterr().err


def test_play_publishes_every_message_with_its_timing(tmp_path, ros):
    from rosgraph_msgs.msg import Clock
    from sensor_msgs.msg import PointCloud2

    write_bag(tmp_path / "bag")
    node = ros.create_node("listener")
    arrivals, clocks = [], []
    node.create_subscription(
        PointCloud2, "/points", lambda m: arrivals.append(time.monotonic()), 50
    )
    node.create_subscription(Clock, "/clock", clocks.append, 200)
    player = start("play", str(tmp_path / "bag"), "--rate", "0.5", "--clock", "--wait", "/points")
    end = time.monotonic() + DEADLINE
    while player.poll() is None and time.monotonic() < end:
        ros.spin_once(node, timeout_sec=0.05)
    assert player.returncode == 0, player.stdout.read()
    while len(arrivals) < 20 and time.monotonic() < end:
        ros.spin_once(node, timeout_sec=0.05)
    node.destroy_node()
    assert len(arrivals) == 20
    # 19 gaps of 50 ms at half speed; the machine may add to it, never take from it.
    assert arrivals[-1] - arrivals[0] > 1.5
    stamps = [clock.clock.sec * 10**9 + clock.clock.nanosec for clock in clocks]
    assert len(stamps) > 50 and stamps == sorted(stamps)


def test_node_and_snapshot_as_processes(tmp_path, ros):
    from node_harness import cloud_message
    from sensor_msgs.msg import PointCloud2

    from concerto_ros.ros.outputs.messages import make_header

    robot = ros.create_node("robot")
    publisher = robot.create_publisher(PointCloud2, "/points", 1)
    points = np.random.default_rng(0).uniform(0.5, 2, (500, 3)).astype(np.float32)
    settings = ("-p", "clouds:=['front']", "-p", "clouds.front.topic:=/points")
    node = start("node", "--ros-args", *settings, "-p", "fixed_frame:=lidar")
    snapshot = start(
        "snapshot",
        "/concerto/labels",
        "/concerto/legend",
        "--out",
        str(tmp_path),
        "--timeout",
        "60",
    )
    end = time.monotonic() + DEADLINE
    while snapshot.poll() is None and time.monotonic() < end:
        stamp = robot.get_clock().now().nanoseconds
        publisher.publish(cloud_message(make_header("lidar", stamp), points))
        time.sleep(0.2)
    robot.destroy_node()
    said = finish(node)
    assert snapshot.returncode == 0, snapshot.stdout.read() + said
    assert node.returncode == 0, said
    assert "Traceback" not in said
    assert Image.open(tmp_path / "concerto_labels.png").size == (1280, 720)
    assert Image.open(tmp_path / "concerto_legend.png").size[0] > 100
    labelled = read_cloud(tmp_path / "concerto_labels.ply")
    assert 0 < len(labelled) <= 500


def test_demo_ends_with_pictures_a_bag_and_a_table(tmp_path, ros_domain):
    from concerto_ros.bags.reader import open_bag

    write_bag(tmp_path / "recording")
    demo = start("demo", "--bag", str(tmp_path / "recording"), "--out", str(tmp_path / "out"))
    output, _ = demo.communicate(timeout=DEADLINE)
    assert demo.returncode == 0, output
    for name in ("input", "labels", "pca"):
        pixels = np.asarray(Image.open(tmp_path / "out" / f"{name}.png"))
        assert pixels.shape == (720, 1280, 3) and len(np.unique(pixels.reshape(-1, 3), axis=0)) > 5
    with open_bag(tmp_path / "out" / "bag") as bag:
        assert {"/concerto/labels", "/concerto/pca", "/concerto/classes"} <= set(bag.topics)
        assert bag.topics["/concerto/labels"].count >= 1
    assert "model demo" in output and "fixed frame is lidar" in output
    for stage in ("decode", "insert", "geometry", "features", "labels", "pca", "latency"):
        assert re.search(rf"^{stage} +[\d.]+ +[\d.]+$", output, re.MULTILINE), output
