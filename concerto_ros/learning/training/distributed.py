# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which of the processes that train together this one is; torch.distributed, or one process."""

from __future__ import annotations

import torch
from torch import distributed

#: Numbers that are added up at once, some 2 MB.
_PART = 1 << 19

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


def sum_over_processes(*tensors: torch.Tensor) -> None:
    """Contiguous CPU tensors become their sums over the processes, the same bits in all of them.

    The order of a sum follows from the tensors' sizes and the number of processes.
    """
    if world_size() == 1:
        return
    # In parts, so that some are added while others are under way.
    parts = [part for tensor in tensors for part in tensor.view(-1).split(_PART)]
    for work in [distributed.all_reduce(part, async_op=True) for part in parts]:
        work.wait()


def _grouped() -> bool:
    return distributed.is_available() and distributed.is_initialized()
