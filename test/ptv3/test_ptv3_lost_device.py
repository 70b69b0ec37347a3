# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A GPU that is lost is told from one that is full, busy or not there; with stand-ins for CUDA."""

from __future__ import annotations

import pytest
import torch

from concerto_ros.ptv3.kernels import lost_device
from concerto_ros.ptv3.kernels.out_of_memory import is_out_of_memory

CUDA = torch.device("cuda")
ERROR = getattr(torch, "AcceleratorError", RuntimeError)
ILLEGAL = "CUDA error: an illegal memory access was encountered\nSearch for `cudaErrorIllegal...'"


@pytest.fixture
def answers(monkeypatch):
    """Says what each computation on the stand-in raises; None: it works."""
    given: list[Exception | None] = []

    def compute(device):
        answer = given.pop(0) if given else None
        if answer is not None:
            raise answer

    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(lost_device, "compute", compute)
    return given


@pytest.mark.parametrize(
    "text",
    [
        ILLEGAL,
        "CUDA error: device-side assert triggered",
        "CUDA error: unspecified launch failure",
        "CUDA error: uncorrectable ECC error encountered",
        "CUDA error: the launch timed out and was terminated",
        "CUDA error: unknown error",
    ],
)
@pytest.mark.parametrize("kind", [ERROR, RuntimeError])
def test_a_device_on_which_everything_fails_is_lost(answers, kind, text):
    answers += [kind(text)] * 5
    assert lost_device.why_lost(CUDA) == text.partition("\n")[0]


def test_a_device_that_computes_is_not_lost(answers):
    assert lost_device.why_lost(CUDA) == ""


def test_the_error_of_one_launch_is_no_loss(answers):
    answers += [ERROR("CUDA error: invalid configuration argument")]
    assert lost_device.why_lost(CUDA) == ""


@pytest.mark.parametrize(
    "error",
    [torch.cuda.OutOfMemoryError("CUDA out of memory"), ERROR("CUDA error: out of memory")],
)
def test_a_full_device_is_not_lost(answers, error):
    answers += [error] * 5
    assert lost_device.why_lost(CUDA) == ""


def test_devices_without_a_context_are_not_asked(answers, monkeypatch):
    answers += [ERROR(ILLEGAL)] * 5
    assert lost_device.why_lost(torch.device("cpu")) == ""
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    assert lost_device.why_lost(CUDA) == ""


@pytest.mark.parametrize(
    "text",
    [
        'NVML_SUCCESS == r INTERNAL ASSERT FAILED at "/opt/pytorch/c10/cuda/CUDACachingAllocator'
        '.cpp":995, please report a bug to PyTorch.',
        "NvMapMemAllocInternalTagged: 1075072515 error 12",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
        "cusolver error: CUSOLVER_STATUS_ALLOC_FAILED, when calling `cusolverDnCreate(handle)`",
        "CUDA error: out of memory",
        "CUDA driver error: out of memory",
        "[enforce fail at alloc_cpu.cpp:124] . DefaultCPUAllocator: can't allocate memory",
        "std::bad_alloc",
    ],
)
def test_every_library_says_in_its_own_words_that_memory_ran_out(text):
    assert is_out_of_memory(RuntimeError(text)) and is_out_of_memory(ERROR(text))


@pytest.mark.parametrize(
    "text",
    [
        ILLEGAL,
        "CUDA error: device-side assert triggered",
        "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasGemmEx(...)`",
        "cuDNN error: CUDNN_STATUS_EXECUTION_FAILED",
        "cusolver error: CUSOLVER_STATUS_EXECUTION_FAILED",
        "mat1 and mat2 shapes cannot be multiplied (3x4 and 5x6)",
        "Expected all tensors to be on the same device",
    ],
)
def test_other_errors_are_not_about_memory(text):
    assert not is_out_of_memory(RuntimeError(text)) and not is_out_of_memory(ERROR(text))
    assert not is_out_of_memory(ValueError("out of memory"))
