# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Where GPU and CPU share memory, PyTorch leaves some to the machine; with stand-ins for CUDA."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from concerto_ros.files import machine_memory
from concerto_ros.ptv3.kernels import out_of_memory
from concerto_ros.ptv3.kernels.out_of_memory import leave_memory
from concerto_ros.segmentation import loading
from concerto_ros.settings.settings import Settings

CUDA = torch.device("cuda", 0)
GIB = 1 << 30


@pytest.fixture
def limits(monkeypatch, tmp_path):
    """A stand-in for a GPU of 8 GiB; the shares that PyTorch was restricted to."""
    found = []

    def restrict(share, index):
        assert index == 0
        found.append(share)

    def set_to(*, integrated=1, available=5.0, reserved=0.0):
        memory = tmp_path / "meminfo"
        lines = (
            f"MemTotal: 8388608 kB\nMemFree: 1 kB\nMemAvailable: {int(available * GIB) >> 10} kB\n"
        )
        memory.write_text(lines)
        properties = SimpleNamespace(is_integrated=integrated, total_memory=8 * GIB)
        monkeypatch.setattr(machine_memory, "MEMORY", memory)
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: properties)
        monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: int(reserved * GIB))
        # PyTorch's own checks are of what it is given before it asks the device.
        monkeypatch.setattr(torch.cuda.memory, "_lazy_init", lambda: None)
        monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
        monkeypatch.setattr(torch._C, "_cuda_setMemoryFraction", restrict, raising=False)
        return found

    monkeypatch.setattr(machine_memory, "CGROUP", tmp_path)
    for name in out_of_memory.ALLOCATOR:
        monkeypatch.delenv(name, raising=False)
    return set_to


@pytest.mark.parametrize("name", ["cuda", "cuda:0"])
def test_a_tenth_is_left_of_what_a_machine_has_beside_what_others_use(limits, name):
    found = limits(available=5.0)
    leave_memory(torch.device(name))
    assert found == [pytest.approx(5 / 8 - 0.1)]


def test_a_container_that_has_less_counts(limits, tmp_path):
    found = limits(available=5.0)
    (tmp_path / "memory.max").write_text(f"{6 * GIB}\n")
    (tmp_path / "memory.current").write_text(f"{3 * GIB}\n")
    leave_memory(CUDA)
    assert found == [pytest.approx(3 / 8 - 0.1)]


def test_what_this_process_holds_already_is_its_own(limits):
    found = limits(available=3.0, reserved=2.0)
    leave_memory(CUDA)
    assert found == [pytest.approx(5 / 8 - 0.1)]


@pytest.mark.parametrize(("available", "share"), [(0.2, 0.1), (9.5, 1.0)])
def test_the_share_stays_possible_whatever_the_machine_says(limits, available, share):
    found = limits(available=available)
    leave_memory(CUDA)
    assert found == [share]


@pytest.mark.parametrize("name", out_of_memory.ALLOCATOR)
def test_a_share_of_the_user_stays(limits, monkeypatch, name):
    found = limits()
    monkeypatch.setenv(name, "per_process_memory_fraction:0.9")
    leave_memory(CUDA)
    assert not found


def test_a_gpu_with_memory_of_its_own_and_a_cpu_are_not_restricted(limits):
    found = limits(integrated=0)
    leave_memory(CUDA)
    leave_memory(torch.device("cpu"))
    assert not found


def test_a_machine_that_does_not_say_is_not_restricted(limits, monkeypatch, tmp_path):
    found = limits()
    for text in (None, "MemTotal: 8388608 kB\n", "MemAvailable: much\n"):
        path = tmp_path / "other"
        path.unlink(missing_ok=True)
        if text is not None:
            path.write_text(text)
        monkeypatch.setattr(machine_memory, "MEMORY", path)
        leave_memory(CUDA)
    assert not found


def test_a_model_is_loaded_after_that(monkeypatch):
    devices = []
    monkeypatch.setattr(loading, "leave_memory", devices.append)
    loading.load_models(Settings(device="cpu"))
    assert devices == [torch.device("cpu")]
