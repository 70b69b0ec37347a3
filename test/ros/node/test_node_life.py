# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The real node lives many times and leaves nothing behind."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
from node_harness import ONE_CLOUD, SECOND, START
from rclpy.qos import QoSProfile
from sensor_msgs.msg import PointCloud2

from concerto_ros.ros.monitoring.memory_use import release_unused_memory

#: Lives after which every cache, pool and buffer is made.
WARM = 3

#: MB by which the process may differ between two moments of a node that leaks nothing.
NOISE = 30.0


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def tasks() -> int:
    return len(os.listdir("/proc/self/task"))


def megabytes() -> float:
    release_unused_memory()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def live(one, stamp: int) -> None:
    """Configure, activate, label one frame, deactivate, clean up."""
    one.start()
    sensor = one.publisher("/points", PointCloud2, QoSProfile(depth=1))
    one.wait(lambda: sensor.get_subscription_count() > 0, "the node to hear the sensor")
    one.labels_of_room(stamp)
    one.node.trigger_deactivate()
    one.node.trigger_cleanup()
    one.received["/concerto/status"].clear()
    one.received["/concerto/labels"].clear()
    one.received["/diagnostics"].clear()
    one.wait(lambda: sensor.get_subscription_count() == 0, "the node to be gone")


def test_many_lives_leave_nothing_behind(harness, nightly, fault):
    one = harness(**ONE_CLOUD, **{"qos_overrides./points.subscription.reliability": "reliable"})
    one.listen_to_labels()
    lives = 200 if nightly else 8
    for life in range(WARM):
        live(one, START + life * SECOND)
    before = descriptors(), tasks(), threading.active_count(), megabytes()
    sizes = [before[3]]
    for life in range(WARM, lives):
        live(one, START + life * SECOND)
        sizes.append(megabytes())
    after = descriptors(), tasks(), threading.active_count(), megabytes()
    assert after[0] <= before[0] + 2, "descriptors"
    assert after[1] <= before[1] + 2, "threads of the process"
    assert after[2] <= before[2], "threads of Python"
    # What leaks leaks in every cycle; the allocator takes a large piece now and then.
    assert np.median(np.diff(sizes)) <= NOISE / (lives - WARM), "megabytes"
    grown = ", ".join(
        f"{name} {now - then:+.0f}"
        for name, now, then in zip(
            ("descriptors", "threads", "threads of Python", "MB"), after, before, strict=True
        )
    )
    fault(
        "repeated configure, activate, label, deactivate, clean up",
        cases=lives,
        did=f"labels in every cycle; growth from the third cycle to the last: {grown}",
        lost="the map, as intended",
    )
