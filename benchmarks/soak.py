# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``make soak``: the node under load for a long time, and a verdict.

    make soak                       ten minutes of sensors, then ten of a recording
    make soak MINUTES=600
    make soak BAG=my_bag            your own recording
    python -m benchmarks.soak --only recording

Sensors: a 640x480 camera at 30 Hz and a LiDAR of 65,000 points at 10 Hz, which stand still.
Recording: a robot that drives through a room (or your bag), played again and again, so that the
size of the map varies all the time and each new beginning is a restart of the node's map; the node
is started by ``ros2 launch`` where that exists.

The node has the bundled demo model and a subscriber to its labels; all run in processes of their
own. Each frame must be counted as used or as dropped for a named reason; memory, descriptors,
threads and latency may not grow. Writes soak.json and recording.json, each with a picture; the
exit status is 1 if any of this fails.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
import yaml

from benchmarks.measure import machine
from benchmarks.node import graph, interrupt, memory, process, wait
from benchmarks.recording import record_drive
from benchmarks.soak_verdict import Sample, judge, table
from benchmarks.started_node import can_launch, lives, started_node
from benchmarks.time_plot import plot_over_time
from concerto_ros.ros.demo.plan import recorded

#: The sensors, and the names of their inputs.
FEEDS = {"cloud": "lidar", "rgbd": "camera"}

PARAMETERS = {
    "cloud_names": ["lidar"],
    "clouds.lidar.topic": "/feed/points",
    "camera_names": ["camera"],
    "cameras.camera.color_topic": "/feed/color",
    "cameras.camera.depth_topic": "/feed/depth",
    "cameras.camera.info_topic": "/feed/info",
}

#: The file with the result of each load.
RESULTS = {"sensors": "soak.json", "recording": "recording.json"}

#: Seconds from one sample of the node to the next, and until the last frames are counted.
PERIOD, SETTLE = 1.0, 10.0


@dataclass
class Run:
    """What was measured during the soak."""

    samples: list[Sample] = field(default_factory=list)
    sent: dict[str, int] = field(default_factory=dict)
    drops: dict[str, int] = field(default_factory=dict)
    alive: bool = True


@dataclass(frozen=True)
class Load:
    """What the node runs under.

    Attributes:
        params_file: the parameters of the node.
        play: a context in which the sensors send; it writes to the run how much they sent, where
            that is known.
        launch: whether the node is started by ``ros2 launch``.
    """

    params_file: Path
    play: Callable[[Run], contextlib.AbstractContextManager[None]]
    launch: bool


def main() -> int:
    options = _options()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        loads = {
            "sensors": lambda: sensors(Path(folder)),
            "recording": lambda: recording(Path(folder), options.bag),
        }
        held = [
            _soak_and_judge(loads[name](), RESULTS[name], options)
            for name in ([options.only] if options.only else loads)
        ]
    return 0 if all(held) else 1


def sensors(folder: Path) -> Load:
    """A camera and a LiDAR that stand still."""
    return Load(_params_file(folder, PARAMETERS), _feeds, launch=False)


def recording(folder: Path, bag: Path | None) -> Load:
    """A bag played again and again; None: a simulated drive."""
    bag = bag or record_drive(folder / "drive")
    plan = recorded(bag)
    play = ["play", str(bag), "--clock", "--loop", "--rate", f"{plan.rate:.6g}"]

    @contextlib.contextmanager
    def playing(_run: Run) -> Iterator[None]:
        with process([sys.executable, "-m", "concerto_ros.cli", *play]):
            yield

    return Load(_params_file(folder, plan.parameters()), playing, launch=can_launch())


def _params_file(folder: Path, parameters: Mapping[str, Any]) -> Path:
    path = folder / "soak.yaml"
    path.write_text(yaml.safe_dump({"/**": {"ros__parameters": dict(parameters)}}))
    return path


def _soak_and_judge(load: Load, result_file: str, options: argparse.Namespace) -> bool:
    about = machine(torch.device("cpu"))
    run = soak(load, 60.0 * options.minutes)
    about["load_after"] = round(os.getloadavg()[0], 1)
    checks = judge(run.samples, run.sent, run.drops, run.alive)
    print(table(checks))
    held = all(check.held for check in checks)
    verdict = "**Held.**" if held else "**Did not hold.**"
    result = {
        "about": _about(about, run, load),
        "numbers": {check.name: check.measured for check in checks},
        "verdict": verdict,
        "machine": about,
        "minutes": options.minutes,
        "sent": run.sent,
        "drops": run.drops,
        "checks": [asdict(check) for check in checks],
        "samples": [asdict(sample) for sample in run.samples],
    }
    path = options.out / result_file
    path.write_text(json.dumps(result, indent=1) + "\n")
    plot_over_time(
        {
            "memory of the node, MB": [(s.seconds, s.megabytes) for s in run.samples],
            "stamp to labels, ms": [(s.seconds, s.latency_ms) for s in run.samples],
            "frames received": [(s.seconds, s.received) for s in run.samples],
        },
        f"{options.minutes:g} minutes: {'held' if held else 'did not hold'}",
        path.with_suffix(".png"),
    )
    print(f"{verdict.strip('*')} Wrote {path} and {path.with_suffix('.png').name}")
    return held


