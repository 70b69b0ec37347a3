# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The node around the encoder: inference stages, publishing, start-up, and latency end to end."""

from __future__ import annotations

import contextlib
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from benchmarks.intake import Sensors
from benchmarks.measure import percentiles
from concerto_ros.labels.label_set import LabelSet
from concerto_ros.labels.packed_cloud import CloudStyle, pack_prediction
from concerto_ros.labels.prediction import Prediction
from concerto_ros.pipeline import SemanticPipeline
from concerto_ros.sensors.frame import Frame
from concerto_ros.settings.settings import Settings

RUNS = 10

#: Points of a published cloud.
POINTS = 100_000

#: Seconds to wait for the node to come up, and for its first labels.
START_TIMEOUT = 120.0


def inference_stages() -> list[dict[str, float]]:
    """Milliseconds of each stage in each run: the bundled demo model on one view of a room."""
    whole = Settings.from_mapping({"inference.region": "map"})  # each run predicts all of it
    pipeline = SemanticPipeline.from_settings(whole)
    sensors = Sensors()
    frame = Frame(points=sensors.points, stamp=1, frame_id="odom", colors=sensors.colors)
    pipeline.insert(frame, np.zeros(3))
    snapshot = pipeline.snapshot()
    pipeline.infer(snapshot)
    return [pipeline.infer(snapshot).stage_ms for _ in range(RUNS)]


def publishing() -> list[float]:
    """Milliseconds to build and publish a labelled cloud, without subscribers."""
    import rclpy
    from sensor_msgs.msg import PointCloud2

    from concerto_ros.ros.outputs.messages import cloud_message, make_header

    random = np.random.default_rng(0)
    labels = LabelSet.load("scannet20")
    prediction = Prediction(
        points=random.random((POINTS, 3), np.float32),
        label=random.integers(0, len(labels), POINTS, np.uint8),
        confidence=random.random(POINTS, np.float32),
        entropy=random.random(POINTS, np.float32),
        pca_rgb=np.zeros((POINTS, 3), np.uint8),
        classes=labels.classes,
        model="",
        stamp=1,
        stage_ms={},
    )
    spent = []
    with graph():
        node = rclpy.create_node("publisher")
        output = node.create_publisher(PointCloud2, "labels", 1)
        for _ in range(3 * RUNS):
            start = time.perf_counter()
            packed = pack_prediction(prediction, CloudStyle(labels.palette))
            output.publish(cloud_message(packed, make_header("odom", 1)))
            spent.append(1e3 * (time.perf_counter() - start))
        node.destroy_node()
    return spent[3:]


def help_seconds() -> list[float]:
    """Seconds of the node's executable with ``--help``."""
    spent = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run(node_command("--help"), check=True, stdout=subprocess.DEVNULL)
        spent.append(time.perf_counter() - start)
    return spent


def latency(feed: str, run_seconds: float, *parameters: str) -> dict[str, object]:
    """Latency of the node with the bundled demo model and a sensor, ``cloud`` or ``rgbd``.

    Node and sensor are separate processes. Latency is from the sensor's stamp to the
    publication of the labels.

    Args:
        feed: The sensor.
        run_seconds: Seconds of which the last two thirds are measured.
        parameters: More of the node, ``name:=value``.
    """
    import rclpy
    from rclpy.qos import DurabilityPolicy, QoSProfile
    from sensor_msgs.msg import PointCloud2

    from concerto_ros.msg import PerceptionStatus, SemanticClasses
    from concerto_ros.ros.middleware.spinning import spinning

    ready = threading.Event()
    statuses: list[PerceptionStatus] = []
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    with graph():
        viewer = rclpy.create_node("viewer")
        topic = "/concerto"
        viewer.create_subscription(
            SemanticClasses, f"{topic}/classes", lambda _: ready.set(), latched
        )
        viewer.create_subscription(PointCloud2, f"{topic}/labels", lambda _: None, 1)
        viewer.create_subscription(PerceptionStatus, f"{topic}/status", statuses.append, 50)
        start = time.perf_counter()
        command = node_command(*_parameters(feed, *parameters))
        with spinning(viewer), process(command) as node:
            wait(ready.is_set, "the node")
            started = time.perf_counter() - start
            with process([sys.executable, "-m", "benchmarks.feed", feed]):
                wait(lambda: any(one.inferences for one in statuses), "the first labels")
                time.sleep(run_seconds / 3)  # the map fills and memory settles
                statuses.clear()
                before = memory(node.pid)
                time.sleep(run_seconds * 2 / 3)
                after = memory(node.pid)
        viewer.destroy_node()
    return {"feed": feed, "start_seconds": started} | _summary(statuses, before, after)


def wait(condition: Callable[[], bool], what: str) -> None:
    """Wait until ``condition`` is true; ValueError after ``START_TIMEOUT`` seconds."""
    deadline = time.monotonic() + START_TIMEOUT
    while not condition():
        if time.monotonic() > deadline:
            raise ValueError(f"timed out after {START_TIMEOUT:g} s of waiting for {what}")
        time.sleep(0.02)


def _summary(statuses: list, before: float, after: float) -> dict[str, object]:
    by_count = {status.inferences: status for status in statuses if status.inferences}
    if len(by_count) < 2:
        raise ValueError(f"{len(by_count)} inferences in the time, expected at least 2")
    first, last = statuses[0], statuses[-1]
    stages: dict[str, list[float]] = {}
    for status in by_count.values():
        for name, value in zip(status.stage_names, status.stage_ms, strict=True):
            stages.setdefault(name, []).append(value)
    return {
        "latency_milliseconds": percentiles([s.latency_ms for s in by_count.values()]),
        "inferences": len(by_count),
        "voxels": last.voxels,
        "precision": last.precision,
        "frames_fused": last.frames_fused - first.frames_fused,
        "frames_dropped": last.frames_dropped - first.frames_dropped,
        "stage_milliseconds": {name: statistics.median(v) for name, v in stages.items()},
        "memory_megabytes": after,
        "memory_growth_megabytes": after - before,
    }


def _parameters(feed: str, *more: str) -> list[str]:
    inputs = {
        "cloud": {"cloud_names": "[front]", "clouds.front.topic": "/feed/points"},
        "rgbd": {
            "camera_names": "[front]",
            "cameras.front.color_topic": "/feed/color",
            "cameras.front.depth_topic": "/feed/depth",
            "cameras.front.info_topic": "/feed/info",
        },
    }[feed]
    given = [*(f"{name}:={text}" for name, text in inputs.items()), *more]
    return ["--ros-args", *(part for one in given for part in ("-p", one))]


def node_command(*arguments: str) -> list[str]:
    """The command that runs the node."""
    return [sys.executable, "scripts/perception_node", *arguments]


@contextlib.contextmanager
def graph() -> Iterator[None]:
    """Initialise ``rclpy`` with a domain that is limited to this machine."""
    from concerto_ros.ros.middleware.fastdds_profile import ros_session

    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))
    with ros_session():
        yield


@contextlib.contextmanager
def process(command: list[str]) -> Iterator[subprocess.Popen]:
    """Run a program, and interrupt it at the end."""
    started = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        yield started
    finally:
        interrupt(started)


def interrupt(started: subprocess.Popen) -> None:
    """End a program as Ctrl-C does, and kill it if it does not end within 10 s."""
    started.send_signal(signal.SIGINT)
    try:
        started.wait(10.0)
    except subprocess.TimeoutExpired:
        started.kill()


def memory(pid: int) -> float:
    """Resident memory of a process, MB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
