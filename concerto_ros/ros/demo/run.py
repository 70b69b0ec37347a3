# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs the demo: player and node in processes of their own, and a viewer that records them."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from concerto_ros.ptv3 import load_encoder
from concerto_ros.ros.demo.plan import recorded, simulated
from concerto_ros.ros.demo.viewer import CLASSES, LABELS, PCA, STATUS, Viewer
from concerto_ros.ros.middleware.domain_id import free_domain
from concerto_ros.ros.middleware.fastdds_profile import ros_session
from concerto_ros.ros.middleware.spinning import spinning
from concerto_ros.segmentation.model_options import grid_size_for
from concerto_ros.settings.settings import Settings
from concerto_ros.viewer.library import rerun_library

#: Seconds to wait for the node to activate, and for its last labels after the input has ended.
START_TIMEOUT, END_TIMEOUT = 120.0, 120.0

#: Arguments of ``concerto-ros view`` by where the viewer is.
VIEWS: dict[str, list[str]] = {"web": ["--web"], "window": []}

#: The node has labelled everything if it publishes nothing new for this many seconds.
QUIET = 2.0


class Demo:
    """One run of the demo.

    Args:
        options: Parsed arguments of ``concerto-ros demo``.
    """

    def __init__(self, options: argparse.Namespace):
        self._plan = (
            recorded(options.bag) if options.bag else simulated(options.seconds, options.seed)
        )
        self._plan.settings |= {"checkpoint": options.checkpoint, "head": options.head}
        if options.preset:
            self._plan.settings["preset"] = options.preset
        self._view = VIEWS[options.view] if options.view else None
        if self._view is not None:
            rerun_library()  # where it is missing, that is said before anything starts
        self._out = Path(options.out)
        self._processes: list[subprocess.Popen] = []

    def run(self) -> int:
        """Play, record and write the results.

        Returns:
            The exit status, 0.

        Raises:
            ValueError: If a process ended early, or the node did not activate or answer in time.
        """
        for line in self._plan.why:
            print(line)
        self._out.mkdir(parents=True, exist_ok=True)
        bag = self._out / "bag"
        shutil.rmtree(bag, ignore_errors=True)
        with _own_domain(), ros_session(), self._ended_processes():
            self._play(bag)
        return 0

    def _play(self, bag: Path) -> None:
        settings = Settings.from_mapping(self._plan.settings | {"input_rate": 2.0}).with_preset()
        # The viewer needs the node's voxel size, for the picture of the input and the score.
        encoder = load_encoder(settings.checkpoint, preset=settings.preset, download=False)
        settings = settings.with_voxel_size(grid_size_for(encoder, settings.preset))
        viewer = Viewer(self._plan, settings, bag)
        with contextlib.closing(viewer), spinning(viewer):
            self._record(viewer)
        written = viewer.write_pictures(self._out)
        print(viewer.table(self._plan.rate))
        print("wrote " + ", ".join(str(path) for path in (*written, bag)))
        if self._view is not None and sys.stdin.isatty():
            input("the viewer is open until Enter: ")

    def _record(self, viewer: Viewer) -> None:
        """Let the viewer see the whole run, up to the labels of the last frame."""
        node = self._start(["node", *self._plan.node_arguments()])
        active = partial(viewer.recorder.newest, CLASSES)
        _wait(active, START_TIMEOUT, node, "the node to activate")
        if self._view is not None:
            self._start(["view", *self._view])
        player = self._start(self._plan.command)
        while player.poll() is None:
            viewer.compare()
            time.sleep(0.1)
        if player.returncode:
            raise ValueError(
                f"concerto-ros {self._plan.command[0]} ended with status {player.returncode}"
            )
        _wait(partial(_is_answered, viewer), END_TIMEOUT, node, "the last labels")
        viewer.compare()

    def _start(self, command: list[str]) -> subprocess.Popen:
        process = subprocess.Popen([sys.executable, "-m", "concerto_ros.cli", *command])
        self._processes.append(process)
        return process

    @contextlib.contextmanager
    def _ended_processes(self) -> Iterator[None]:
        """Interrupt the processes at the end of the block, and wait for them."""
        try:
            yield
        finally:
            for process in self._processes:
                if process.poll() is None:
                    process.send_signal(signal.SIGINT)
            for process in self._processes:
                try:
                    process.wait(10.0)
                except subprocess.TimeoutExpired:
                    process.kill()


@contextlib.contextmanager
def _own_domain() -> Iterator[None]:
    """Limit discovery to this machine and, unless the user chose a domain, use an unused one."""
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    if "ROS_DOMAIN_ID" in os.environ:
        yield
        return
    with free_domain() as domain:
        os.environ["ROS_DOMAIN_ID"] = str(domain)
        print(f"to watch the topics in another terminal: export ROS_DOMAIN_ID={domain}")
        try:
            yield
        finally:
            del os.environ["ROS_DOMAIN_ID"]


def _wait(
    condition: Callable[[], object], timeout: float, node: subprocess.Popen, what: str
) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        if node.poll() is not None:
            raise ValueError(f"the node ended with status {node.returncode}")
        if time.monotonic() > deadline:
            raise ValueError(f"timed out after {timeout:g} s of waiting for {what}")
        time.sleep(0.1)


def _is_answered(viewer: Viewer) -> bool:
    """Whether labels and colours of the newest fused frame have come, and nothing new after."""
    counts = dict(viewer.recorder.counts)
    time.sleep(QUIET)
    if viewer.recorder.counts[LABELS] != counts[LABELS]:
        return False
    newest = [viewer.recorder.newest(topic) for topic in (LABELS, PCA, STATUS)]
    if any(message is None for message in newest):
        return False
    stamps = {(m.header.stamp.sec, m.header.stamp.nanosec) for m in newest}
    return len(stamps) == 1
