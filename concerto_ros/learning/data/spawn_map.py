# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A function of many jobs, computed in processes of one thread each."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

import torch
from tqdm import tqdm

Job = TypeVar("Job")
Result = TypeVar("Result")


def spawn_map(
    function: Callable[[Job], Result],
    jobs: Sequence[Job],
    processes: int | None = None,
    *,
    chunk: int = 1,
    unit: str = "job",
) -> list[Result]:
    """``function`` of each job, in their order, under a progress bar that counts ``unit``.

    processes: None for one per core; one job, or one process, takes this process itself.
    chunk: how many jobs a process is handed at once.

    Raises what ``function`` raises; BrokenProcessPool (a RuntimeError) where a process is killed.
    """
    processes = processes or os.cpu_count() or 1
    if processes == 1 or len(jobs) <= 1:
        return [function(job) for job in tqdm(jobs, unit=unit)]
    # Fresh processes: those of a fork would share locks that threads of this one may hold.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, initializer=_one_thread) as pool:
        made = pool.map(function, jobs, chunksize=chunk)
        return list(tqdm(made, total=len(jobs), unit=unit))


def _one_thread() -> None:
    torch.set_num_threads(1)
