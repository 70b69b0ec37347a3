# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Memory that is not in use goes back to the system."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest
import torch

from concerto_ros.ptv3.cpu.allocation import keep_freed_memory
from concerto_ros.ros.monitoring.memory_use import MemoryUse, release_unused_memory

MEGABYTE = 2**20


def resident() -> int:
    """Bytes of memory of its own that this process holds."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (line,) = (line for line in lines if line.startswith("RssAnon"))
    return int(line.split()[1]) * 1024


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="glibc only")
@pytest.mark.parametrize("kept", [False, True])
def test_gaps_between_living_objects_are_given_back(kept):
    if kept:
        keep_freed_memory()
    blocks = [bytearray(64 * 1024) for _ in range(4000)]
    blocks[::2] = [b""] * 2000  # 125 MB of gaps
    before = resident()
    release_unused_memory()
    assert before - resident() > 100 * MEGABYTE
    assert len(blocks) == 4000


def test_it_may_be_called_at_any_time():
    for _ in range(3):
        release_unused_memory()


def test_a_device_that_fails_leaves_what_is_known_of_the_computer(monkeypatch):
    def fail(_):
        raise RuntimeError("CUDA error: unspecified launch failure")

    monkeypatch.setattr(torch.cuda, "mem_get_info", fail)
    use = MemoryUse.now(torch.device("cuda"))
    assert (use.device_used, use.device_available) == (None, None)
    assert use.threads >= 1


@pytest.mark.parametrize(("name", "index"), [("cuda", None), ("cuda:1", 1)])
def test_a_device_without_an_index_is_the_current_one(monkeypatch, name, index):
    """As ``device: auto`` names it, which PyTorch before 2.5 refuses here."""
    asked = []
    free, total = 3 * 2**30, 8 * 2**30
    monkeypatch.setattr(
        torch.cuda, "mem_get_info", lambda given: asked.append(given) or (free, total)
    )
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: MEGABYTE)
    use = MemoryUse.now(torch.device(name))
    assert asked == [index]
    assert (use.device_used, use.device_available) == (1, 3072)
