# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs the main job with every part in a process of its own, looks on, and writes what it saw."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import open3d as o3d
import rclpy
from PIL import Image as Picture
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import PointCloud2

from concerto_ros.cloud.bag import open_bag
from concerto_ros.cloud.point_cloud2 import decode_point_cloud
from concerto_ros.cloud.render import height_colors, open_view, render_cloud
from concerto_ros.cloud.voxel_map import Snapshot, VoxelMap
from concerto_ros.msg import PerceptionStatus, SemanticClasses
from concerto_ros.ptv3.checkpoint import DEMO
from concerto_ros.ros.intake import Intake
from concerto_ros.ros.recorder import Recorder
from concerto_ros.ros.sources import CameraSource, CloudSource
from concerto_ros.ros.statistics import Statistics
from concerto_ros.ros.transforms import listen
from concerto_ros.ros.transport import use_transport_profile
from concerto_ros.settings import CameraInput, CloudInput, Settings

LABELS, PCA, CLASSES, STATUS = (
    "/concerto/labels",
    "/concerto/pca",
    "/concerto/classes",
    "/concerto/status",
)

#: Seconds to wait for the node to come up, and for its last answer after the input has ended.
START_TIMEOUT, END_TIMEOUT = 120.0, 120.0

#: Without a new message for so long, the node has answered everything, seconds.
QUIET = 2.0

#: A bag shorter than this is played slower, so that a person's machine keeps up, seconds.
SHORTEST_PLAY = 5.0

#: Metres. The stand-in is not trained for the preset's 2 cm, and a whole room of those takes two
#: cores seconds.
DEMO_VOXEL_SIZE = 0.04

#: Most classes named in the strip below the labels.
LEGEND_SIZE = 12


@dataclass
class Plan:
    """What is played, and how the node is to listen."""

    command: list[str]
    settings: dict
    clouds: list[CloudInput] = field(default_factory=list)
    cameras: list[CameraInput] = field(default_factory=list)
    sim_time: bool = False
    rate: float = 1.0
    why: list[str] = field(default_factory=list)

    def node_arguments(self) -> list[str]:
        """The ``--ros-args`` of the perception node."""
        values = dict(self.settings)
        for about in self.clouds:
            values[f"clouds.{about.name}.topic"] = about.topic
        for about in self.cameras:
            for key in ("color_topic", "depth_topic", "info_topic", "depth_info_topic"):
                values[f"cameras.{about.name}.{key}"] = getattr(about, key)
        values["clouds"] = [about.name for about in self.clouds] or [""]
        values["cameras"] = [about.name for about in self.cameras] or [""]
        values["use_sim_time"] = self.sim_time
        return _ros_arguments(**values)


def _ros_arguments(**parameters) -> list[str]:
    arguments = ["--ros-args"]
    for name, value in parameters.items():
        arguments += ["-p", f"{name}:={_as_yaml(value)}"]
    return arguments


def _as_yaml(value) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_as_yaml(entry) for entry in value) + "]"
    if isinstance(value, str):
        return f"'{value}'"
    return str(value).lower() if isinstance(value, bool) else str(value)


def simulated(seconds: float, seed: int) -> Plan:
    """A robot that drives through a furnished room."""
    return Plan(
        # As many pictures as the node takes: each costs as much as labelling a small cloud.
        command=["simulate", *_ros_arguments(duration=float(seconds), seed=seed, rate=5.0)],
        settings={"fixed_frame": "odom", "robot_frame": "base_link"},
        cameras=[
            CameraInput(
                "camera",
                color_topic="/camera/color/image_raw",
                depth_topic="/camera/aligned_depth_to_color/image_raw",
                info_topic="/camera/color/camera_info",
            )
        ],
        why=[f"simulated robot, room {seed}, {seconds:g} s"],
    )


def recorded(path: Path) -> Plan:
    """A bag; the inputs are found by their types and the fixed frame from the bag's TF."""
    with open_bag(path) as bag:
        inputs = bag.inputs()
        duration = (bag.end_ns - bag.start_ns) / 1e9
    rate = min(1.0, max(duration, 0.01) / SHORTEST_PLAY)
    why = list(inputs.why)
    if rate < 1:
        why.append(f"the bag lasts {duration:.2f} s: played at {rate:.3g} times its speed")
    cameras = [
        CameraInput(
            f"camera{i}",
            color_topic=camera.color,
            depth_topic=camera.depth,
            info_topic=camera.info,
            depth_info_topic=camera.depth_info or "",
        )
        for i, camera in enumerate(inputs.cameras)
    ]
    clouds = [CloudInput(f"cloud{i}", topic) for i, topic in enumerate(inputs.clouds)]
    waited = [about.depth_topic for about in cameras] + [about.topic for about in clouds]
    preset = "indoor" if cameras else "outdoor"
    why.append(f"preset {preset}, as the input is {'an RGB-D camera' if cameras else 'a LiDAR'}")
    return Plan(
        # Two subscribers: the node and the viewer.
        command=["play", str(path), "--clock", "--rate", f"{rate:.6g}", "--subscribers", "2"]
        + ["--wait", *waited],
        settings={"fixed_frame": inputs.fixed_frame, "preset": preset, "input_rate": 30.0},
        clouds=clouds,
        cameras=cameras,
        sim_time=True,
        rate=rate,
        why=why,
    )


