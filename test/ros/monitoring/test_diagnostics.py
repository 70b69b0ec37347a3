# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What /diagnostics says of counts, by task."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from diagnostic_msgs.msg import DiagnosticStatus
from std_msgs.msg import Header

from concerto_ros.files import machine_memory
from concerto_ros.labels.label_set import LabelSet
from concerto_ros.mapping.voxel_map import Insertion
from concerto_ros.ros.monitoring import recent_values as window
from concerto_ros.ros.monitoring import statistics
from concerto_ros.ros.monitoring.diagnostics import Activity, diagnostics
from concerto_ros.ros.monitoring.memory_use import MemoryUse
from concerto_ros.ros.monitoring.statistics import IN_A_ROW, Statistics
from concerto_ros.ros.monitoring.status import ModelInfo
from concerto_ros.ros.outputs import classes as class_outputs
from concerto_ros.settings.inputs import CloudInput
from concerto_ros.settings.settings import Settings

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR

MODEL = ModelInfo("demo", True, "cpu", "float32", "torch", "", "demo", "", "Apache-2.0")
PLENTY = MemoryUse(500.0, 600.0, 4000.0, 8000.0, 12, 40)


class Bench:
    """Statistics of one input named front, a clock that stands still, and what is said of them."""

    def __init__(self, monkeypatch):
        self.now = 100.0
        clock = SimpleNamespace(monotonic=lambda: self.now)
        monkeypatch.setattr(statistics, "time", clock)
        monkeypatch.setattr(window, "time", clock)
        self.statistics = Statistics(["front"])
        self.model, self.memory = MODEL, PLENTY
        self.about = CloudInput("front", "/points")
        self.settings = Settings().with_preset()

    def work(self, seconds=4.0, rate=10.0, age=0.05, fused=True, latency_ms=200.0):
        """Messages come for a while, are fused and labelled."""
        for _ in range(round(seconds * rate)):
            self.now += 1 / rate
            self.statistics.received("front", age=age)
            if fused:
                self.statistics.fused("front", 100, Insertion(100), 1, {"insert": 3.0})
                deadline = self.settings.diagnostics.deadline
                self.statistics.inferred(50, latency_ms, {"features": 100.0}, deadline)
        self.now += 0.5 / rate

    def says(self, task):
        """Level, message and values of a task."""
        activity = Activity(
            self.statistics.report(), self.model, self.settings, {"front": self.about}, self.memory
        )
        said = diagnostics("robot/concerto", "active", "computer", activity)
        assert all(entry.hardware_id == "computer" for entry in said)
        found = next(entry for entry in said if entry.name == f"robot/concerto: {task}")
        return found.level, found.message, {entry.key: entry.value for entry in found.values}


@pytest.fixture
def bench(monkeypatch):
    return Bench(monkeypatch)


def test_all_is_well_by_task(bench):
    bench.work()
    tasks = ("input front", "TF", "model", "inference", "compute", "memory", "objects", "outputs")
    assert {task: bench.says(task)[0] for task in ("state", *tasks)} == dict.fromkeys(
        ("state", *tasks), OK
    )


def test_scenes_unlike_the_training_are_a_warning_until_they_are_clearly_alike(bench):
    bench.work()
    raised = []
    # Of 1000, above 30 three times in a row, until below 15.
    for voxels in (0, 40, 40, 25, 40, 40, 40, 20, 40, 10, 20):
        bench.now += 20.0
        logged = bench.statistics.unfamiliar(voxels, 1000)
        level, message, values = bench.says("inference")
        assert values["voxels unfamiliar"] == str(voxels)
        raised.append((level == WARN, logged))
        assert ("does not look like what the model was trained on" in message) == (level == WARN)
    assert [level for level, _ in raised] == [False] * 6 + [True] * 3 + [False] * 2
    assert [logged for _, logged in raised] == [False] * 6 + [True] + [False] * 4


@pytest.mark.parametrize(
    ("preset", "likely"),
    [
        ("indoor", "(indoor model, outdoor scan?)"),
        ("outdoor", "(outdoor model, indoor scan?)"),
    ],
)
def test_the_likely_mix_up_is_named(bench, preset, likely):
    bench.settings = Settings(preset=preset).with_preset()
    bench.work()
    for _ in range(IN_A_ROW):
        bench.statistics.unfamiliar(500, 1000)
    assert likely in bench.says("inference")[1]


def test_an_input_tells_its_rate_and_age_by_the_usual_keys(bench):
    bench.about = replace(bench.about, min_rate=5.0, max_rate=20.0, max_age=0.1)
    bench.work(seconds=8.0, rate=10.0, age=0.05)
    level, _, values = bench.says("input front")
    assert level == OK
    assert float(values["Actual frequency (Hz)"]) == pytest.approx(10, rel=0.03)
    assert values["Events since startup"] == "80"
    assert float(values["Duration of window (s)"]) == pytest.approx(5)
    assert values["Minimum acceptable frequency (Hz)"] == "5"
    assert values["Maximum acceptable frequency (Hz)"] == "20"
    assert values["Latest timestamp delay (s)"] == "0.0500"
    assert values["Latest acceptable timestamp delay (s)"] == "0.1"


