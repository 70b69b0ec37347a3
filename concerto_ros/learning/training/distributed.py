# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which of the processes that train together this one is; torch.distributed, or one process."""

from __future__ import annotations

import torch
from torch import distributed

__all__ = ["own_share", "rank", "sum_over_processes", "world_size"]


def rank() -> int:
    """The place of this process; the first, 0, writes files and shows progress."""
    return distributed.get_rank() if _grouped() else 0


def world_size() -> int:
    """How many processes train together."""
    return distributed.get_world_size() if _grouped() else 1


def own_share(count: int) -> range:
    """Which of ``count`` equal pieces of work are this process's."""
    return range(rank(), count, world_size())


def sum_over_processes(tensor: torch.Tensor) -> torch.Tensor:
    """A contiguous CPU tensor becomes its sum over the processes, the same bits in all of them."""
    if world_size() > 1:
        distributed.all_reduce(tensor)
    return tensor


def _grouped() -> bool:
    return distributed.is_available() and distributed.is_initialized()
