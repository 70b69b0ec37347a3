# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Recognising PyTorch's errors when memory runs out, and having them where Linux would end us."""

from __future__ import annotations

import logging
import os

import torch

from concerto_ros.files.machine_memory import available_and_total

#: Parts of the messages of PyTorch's allocators and of the libraries that allocate by themselves.
SIGNS = (
    "DefaultCPUAllocator",
    "out of memory",
    "bad_alloc",
    # On Tegra (Jetson) and MIG slices, where NVML cannot say how much memory there is, an
    # assertion fails while PyTorch composes its message (PyTorch issues 112377 and 185240).
    "NVML_SUCCESS == r INTERNAL ASSERT FAILED",
    "NvMapMemAlloc",
    "cudaErrorMemoryAllocation",
    "CUBLAS_STATUS_ALLOC_FAILED",
    # cuBLAS has no memory for its handle; PyTorch creates one for each thread.
    "CUBLAS_STATUS_NOT_INITIALIZED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION",
    "CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION",
    "CUSOLVER_STATUS_ALLOC_FAILED",
    "CUSPARSE_STATUS_ALLOC_FAILED",
)

#: The variables by which a user configures PyTorch's memory on a GPU.
ALLOCATOR = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")

#: Share of the memory that is left to the machine where GPU and CPU have the same, and the least
#: that PyTorch may use of it.
_LEFT = _LEAST = 0.1

_log = logging.getLogger(__name__)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether ``error`` means that memory ran out, of the device or of the machine."""
    if isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in SIGNS)


def leave_memory(device: torch.device) -> None:
    """Restrict PyTorch to less than all memory where a GPU shares it with the CPU, as on a Jetson.

    Left alone, it would take what there is, and Linux would end a process before PyTorch ever
    reports that memory ran out, which is what dividing a cloud waits for. To be called before a
    model is loaded; a share that the environment sets for PyTorch stays.
    """
    if device.type != "cuda":
        return
    properties = torch.cuda.get_device_properties(device)
    chosen = any("per_process_memory_fraction" in os.environ.get(name, "") for name in ALLOCATOR)
    available, _ = available_and_total()
    if not properties.is_integrated or chosen or available is None:
        return
    reserved = torch.cuda.memory_reserved(device)  # by this process, so not available any more
    usable = available * 2**20 + reserved
    share = min(max(usable / properties.total_memory - _LEFT, _LEAST), 1.0)
    allow_memory(device, share)
    _log.info("the GPU shares the CPU's memory: PyTorch may use %.0f %% of it", 100 * share)


def allow_memory(device: torch.device, share: float) -> None:
    """Let PyTorch use this share, 0 to 1, of the memory of a GPU; beyond it, memory ran out."""
    # It refuses a device without an index, like that of ``device: auto``; None is the current one.
    torch.cuda.set_per_process_memory_fraction(share, device.index)
