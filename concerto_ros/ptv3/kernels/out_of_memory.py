# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Recognising PyTorch's errors when memory runs out."""

from __future__ import annotations

import torch

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


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether ``error`` means that memory ran out, of the device or of the machine."""
    if isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in SIGNS)