@pytest.mark.parametrize(
    ("bound", "words"),
    [
        ({"min_rate": 12.0}, "Frequency too low: 10.00 Hz, expected 12 or more"),
        ({"max_rate": 8.0}, "Frequency too high: 10.00 Hz, expected 8 or less"),
        ({"max_age": 0.02}, "Timestamps too old: 0.050 s, expected 0.02 or less"),
    ],
)
def test_an_input_out_of_its_bounds_is_a_warning(bench, bound, words):
    bench.about = replace(bench.about, **bound)
    bench.work(seconds=8.0)
    assert bench.says("input front")[:2] == (WARN, words)


def test_an_input_that_falls_silent_is_an_error(bench):
    assert bench.says("input front")[0] == WARN  # it may come yet
    bench.now += 6.0
    level, message, _ = bench.says("input front")
    assert level == ERROR and "no message yet" in message
    bench.work()
    assert bench.says("input front")[0] == OK
    bench.now += 6.0
    level, message, values = bench.says("input front")
    assert level == ERROR and "no message in the last 5 s" in message
    assert values["Actual frequency (Hz)"] == "0.000"


def test_messages_without_stamps_have_no_age(bench):
    bench.about = replace(bench.about, max_age=1.0)
    bench.work(age=math.nan)
    level, _, values = bench.says("input front")
    assert level == OK and "Latest timestamp delay (s)" not in values


def test_drops_are_counted_by_reason(bench):
    bench.work()
    bench.statistics.dropped("front", "malformed", "row_step is 3")
    level, message, values = bench.says("input front")
    assert level == WARN and message.startswith("malformed: row_step is 3 (the message")
    assert values["dropped: malformed"] == "1" and values["last error"] == "row_step is 3"


def test_transforms_have_a_task_of_their_own(bench):
    bench.statistics.dropped("front", "no_transform", "odom does not know laser")
    level, message, values = bench.says("TF")
    assert level == ERROR and "front: odom does not know laser (no transform" in message
    assert values["fixed frame"] == "odom" and values["dropped: no_transform"] == "1"
    assert values["last error of front"] == "odom does not know laser"
    bench.work(seconds=0.2)
    assert bench.says("TF")[0] == WARN
    bench.work(seconds=6.0)
    assert bench.says("TF")[0] == OK


def test_the_model_tells_what_it_is_and_its_licence(bench):
    level, _, values = bench.says("model")
    assert level == OK
    wanted = {"checkpoint": "demo", "device": "cpu", "precision": "float32"}
    assert wanted.items() <= values.items() and values["licence"] == "Apache-2.0"
    bench.model = replace(MODEL, trained=False, licence="")
    level, message, values = bench.says("model")
    assert level == WARN and "mean nothing" in message
    assert values["licence"] == "none is named in the file"


def test_a_gpu_that_cannot_be_used_is_said_and_a_machine_without_one_is_well(bench):
    too_old = "The NVIDIA driver on your system is too old (found version 12020)."
    bench.model = replace(MODEL, why_cpu=too_old)
    level, message, values = bench.says("model")
    assert level == WARN and too_old in message and too_old in values["device auto"]
    bench.model = replace(MODEL, why_cpu="Found no NVIDIA driver on your system.")
    level, message, values = bench.says("model")
    assert level == OK and "Found no NVIDIA driver" in values["device auto"]


def test_labels_after_the_deadline_are_a_warning(bench):
    bench.work(latency_ms=900.0)
    assert bench.says("compute")[0] == OK
    bench.work(seconds=0.1, latency_ms=1100.0)
    level, message, values = bench.says("compute")
    assert level == WARN and "deadline of 1 s" in message
    assert values["late"] == "1" and values["latency ms, most"] == "1100.0"
    assert values["deadline ms"] == "1000" and values["features ms"] == "100.0"
    bench.work(seconds=6.0)
    assert bench.says("compute")[0] == OK


def test_without_a_deadline_nothing_is_late(bench):
    settings = Settings.from_mapping({"diagnostics.deadline": 0.0})
    bench.settings = settings.with_preset()
    bench.work(latency_ms=1e5)
    level, message, values = bench.says("compute")
    assert level == OK and "no deadline is set" in message and values["deadline ms"] == "none"


@pytest.mark.parametrize("latency_ms", [-2000.0, 1e9])
def test_another_clock_is_told_from_being_late(bench, latency_ms):
    bench.work(latency_ms=latency_ms)
    level, message, _ = bench.says("compute")
    assert level == WARN and "use_sim_time" in message