def soak(load: Load, run_seconds: float) -> Run:
    """Run everything for ``run_seconds``, and sample the node once per second."""
    import rclpy
    from rclpy.qos import DurabilityPolicy, QoSProfile
    from sensor_msgs.msg import PointCloud2

    from concerto_ros.msg import PerceptionStatus, SemanticClasses
    from concerto_ros.ros.middleware.spinning import spinning

    ready, newest, run = threading.Event(), [None], Run()
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    with graph():
        viewer = rclpy.create_node("viewer")
        viewer.create_subscription(
            SemanticClasses, "/concerto/classes", lambda _: ready.set(), latched
        )
        viewer.create_subscription(PointCloud2, "/concerto/labels", lambda _: None, 1)
        viewer.create_subscription(
            PerceptionStatus, "/concerto/status", lambda status: newest.__setitem__(0, status), 10
        )
        with spinning(viewer), started_node(load.params_file, launch=load.launch) as node:
            wait(ready.is_set, "the node")
            with load.play(run):
                wait(lambda: newest[0] is not None and newest[0].inferences, "the first labels")
                _watch(run, node, newest, run_seconds)
            with contextlib.suppress(ValueError):
                _settle(run, node, newest)
        viewer.destroy_node()
    return run


def _watch(run: Run, node: int, newest: list, run_seconds: float) -> None:
    start = time.monotonic()
    while time.monotonic() - start < run_seconds:
        time.sleep(PERIOD)
        if not lives(node):
            run.alive = False
            return
        run.samples.append(_sample(time.monotonic() - start, node, newest[0]))


def _settle(run: Run, node: int, newest: list) -> None:
    """The counts once the sensors are silent: nothing is under way any more."""
    time.sleep(SETTLE)
    if run.alive and run.samples:
        run.samples.append(_sample(run.samples[-1].seconds + SETTLE, node, newest[0]))
        run.drops = dict(zip(newest[0].drop_reasons, newest[0].drop_counts, strict=True))


def _sample(seconds: float, pid: int, status) -> Sample:
    return Sample(
        seconds=round(seconds, 2),
        megabytes=round(memory(pid), 1),
        descriptors=len(os.listdir(f"/proc/{pid}/fd")),
        threads=len(os.listdir(f"/proc/{pid}/task")),
        latency_ms=round(status.latency_ms, 1),
        received=status.frames_received,
        fused=status.frames_fused,
        dropped=status.frames_dropped,
        inferences=status.inferences,
        failures=status.inferences_failed,
        voxels=status.voxels,
    )


@contextlib.contextmanager
def _feeds(run: Run) -> Iterator[None]:
    """The sensors; what they sent is known once they are interrupted."""
    with tempfile.TemporaryDirectory() as folder:
        files = {kind: Path(folder) / kind for kind in FEEDS}
        started = [
            subprocess.Popen(
                [sys.executable, "-m", "benchmarks.feed", kind, "--count", str(file)],
                stderr=subprocess.DEVNULL,
            )
            for kind, file in files.items()
        ]
        try:
            yield
        finally:
            for feed in started:
                interrupt(feed)
            for kind, file in files.items():
                run.sent[FEEDS[kind]] = int(file.read_text()) if file.is_file() else 0


def _about(about: dict, run: Run, load: Load) -> str:
    minutes = run.samples[-1].seconds / 60 if run.samples else 0.0
    started = "by ros2 launch" if load.launch else "by its executable"
    return (
        f"{minutes:.0f} minutes, the node started {started}, on {about['cpu']},"
        f" {about['cores']} cores; load of the machine {about['load_before']} before and"
        f" {about['load_after']} after."
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.soak",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="of each (default 10)")
    parser.add_argument("--only", choices=sorted(RESULTS), help="one of the two")
    parser.add_argument("--bag", type=Path, help="recording to play (default a simulated drive)")
    parser.add_argument("--out", type=Path, default=Path("out/soak"), help="folder to write to")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
