# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A GPU that PyTorch cannot compute on is told from none; with stand-ins for CUDA."""

from __future__ import annotations

import logging
import warnings

import pytest
import torch

from concerto_ros.ptv3.kernels import usable_device
from concerto_ros.ptv3.kernels.usable_device import device_named, is_expected, why_unusable
from concerto_ros.settings.field import SettingsError

CUDA = torch.device("cuda", 0)
TOO_OLD = "The NVIDIA driver on your system is too old (found version 12020). Please update"
NO_DRIVER = "Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU"
NO_IMAGE = "CUDA error: no kernel image is available for execution on the device"
WHEEL = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"]


@pytest.fixture
def gpu(monkeypatch):
    """A stand-in for a machine with a CUDA build of PyTorch and a GPU."""

    def raising(error):
        if error is not None:
            raise error

    def set_to(*, init=None, capability=(8, 9), built_for=WHEEL, computes=None, count=1):
        monkeypatch.setattr(torch.version, "cuda", "13.0")
        monkeypatch.setattr(torch.cuda, "init", lambda: raising(init))
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 0 if init else count)
        monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: built_for)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Card")
        monkeypatch.setattr(usable_device, "compute", lambda _: raising(computes))

    return set_to


def test_a_gpu_that_computes_is_used(gpu):
    gpu()
    assert why_unusable(CUDA) == ""
    assert device_named("auto") == torch.device("cuda")
    assert device_named("cuda:0") == CUDA


@pytest.mark.parametrize(
    "given, said",
    [
        ({"init": RuntimeError(TOO_OLD)}, TOO_OLD),
        ({"capability": (6, 1)}, "compute capability 6.1"),
        ({"computes": RuntimeError(NO_IMAGE + "\nCUDA kernel errors might be")}, NO_IMAGE),
        ({"computes": RuntimeError("CUDA error: unknown error")}, "unknown error"),
    ],
)
def test_auto_goes_on_on_the_cpu_and_warns_and_cuda_is_refused(gpu, caplog, given, said):
    gpu(**given)
    with caplog.at_level(logging.INFO):
        assert device_named("auto") == torch.device("cpu")
    (record,) = caplog.records
    assert record.levelno == logging.WARNING and said in record.getMessage()
    for name in ("cuda", "cuda:0"):
        with pytest.raises(SettingsError, match=f"device: got '{name}'") as refused:
            device_named(name)
        assert said in str(refused.value)
    assert not is_expected(why_unusable(CUDA))


@pytest.mark.parametrize("text", [NO_DRIVER, "No CUDA GPUs are available"])
def test_a_machine_without_a_gpu_is_no_reason_to_warn(gpu, caplog, text):
    gpu(init=RuntimeError(text))
    with caplog.at_level(logging.INFO):
        assert device_named("auto") == torch.device("cpu")
    (record,) = caplog.records
    assert record.levelno == logging.INFO and text in record.getMessage()
    assert is_expected(why_unusable(CUDA))


def test_a_build_without_cuda_is_a_reason_only_beside_a_driver(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.version, "cuda", None)
    why = why_unusable(CUDA)
    assert "built without CUDA" in why and torch.__version__ in why
    monkeypatch.setattr(usable_device, "DRIVERS", (tmp_path / "none",))
    assert is_expected(why)
    monkeypatch.setattr(usable_device, "DRIVERS", (tmp_path / "none", tmp_path))
    assert not is_expected(why)


def test_a_full_gpu_can_be_used(gpu):
    gpu(computes=torch.cuda.OutOfMemoryError("CUDA out of memory"))
    assert why_unusable(CUDA) == ""


def test_a_device_beyond_the_last_one_is_refused_by_their_number(gpu):
    gpu(count=2)
    assert device_named("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(SettingsError, match="got 'cuda:2'.* PyTorch sees 2 CUDA devices"):
        device_named("cuda:2")


def test_what_pytorch_warns_about_is_said_too(gpu, monkeypatch):
    gpu(capability=(5, 0))
    warning = "Card with CUDA capability sm_50 is not compatible with the current PyTorch"
    monkeypatch.setattr(torch.cuda, "init", lambda: warnings.warn(warning, stacklevel=1))
    assert warning in why_unusable(CUDA)


@pytest.mark.parametrize(
    "built_for, capability, runs",
    [
        (["sm_80"], (8, 0), True),
        (["sm_80"], (8, 7), True),
        (["sm_86"], (8, 0), False),
        (["sm_80"], (9, 0), False),
        (["sm_80", "compute_80"], (9, 0), True),
        (["compute_90"], (8, 0), False),
        (["sm_90a"], (9, 0), True),
        (["sm_100a"], (10, 3), False),
        (["sm_120"], (12, 0), True),
        (["sm_75"], (6, 1), False),
        (["gfx90a"], (9, 0), True),
        ([], (5, 0), True),
    ],
)
def test_code_for_one_gpu_runs_on_its_successors(gpu, built_for, capability, runs):
    gpu(built_for=built_for, capability=capability)
    assert (why_unusable(CUDA) == "") is runs