class InputView:
    """Accumulates the input as the node does, for the picture of it."""

    def __init__(self, settings: Settings):
        self._settings = settings.with_preset()
        self._lock = threading.Lock()
        self.clear()

    def insert(self, frame, robot):
        """As :meth:`SemanticPipeline.insert`."""
        with self._lock:
            return self._map.insert(frame, robot)

    def clear(self) -> None:
        """As :meth:`SemanticPipeline.clear`."""
        self._map = VoxelMap(
            self._settings.voxel_size,
            window_seconds=self._settings.window_seconds,
            radius=self._settings.window_radius,
            max_voxels=self._settings.max_voxels,
        )

    def snapshot(self) -> Snapshot:
        """What was seen."""
        with self._lock:
            return self._map.snapshot()


class Viewer(Node):
    """Records the outputs, counts the stage times and accumulates the input."""

    def __init__(self, plan: Plan, settings: Settings, bag: Path):
        super().__init__(
            "concerto_demo",
            parameter_overrides=[Parameter("use_sim_time", value=plan.sim_time)],
        )
        kinds = {
            LABELS: PointCloud2,
            PCA: PointCloud2,
            CLASSES: SemanticClasses,
            STATUS: PerceptionStatus,
        }
        self.recorder = Recorder(self, bag, kinds, latched={CLASSES})
        self.stages: dict[str, list[float]] = {}
        self.latencies: list[float] = []
        self._seen = 0
        self.create_subscription(PerceptionStatus, STATUS, self._on_status, 50)
        self.input_view = InputView(settings)
        self.sources = [
            *(CloudSource(self, about, settings.window_seconds) for about in plan.clouds),
            *(
                CameraSource(self, about, settings.sync_tolerance, settings.window_seconds)
                for about in plan.cameras
            ),
        ]
        self._intake = Intake(
            self.sources,
            self.input_view,
            listen(self),
            lambda: settings,
            Statistics([source.name for source in self.sources]),
            lambda: None,
            self.get_logger(),
        )
        self._intake.start()

    def close(self) -> None:
        """Stop looking and finish the bag."""
        self._intake.stop()
        self._intake.join(5.0)
        self.recorder.close()

    def _on_status(self, status: PerceptionStatus) -> None:
        if status.inferences == self._seen:
            return
        self._seen = status.inferences
        self.latencies.append(status.latency_ms)
        for name, spent in zip(status.stage_names, status.stage_ms, strict=True):
            self.stages.setdefault(name, []).append(spent)


class Demo:
    """One run; ``options`` are the arguments of ``concerto-ros demo``."""

    def __init__(self, options):
        self._plan = (
            recorded(options.bag) if options.bag else simulated(options.seconds, options.seed)
        )
        self._plan.settings |= {"checkpoint": options.checkpoint, "head": options.head}
        if options.checkpoint == DEMO and not options.bag:
            self._plan.settings["voxel_size"] = DEMO_VOXEL_SIZE
        if options.preset:
            self._plan.settings["preset"] = options.preset
        self._out = Path(options.out)
        self._processes: list[subprocess.Popen] = []

    def run(self) -> int:
        """Play, look on, write; the exit status."""
        for line in self._plan.why:
            print(line)
        self._out.mkdir(parents=True, exist_ok=True)
        bag = self._out / "bag"
        shutil.rmtree(bag, ignore_errors=True)
        _isolate()
        use_transport_profile()
        rclpy.init()
        settings = Settings.from_mapping(self._plan.settings | {"input_rate": 2.0}).with_preset()
        viewer = Viewer(self._plan, settings, bag)
        executor = SingleThreadedExecutor()
        executor.add_node(viewer)
        spinner = threading.Thread(target=_spin, args=(executor,), daemon=True)
        spinner.start()
        try:
            node = self._start(["node", *self._plan.node_arguments()])
            _wait(
                lambda: viewer.recorder.newest(CLASSES),
                START_TIMEOUT,
                node,
                "the node to activate",
            )
            player = self._start(self._plan.command)
            player.wait()
            if player.returncode:
                raise ValueError(f"{self._plan.command[0]} ended with status {player.returncode}")
            _wait(lambda: _is_answered(viewer), END_TIMEOUT, node, "the last labels")
            viewer.close()
            self._write(viewer)
        finally:
            self._stop_processes()
            executor.shutdown()
            rclpy.try_shutdown()
            spinner.join(5.0)
        return 0

    def _start(self, command: list[str]) -> subprocess.Popen:
        process = subprocess.Popen([sys.executable, "-m", "concerto_ros.cli", *command])
        self._processes.append(process)
        return process

    def _stop_processes(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        for process in self._processes:
            try:
                process.wait(10.0)
            except subprocess.TimeoutExpired:
                process.kill()

    def _write(self, viewer: Viewer) -> None:
        classes = viewer.recorder.newest(CLASSES)
        labels = decode_point_cloud(viewer.recorder.newest(LABELS))
        pca = decode_point_cloud(viewer.recorder.newest(PCA))
        seen = viewer.input_view.snapshot().with_normals()
        colored = seen.has_color.any()
        colors = seen.colors.round().astype(np.uint8) if colored else height_colors(seen.points)
        pictures = {
            "input": (
                seen.points,
                colors,
                "input" if colored else "input, coloured by height",
                (),
            ),
            "labels": (
                labels.points,
                labels.colors,
                f"labels: {classes.model}",
                _legend(classes, labels.colors),
            ),
            "pca": (pca.points, pca.colors, f"feature PCA: {classes.model}", ()),
        }
        view = open_view(seen.points, seen.normals)
        for name, (points, rgb, title, legend) in pictures.items():
            shown = _faces(points, view[0], seen)
            picture = render_cloud(
                points[shown],
                rgb[shown],
                view_from=view,
                # A LiDAR's rings are farther apart than its voxels are wide.
                point_size=seen.voxel_size if colored else None,
                title=title,
                legend=legend,
            )
            Picture.fromarray(picture).save(self._out / f"{name}.png")
        print(_table(viewer, classes.model, self._plan.rate))
        written = [self._out / f"{name}.png" for name in pictures] + [self._out / "bag"]
        print("wrote " + ", ".join(str(path) for path in written))


def _isolate() -> None:
    """Keep to this machine and, unless a domain is chosen, away from other ROS graphs on it."""
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    if "ROS_DOMAIN_ID" not in os.environ:
        os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 100)
        print(
            f"to look on in another terminal: export ROS_DOMAIN_ID={os.environ['ROS_DOMAIN_ID']}"
        )


