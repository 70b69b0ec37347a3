# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Stages are timed where they run: on the CPU by its clock, on a GPU by events in its queue."""

from __future__ import annotations

import time

import pytest
import torch

from concerto_ros.stopwatch import Stopwatch

GPU = torch.device("cuda", 0)


def test_a_stage_on_the_cpu_takes_the_time_of_its_body(monkeypatch):
    now = 100.0
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    watch = Stopwatch()
    for stage, seconds in (("slow", 0.25), ("slow", 0.5), ("fast", 0.125)):
        with watch(stage, torch.device("cpu")):
            now += seconds
    assert list(watch.milliseconds.items()) == [("slow", 750.0), ("fast", 125.0)]
    watch.milliseconds.update(more=1.0)
    assert watch.milliseconds["more"] == 1.0


@pytest.fixture
def queue(monkeypatch):
    """A GPU whose clock stands at ``now``, milliseconds; ``waited`` counts what waited for it."""

    class Queue:
        now, waited = 0.0, 0

    queue = Queue()

    class Event:
        def __init__(self, enable_timing):
            assert enable_timing

        def record(self, stream):
            assert stream == "current"
            self.at = queue.now

        def synchronize(self):
            queue.waited += 1

        def elapsed_time(self, other):
            return other.at - self.at

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: "current")
    return queue


def test_a_stage_on_a_gpu_is_timed_there_and_waits_for_nothing(queue):
    watch = Stopwatch()
    for stage, spent in (("features", 5.0), ("labels", 1.0), ("features", 2.5)):
        with watch(stage, GPU):
            queue.now += spent
    assert queue.waited == 0
    assert watch.milliseconds == {"features": 7.5, "labels": 1.0}
    assert queue.waited == 3
    assert watch.milliseconds == {"features": 7.5, "labels": 1.0} and queue.waited == 3


def test_a_stage_that_fails_is_not_timed(queue):
    watch = Stopwatch()
    for device in (None, GPU):
        with pytest.raises(RuntimeError), watch("features", device):
            raise RuntimeError
    assert watch.milliseconds == {}
