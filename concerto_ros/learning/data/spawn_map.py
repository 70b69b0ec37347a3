# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Parallel map over processes of one thread each."""

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
    """Map ``function`` over ``jobs`` in parallel, with a progress bar.

    Args:
        function: Called with each job; has to be picklable, as do jobs and results.
        jobs: Arguments of the calls.
        processes: Number of processes; None: one per core. With one process, or a single job,
            everything runs in the calling process.
        chunk: Number of jobs sent to a process at once.
        unit: What the progress bar counts.

    Returns:
        The results, in the order of the jobs.

    Raises:
        BrokenProcessPool: A process was killed (a RuntimeError). Exceptions of ``function`` are
            raised as they are.
    """
    processes = processes or os.cpu_count() or 1
    if processes == 1 or len(jobs) <= 1:
        return [function(job) for job in tqdm(jobs, unit=unit)]
    # Spawned, not forked: a fork would inherit locks that threads of this process may hold.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, initializer=_one_thread) as pool:
        results = pool.map(function, jobs, chunksize=chunk)
        return list(tqdm(results, total=len(jobs), unit=unit))


def _one_thread() -> None:
    torch.set_num_threads(1)
