# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Training in several processes of this machine."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import torch
from torch import multiprocessing

from concerto_ros.learning.training import openblas
from concerto_ros.learning.training.team import Meeting, Team
from concerto_ros.learning.training.trainer import Outcome, Trainer
from concerto_ros.ptv3.cpu.allocation import keep_freed_memory
from concerto_ros.ptv3.cpu.matmul import replace_products

#: Where Linux keeps memory that processes share; 64 MB in a container of Docker's.
SHARED_MEMORY = Path("/dev/shm")


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
