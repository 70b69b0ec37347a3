# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Seeds, and the two ways to say which cloud of a batch a point belongs to."""

from __future__ import annotations

import os
import random

import numpy as np
import torch


def set_seed(seed: int | None = None) -> None:
    """Seed the random numbers of Python, NumPy and PyTorch, and make cuDNN repeat its results.

    Args:
        seed: 0 to 2**32 - 1; None: one from the operating system.

    Raises:
        ValueError: the seed is out of range.
    """
    if seed is None:
        seed = int.from_bytes(os.urandom(4), "little")
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed is {seed}, expected 0 to {2**32 - 1}")
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    os.environ["PYTHONHASHSEED"] = str(seed)  # for processes that are started from now on


def offset2bincount(offset: torch.Tensor) -> torch.Tensor:
    """Return the sizes of the clouds, (B,), from their cumulative sizes (B,)."""
    return torch.diff(offset, prepend=offset.new_zeros(1))


def bincount2offset(bincount: torch.Tensor) -> torch.Tensor:
    """Return the cumulative sizes of the clouds, (B,), from their sizes (B,)."""
    return torch.cumsum(bincount, dim=0)


def offset2batch(offset: torch.Tensor) -> torch.Tensor:
    """Return the cloud of each row, (N,) int64, from the cumulative sizes (B,)."""
    sizes = offset2bincount(offset)
    return torch.arange(len(sizes), device=offset.device).repeat_interleave(sizes)


def batch2offset(batch: torch.Tensor) -> torch.Tensor:
    """Return the cumulative sizes (B,) int64 from the cloud of each row, (N,) integers."""
    return torch.cumsum(batch.bincount(), dim=0)
