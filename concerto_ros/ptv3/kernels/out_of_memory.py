# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Recognising PyTorch's errors when memory runs out."""

from __future__ import annotations

import torch

#: Parts of the messages of PyTorch's CPU allocator and of the CUDA libraries.
SIGNS = ("DefaultCPUAllocator", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED")


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether ``error`` means that memory ran out, of the device or of the machine."""
    if isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in SIGNS)