def test_little_memory_left_is_a_warning(bench):
    bench.memory = replace(PLENTY, available=300.0)
    level, message, values = bench.says("memory")
    assert level == WARN and "5 %" in message
    assert values["resident MB"] == "500" and values["available MB"] == "300"
    assert "device MB" not in values
    bench.memory = replace(PLENTY, available=None, device_used=70.0, device_available=900.0)
    level, _, values = bench.says("memory")
    assert level == OK and values["device MB"] == "70"


def test_a_full_map_is_a_warning(bench):
    bench.statistics.fused("front", 9, Insertion(9, evicted=4, cleared=3), 1, {})
    level, message, _ = bench.says("memory")
    assert level == WARN and "max_voxels" in message
    values = bench.says("inference")[2]
    assert values["voxels evicted"] == "4" and values["voxels observed free"] == "3"


def test_a_node_that_is_not_active_tells_its_state_alone():
    for state, level in (("inactive", OK), ("unconfigured: rate: got 'fast'", ERROR)):
        (said,) = diagnostics("concerto", state, "computer", None)
        assert (said.name, said.level, said.message) == ("concerto: state", level, state)


def test_memory_in_use_is_that_of_this_process(tmp_path, monkeypatch):
    used = MemoryUse.now(torch.device("cpu"))
    assert 10 < used.resident <= used.peak and 0 < used.available <= used.total
    assert used.threads >= 1 and used.files >= 3 and used.device_used is None
    (tmp_path / "memory.max").write_text(f"{600 * 2**20}\n")
    (tmp_path / "memory.current").write_text(f"{500 * 2**20}\n")
    monkeypatch.setattr(machine_memory, "CGROUP", tmp_path)
    limited = MemoryUse.now(torch.device("cpu"))
    assert (limited.available, limited.total) == (pytest.approx(100), 600)
    (tmp_path / "memory.max").write_text("max\n")
    assert MemoryUse.now(torch.device("cpu")).total == used.total


# Names for readers of vision_msgs ----------------------------------------------------------------


class Publishing:
    """A node that keeps what is published."""

    def __init__(self):
        self.sent, self.said = {}, []

    def create_lifecycle_publisher(self, kind, topic, **options):
        return SimpleNamespace(publish=lambda message: self.sent.update({topic: message}))

    def destroy_lifecycle_publisher(self, publisher):
        pass

    def get_logger(self):
        return SimpleNamespace(info=self.said.append)


def test_the_names_of_labels_go_out_as_label_info_where_vision_msgs_is(monkeypatch):
    stand_in = SimpleNamespace(LabelInfo=SimpleNamespace, VisionClass=SimpleNamespace)
    monkeypatch.setitem(sys.modules, "vision_msgs", SimpleNamespace(msg=stand_in))
    monkeypatch.setitem(sys.modules, "vision_msgs.msg", stand_in)
    labels, head = LabelSet.load("scannet20"), Header(frame_id="odom")
    node = Publishing()
    class_outputs.ClassOutputs(node, None).publish(labels, "demo", head)
    info = node.sent["~/label_info"]
    assert info.header.frame_id == "odom" and info.threshold == 0.0
    named = {entry.class_id: entry.class_name for entry in info.class_map}
    assert named == {entry.id: entry.name for entry in labels.classes}
    assert set(node.sent) == {"~/classes", "~/legend", "~/label_info"} and not node.said


def test_without_vision_msgs_the_log_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "vision_msgs", None)
    monkeypatch.setitem(sys.modules, "vision_msgs.msg", None)
    node = Publishing()
    class_outputs.ClassOutputs(node, None).publish(LabelSet.load("s3dis"), "demo", Header())
    assert set(node.sent) == {"~/classes", "~/legend"}
    assert node.said == ["~/label_info is not published: vision_msgs is not installed"]


def test_the_message_is_the_real_one_where_it_is_installed():
    messages = pytest.importorskip("vision_msgs.msg")
    labels = LabelSet.load("s3dis")
    info = class_outputs.label_info_message(labels, Header())
    assert isinstance(info, messages.LabelInfo) and len(info.class_map) == len(labels)


def test_frames_without_colour_are_counted_and_warned_of(bench):
    bench.work()
    assert bench.statistics.uncolored("front", "encoding: got 'h264', expected rgb8")
    assert not bench.statistics.uncolored("front", "encoding: got 'h264', expected rgb8")
    level, message, values = bench.says("input front")
    assert (level, values["frames without colour"]) == (WARN, "2")
    assert message == "used without colour: encoding: got 'h264', expected rgb8"


def test_points_beyond_the_lattice_are_counted_and_logged_once_a_while(bench):
    bench.work()
    assert bench.statistics.off_lattice("front", 3)
    assert not bench.statistics.off_lattice("front", 2)
    level, _, values = bench.says("input front")
    assert (level, values["points off the map"]) == (OK, "5")
