# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Training in several processes that share the work of every step and its result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from threading import Barrier

import torch


@dataclass(frozen=True)
class Meeting:
    """What processes meet by: a barrier, and (2, size, bytes) uint8 memory that all of them see.

    There are two halves of the memory, for use in turn: a process that has left the barrier may
    fill one half while others still read the other.
    """

    barrier: Barrier
    memory: torch.Tensor


class Team:
    """Processes that take the same steps; by default this one alone.

    Attributes
    ----------
    rank: which of them this process is. The first, 0, writes files and shows progress.
    size: how many there are.
    """

    def __init__(self, rank: int = 0, size: int = 1, meeting: Meeting | None = None):
        self.rank, self.size = rank, size
        self._meeting = meeting
        self._turn = 0

    def share(self, count: int) -> range:
        """Which of ``count`` equal pieces of work are this process's."""
        return range(self.rank, count, self.size)

    def add_up(self, tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """The sum of each of some CPU tensors of one type over the processes, equal in all."""
        if self.size == 1:
            return list(tensors)
        memory = self._room()
        for tensor, place in zip(tensors, _split(memory[self.rank], tensors), strict=True):
            place.copy_(tensor)
        self._meeting.barrier.wait()
        places = [_split(row, tensors) for row in memory]
        return [reduce(torch.add, terms) for terms in zip(*places, strict=True)]

    def map(
        self,
        function: Callable[[torch.Tensor], torch.Tensor],
        tensors: Sequence[torch.Tensor],
    ) -> list[torch.Tensor]:
        """``function`` of each of some CPU tensors of one type, each worked out by one process.

        What the function makes has the shape of what it gets. It holds until the next call but
        one of this or of :meth:`add_up`.
        """
        if self.size == 1:
            return [function(tensor) for tensor in tensors]
        places = _split(self._room()[0], tensors)
        largest_first = sorted(range(len(tensors)), key=lambda i: -tensors[i].numel())
        for turn in self.share(len(tensors)):
            place = largest_first[turn]
            places[place].copy_(function(tensors[place]))
        self._meeting.barrier.wait()
        return places

    def _room(self) -> torch.Tensor:
        self._turn = 1 - self._turn
        return self._meeting.memory[self._turn]


def _split(memory: torch.Tensor, like: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Views of the memory of one process, one after the other, laid out as these tensors."""
    sizes = [tensor.numel() for tensor in like]
    parts = memory[: sum(sizes) * like[0].element_size()].view(like[0].dtype).split(sizes)
    dense = [torch.empty_like(tensor, device="meta") for tensor in like]
    return [
        part.as_strided(tensor.shape, tensor.stride(), part.storage_offset())
        for part, tensor in zip(parts, dense, strict=True)
    ]
