# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Training in several processes of this machine, by torch.distributed's gloo."""

from __future__ import annotations

import os
import pickle
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import distributed, multiprocessing

from concerto_ros.learning.training import openblas
from concerto_ros.learning.training.trainer import Trainer, TrainingResult
from concerto_ros.ptv3.cpu.allocation import keep_freed_memory
from concerto_ros.ptv3.cpu.matmul import replace_products

#: Processes talk over the loopback interface alone; else gloo listens where the host's name leads.
_LOOPBACK = {"GLOO_SOCKET_IFNAME": "lo"} if Path("/sys/class/net/lo").exists() else {}

#: Seconds that a process which lost another waits to be ended, so that the first error is the one
#: that is seen.
_GRACE = 10.0


def run_in_processes(trainer: Trainer, processes: int) -> TrainingResult:
    """Train as ``trainer.run()`` does, the batches of a step spread over processes.

    Each computes with one thread: two of them are half as fast again as one of two threads. The
    same number of processes gives the same weights, bit for bit; ``trainer`` has them afterwards.
    What is raised in one of the processes ends all, as ProcessRaisedException.

    Raises ValueError unless its ``accumulate`` is a multiple of ``processes``; ChildProcessError
    (an OSError) where one of them is killed.
    """
    if processes < 1 or trainer.accumulate % processes:
        raise ValueError(
            f"processes is {processes}, expected a divisor of the {trainer.accumulate} batches of "
            "a step"
        )
    with (
        tempfile.TemporaryDirectory() as folder,
        _environment(openblas.environment() | _LOOPBACK),  # the new processes inherit it
    ):
        try:
            # Pickled, not shared: every process has weights of its own.
            multiprocessing.spawn(
                _worker_main,
                (processes, Path(folder), pickle.dumps(trainer)),
                nprocs=processes,
            )
        except multiprocessing.ProcessExitedException as error:
            raise ChildProcessError(
                f"training stopped: {error}; the kernel kills a process when memory runs out. "
                "The same command resumes from what was saved last"
            ) from error
        return trainer.import_state(_result(Path(folder)))


def _worker_main(rank: int, size: int, folder: Path, pickled: bytes) -> None:
    torch.set_num_threads(1)
    keep_freed_memory()
    if openblas.helps():
        replace_products(openblas.product)
    if size > 1:
        store = distributed.FileStore(str(folder / "rendezvous"), size)
        distributed.init_process_group("gloo", store=store, rank=rank, world_size=size)
    trainer: Trainer = pickle.loads(pickled)
    try:
        outcome = trainer.run()
    except RuntimeError as error:
        if "gloo" in str(error):
            time.sleep(_GRACE)
        raise
    if rank == 0:
        trainer.export_state(_result(folder), outcome)
    if size > 1:
        distributed.destroy_process_group()


def _result(folder: Path) -> Path:
    return folder / "result.pt"


@contextmanager
def _environment(wanted: Mapping[str, str]) -> Iterator[None]:
    """Environment variables that are as they were when the body ends."""
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
