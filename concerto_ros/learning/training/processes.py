# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Data-parallel training in several processes of one machine, with gloo of torch.distributed."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import distributed, multiprocessing

from concerto_ros.learning.training import openblas
from concerto_ros.learning.training.run_state import load_training, save_training
from concerto_ros.learning.training.trained_weights import copy_weights
from concerto_ros.learning.training.trainer import Trainer, TrainingResult
from concerto_ros.ptv3.cpu.allocation import keep_freed_memory
from concerto_ros.ptv3.cpu.matmul import replace_products

#: Use the loopback interface only; by default gloo listens on the address of the host name.
_LOOPBACK = {"GLOO_SOCKET_IFNAME": "lo"} if Path("/sys/class/net/lo").exists() else {}

#: Seconds that a process waits after it lost the connection to another one, so that the other's
#: error, which is the cause, is the one that is reported.
_GRACE_SECONDS = 10.0


def run_in_processes(trainer: Trainer, processes: int) -> TrainingResult:
    """Train like ``trainer.run()``, with the batches of a step distributed over processes.

    Each process computes with one thread: two processes are 1.5 times as fast as one with two
    threads. The same number of processes gives the same weights, bit for bit; afterwards
    ``trainer`` has them.

    Args:
        trainer: Has to be picklable.
        processes: Number of processes, a divisor of the trainer's ``accumulate``.

    Raises:
        ValueError: ``accumulate`` is not a multiple of ``processes``, or the trainer cannot
            resume from its folder.
        ChildProcessError: A process was killed (an OSError).
        ProcessRaisedException: A process raised an exception; all of them are ended.
    """
    if processes < 1 or trainer.accumulate % processes:
        raise ValueError(
            f"processes is {processes}, expected a divisor of the {trainer.accumulate} batches of "
            "a step (accumulate)"
        )
    trainer.saved_state()  # raises here what would be a traceback in a process
    with (
        tempfile.TemporaryDirectory() as folder,
        _environment(openblas.environment() | _LOOPBACK),  # the new processes inherit it
    ):
        try:
            # Pickled, because tensors passed as they are would be shared by the processes.
            multiprocessing.spawn(
                _worker_main,
                (processes, Path(folder), pickle.dumps(trainer)),
                nprocs=processes,
            )
        except multiprocessing.ProcessExitedException as error:
            raise ChildProcessError(
                f"training stopped: {error}; the kernel kills a process when memory runs out. "
                "The same command resumes from the last saved state"
            ) from error
        state = load_training(_result(Path(folder)), {})
        copy_weights(trainer.weights.parameters, state["weights"])
        return TrainingResult(**state["outcome"])


def _worker_main(rank: int, size: int, folder: Path, pickled: bytes) -> None:
    # PyTorch interrupts the processes when the one that started them dies. In the background of a
    # shell script interrupts are ignored, and they would train on for nobody.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
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
            time.sleep(_GRACE_SECONDS)
        raise
    if rank == 0:
        weights = trainer.weights.copy(outcome.steps)
        save_training(_result(folder), {"weights": weights, "outcome": vars(outcome)})
    if size > 1:
        distributed.barrier()  # no process closes while another one still talks to it
        distributed.destroy_process_group()
        # Threads of gloo can outlive the group; at the interpreter's end they abort the process.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _result(folder: Path) -> Path:
    return folder / "result.pt"


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables while the context is open."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
