# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The threads of the compiled kernels: of the priority of who calls, and gone when that ends."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from native_inputs import numbers, threads
from torch import nn

from concerto_ros.ptv3.kernels.native.library import library, why_not
from concerto_ros.ptv3.kernels.native.norm import add_norm

pytestmark = [
    pytest.mark.skipif(library() is None, reason=why_not()),
    pytest.mark.skipif(sys.platform != "linux", reason="threads are not listed"),
]


def tasks() -> set[int]:
    """The threads of this process, as the kernel knows them."""
    return {int(path.name) for path in Path("/proc/self/task").iterdir()}


# So small that PyTorch itself uses one thread: its own do not survive a fork.
FEAT, NORM = numbers(1_000, 16), nn.LayerNorm(16)


@torch.no_grad()
def normed() -> torch.Tensor:
    return add_norm(FEAT, FEAT, NORM)[1]


def wait_for(condition: Callable[[], bool]) -> bool:
    """Python's threads are joined a little before those of the system end."""
    end = time.monotonic() + 10.0
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


def in_a_thread(work) -> None:
    errors: list[BaseException] = []

    def run():
        try:
            work()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]


@pytest.mark.parametrize("steps", [0, 3])
def test_helpers_have_the_priority_of_who_calls_and_end_with_it(steps):
    helpers: set[int] = set()

    def work():
        own = os.nice(steps)
        with threads(3):
            before = tasks()
            for _ in range(3):
                normed()
            helpers.update(tasks() - before)
        assert len(helpers) == 2
        assert {os.getpriority(os.PRIO_PROCESS, helper) for helper in helpers} == {own}

    in_a_thread(work)
    assert wait_for(lambda: not helpers & tasks())


def test_helpers_change_with_the_priority_of_who_calls():
    def work():
        with threads(2):
            before = tasks()
            normed()
            first = tasks() - before
            own = os.nice(2)
            normed()
            (second,) = tasks() - before
        assert second not in first
        assert os.getpriority(os.PRIO_PROCESS, second) == own

    in_a_thread(work)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_process_has_helpers_of_its_own():
    with threads(3):
        expected = normed()
        process = os.fork()
        if not process:  # where a test that fails must not run on
            before = tasks()
            found = normed()
            helpers = tasks() - before
            os._exit(0 if len(helpers) == 2 and torch.equal(found, expected) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0


def test_several_threads_call_at_once():
    with threads(3):
        expected = normed()
        found: list[torch.Tensor] = []
        callers = [
            threading.Thread(target=lambda: found.extend(normed() for _ in range(20)))
            for _ in range(4)
        ]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
    assert len(found) == 80 and all(torch.equal(one, expected) for one in found)
