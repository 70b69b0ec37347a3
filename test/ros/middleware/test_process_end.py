# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The node's process ends with status 0, also where a thread of its own still computes."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from concerto_ros.ros.middleware.process_end import WorkThread, still_at_work
from concerto_ros.ros.services.base import in_thread

#: The node, interrupted while a call is answered by PyTorch, which takes longer than it waits.
PROGRAM = """
import sys
import torch
from concerto_ros.ros import node
from concerto_ros.ros.services.base import in_thread

def compute():
    matrix = torch.zeros(400, 400)
    while True:
        matrix @ matrix

def interrupted(_):
    in_thread(compute)
    raise KeyboardInterrupt

node.spin, node.JOIN_TIMEOUT = interrupted, 0.1
sys.exit(node.main(["node", "--ros-args", "-p", "autostart:=false"]))
"""


def test_a_node_that_is_interrupted_while_a_thread_computes_ends_well(ros_domain):
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "ends before its work does: service" in done.stderr


def test_work_is_waited_for_until_the_deadline():
    released = threading.Event()
    quick = in_thread(time.sleep, 0.1)
    slow = WorkThread(released.wait, "slow")
    slow.start()
    try:
        assert still_at_work(time.monotonic() + 0.5) == ["slow"]
        assert quick.done()
    finally:
        released.set()
    assert still_at_work(time.monotonic() + 20.0) == []


def test_whoever_waits_for_a_thread_gets_its_error():
    def fail():
        raise OSError("no such file")

    with pytest.raises(OSError, match="no such file"):
        in_thread(fail).result(20.0)
