# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The node as a robot runs it: by ``ros2 launch`` where that exists, else by its executable."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from benchmarks.node import node_command, process, wait

LAUNCH_FILE = Path("launch/perception.launch.py")

#: A part of the node's command line.
EXECUTABLE = "perception_node"


def can_launch() -> bool:
    """Whether ``ros2 launch`` finds the package."""
    if shutil.which("ros2") is None:
        return False
    found = subprocess.run(["ros2", "pkg", "prefix", "concerto_ros"], capture_output=True)
    launch = subprocess.run(["ros2", "launch", "--help"], capture_output=True)
    return found.returncode == launch.returncode == 0


@contextlib.contextmanager
def started_node(params_file: Path, *, launch: bool) -> Iterator[int]:
    """Start the node with a parameter file, and interrupt it at the end.

    Yields:
        The process ID of the node itself.
    """
    command = node_command("--ros-args", "--params-file", str(params_file))
    if launch:
        command = ["ros2", "launch", str(LAUNCH_FILE), f"params_file:={params_file}"]
    with process(command) as started:
        if launch:
            wait(lambda: _node_below(started.pid), "the node of ros2 launch")
        yield _node_below(started.pid) if launch else started.pid


def lives(pid: int) -> bool:
    """Whether a process runs: not ended, and no zombie that waits for its parent."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def _node_below(pid: int) -> int:
    """The process of the node among the children of ``pid``; 0 while it does not run."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    for child in map(int, children.read_text().split()):
        with contextlib.suppress(OSError):
            if EXECUTABLE in Path(f"/proc/{child}/cmdline").read_text():
                return child
    return 0