def _spin(executor: SingleThreadedExecutor) -> None:
    with contextlib.suppress(ExternalShutdownException):
        executor.spin()


def _wait(condition, timeout: float, node: subprocess.Popen, what: str) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        if node.poll() is not None:
            raise ValueError(f"the node ended with status {node.returncode}")
        if time.monotonic() > deadline:
            raise ValueError(f"waited {timeout:g} s for {what}")
        time.sleep(0.1)


def _is_answered(viewer: Viewer) -> bool:
    """Whether labels and colours of the newest fused frame have come, and nothing new since."""
    counts = dict(viewer.recorder.counts)
    time.sleep(QUIET)
    if viewer.recorder.counts[LABELS] != counts[LABELS]:
        return False
    newest = [viewer.recorder.newest(topic) for topic in (LABELS, PCA, STATUS)]
    if any(message is None for message in newest):
        return False
    stamps = {(m.header.stamp.sec, m.header.stamp.nanosec) for m in newest}
    return len(stamps) == 1


def _faces(points: np.ndarray, eye: np.ndarray, seen: Snapshot) -> np.ndarray:
    """Which points lie on a surface whose seen side shows to the eye.

    The others are walls seen from behind, which would hide the room. The surface is that of the
    nearest voxel that this process saw.
    """
    search = o3d.core.nns.NearestNeighborSearch(o3d.core.Tensor(seen.points))
    search.knn_index()
    nearest = search.knn_search(o3d.core.Tensor(points), 1)[0].numpy()[:, 0]
    away = np.einsum("ij,ij->i", seen.normals[nearest], eye - points) < 0
    return ~away


def _legend(classes: SemanticClasses, rgb: np.ndarray) -> list[tuple[str, tuple[int, int, int]]]:
    """Name and colour of the classes in the picture, the most frequent first."""
    found, counts = np.unique(rgb, axis=0, return_counts=True)
    frequency = {tuple(color): count for color, count in zip(found.tolist(), counts, strict=True)}
    entries = []
    for entry in classes.classes:
        color = tuple(round(255 * c) for c in (entry.color.r, entry.color.g, entry.color.b))
        if color in frequency:
            entries.append((entry.name, color))
    return sorted(entries, key=lambda entry: -frequency[entry[1]])[:LEGEND_SIZE]


def _table(viewer: Viewer, model: str, rate: float) -> str:
    """Stage times over the run and what became of the frames."""
    status = viewer.recorder.newest(STATUS)
    lines = [
        "",
        f"model {model}, {status.device}, {status.precision}",
        f"{'stage':<12}{'median ms':>12}{'max ms':>12}",
    ]
    for name, spent in viewer.stages.items():
        lines.append(f"{name:<12}{statistics.median(spent):>12.1f}{max(spent):>12.1f}")
    if viewer.latencies:
        # By the clock of a bag that is played slower, less time has passed.
        spent = [latency / rate for latency in viewer.latencies]
        lines.append(f"{'latency':<12}{statistics.median(spent):>12.1f}{max(spent):>12.1f}")
    drops = dict(zip(status.drop_reasons, status.drop_counts, strict=True))
    dropped = ", ".join(f"{count} {reason}" for reason, count in drops.items()) or "none"
    lines += [
        f"frames: {status.frames_received} received, {status.frames_fused} fused;"
        f" dropped: {dropped}",
        f"voxels in the last snapshot: {status.voxels}; predictions: {status.inferences}",
        "",
    ]
    return "\n".join(lines)
