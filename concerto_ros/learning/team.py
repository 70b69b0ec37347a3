# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Training in several processes that share the work of every step and its result."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from threading import Barrier
from typing import TYPE_CHECKING

import torch
from torch import multiprocessing

from concerto_ros.learning import openblas
from concerto_ros.ptv3.allocation import keep_freed_memory
from concerto_ros.ptv3.products import replace_products

if TYPE_CHECKING:
    from concerto_ros.learning.trainer import Outcome, Trainer

#: Where Linux keeps memory that processes share; 64 MB in a container of Docker's.
SHARED_MEMORY = Path("/dev/shm")


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


def run_in_processes(trainer: Trainer, processes: int) -> Outcome:
    """Train as ``trainer.run()`` does, the batches of a step spread over processes.

    Each computes with one thread: two of them are half as fast again as one of two threads. The
    result does not depend on their number. ``trainer`` has the weights afterwards. Raises
    ValueError unless its ``accumulate`` is a multiple of ``processes``, OSError without the shared
    memory it takes; what is raised in one of the processes ends all.
    """
    if processes < 1 or trainer.accumulate % processes:
        raise ValueError(
            f"processes is {processes}, wanted a divisor of the {trainer.accumulate} batches of "
            "a step"
        )
    context = multiprocessing.get_context("spawn")
    size = -(-trainer.shared_bytes // 64) * 64  # so that numbers of any type may begin there
    _check_room((2 * processes + 1) * size)  # and once for the weights that are handed over
    memory = torch.empty(2, processes, size, dtype=torch.uint8).share_memory_()
    meeting = Meeting(context.Barrier(processes), memory)
    wanted = openblas.environment()
    before = {name: os.environ.get(name) for name in wanted}
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result"
        os.environ.update(wanted)  # the new processes inherit it
        try:
            multiprocessing.spawn(
                _take_part, (processes, meeting, trainer, result), nprocs=processes
            )
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
        return trainer.adopt(result)


def _check_room(wanted: int) -> None:
    """OSError where less than ``wanted`` bytes can be shared; using more would end the process."""
    if not SHARED_MEMORY.is_dir():
        return
    free = shutil.disk_usage(SHARED_MEMORY).free
    if free < wanted:
        raise OSError(
            f"{SHARED_MEMORY} has {free >> 20} MB free, wanted {wanted >> 20} MB for processes "
            "that train together; for Docker: --shm-size=1g"
        )


def _take_part(rank: int, size: int, meeting: Meeting, trainer: Trainer, result: Path) -> None:
    torch.set_num_threads(1)
    keep_freed_memory()
    if openblas.helps():
        replace_products(openblas.product)
    trainer.join(Team(rank, size, meeting))
    outcome = trainer.run()
    if rank == 0:
        trainer.hand_over(result, outcome)
