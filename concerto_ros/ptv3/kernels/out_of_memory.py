# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How PyTorch says that memory is not enough."""

from __future__ import annotations

import torch

#: The words of its allocator of the CPU, and of the libraries of CUDA.
SIGNS = ("DefaultCPUAllocator", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` says that memory is not enough, of the device or of the machine."""
    if isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in SIGNS)
