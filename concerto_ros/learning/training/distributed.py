# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Rank, shares of work and sums over training processes; also valid in a single process."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import distributed, nn

#: Elements that are summed in one operation, some 2 MB.
_CHUNK = 1 << 19

__all__ = ["SharedGradients", "own_share", "rank", "sum_over_processes", "world_size"]


def rank() -> int:
    """Rank of this process; the process with rank 0 writes files and shows progress."""
    return distributed.get_rank() if _grouped() else 0


def world_size() -> int:
    """Number of training processes."""
    return distributed.get_world_size() if _grouped() else 1


def own_share(count: int) -> range:
    """Indices of those of ``count`` equal pieces of work that this process does."""
    return range(rank(), count, world_size())


def sum_over_processes(*tensors: torch.Tensor) -> None:
    """Replace contiguous CPU tensors in place by their sums over all processes.

    All processes get the same bits: the order of summation depends only on the tensors' sizes and
    the number of processes.
    """
    if world_size() == 1:
        return
    # In chunks, so that some are summed while others are transferred.
    chunks = [chunk for tensor in tensors for chunk in tensor.view(-1).split(_CHUNK)]
    for work in [distributed.all_reduce(chunk, async_op=True) for chunk in chunks]:
        work.wait()


class SharedGradients:
    """The gradients of all parameters in one vector, which the processes sum at once.

    Args:
        parameters: Each one's ``grad`` becomes a view of the vector.
    """

    def __init__(self, parameters: Iterable[nn.Parameter]):
        parameters = list(parameters)
        sizes = [parameter.numel() for parameter in parameters]
        self._vector = torch.zeros(sum(sizes))
        for parameter, values in zip(parameters, self._vector.split(sizes), strict=True):
            parameter.grad = values.as_strided(
                parameter.shape, parameter.stride(), values.storage_offset()
            )

    def zero(self) -> None:
        """Begin a step."""
        self._vector.zero_()

    def sum(self, numbers: torch.Tensor) -> None:
        """Replace the gradients, and the contiguous ``numbers``, by their sums."""
        sum_over_processes(self._vector, numbers)


def _grouped() -> bool:
    return distributed.is_available() and distributed.is_initialized()
