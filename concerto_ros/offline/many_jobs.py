# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Many bags: in this process, on several processes and GPUs, or on a Ray cluster."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from concerto_ros.bags.reader import BagError
from concerto_ros.bags.storage.recording_files import is_bag
from concerto_ros.files.listing import visible
from concerto_ros.offline.job import Job, run_job
from concerto_ros.offline.unfinished_bag import BagInUseError

#: The result of a job: its summary, or the error.
Outcome = dict[str, Any] | Exception

#: How long a machine of a cluster waits for a bag that another one holds, seconds. An NFS server
#: releases the locks of a machine that died after 90.
LOCK_PATIENCE = 120.0

#: Index of this process in its pool.
_process_index = 0

_PR_SET_PDEATHSIG = 1


def find_bags(folder: Path) -> list[Path]:
    """Find the bags at and below ``folder``, sorted by name.

    A folder with a metadata.yaml, or with .db3 or .mcap files, is one bag, as is a single such
    file. Folders whose names begin with a dot are not searched.

    Raises:
        BagError: There is no bag.
    """
    bags = list(_bags(folder)) if folder.is_dir() else [folder]
    bags = bags or visible(folder.rglob("*.bag"), folder)  # of ROS 1, each refused with a remedy
    if not bags:
        raise BagError(
            f"there is no bag in {folder}: expected a metadata.yaml, .db3 or .mcap file"
        )
    return bags


def plan_jobs(job: Job) -> list[Job]:
    """Split a job for a folder of bags into one job per bag.

    The outputs then have the same layout in ``job.out`` as the bags in the folder; bags in
    ``job.out`` are not labelled again.

    Args:
        job: A job whose source is a bag or a folder of bags.

    Returns:
        ``job`` itself if its source is a bag.

    Raises:
        BagError: There is no bag, the source is ``job.out`` or inside it, or ``job.out`` is inside
            a bag.
    """
    if job.source.resolve().is_relative_to(job.out.resolve()):
        raise BagError(
            f"OUT: got {job.out}, which is IN ({job.source}) or contains it, expected a new bag or"
            " folder beside IN"
        )
    bags = find_bags(job.source)
    if bags == [job.source]:
        if job.out.resolve().is_relative_to(job.source.resolve()):
            raise BagError(
                f"OUT: got {job.out}, which is inside the bag {job.source}, expected a path beside"
                " IN"
            )
        return [job]
    return [
        replace(job, source=bag, out=job.out / bag.relative_to(job.source))
        for bag in bags
        if not bag.resolve().is_relative_to(job.out.resolve())
    ]


def default_processes() -> int:
    """Return the number of GPUs that PyTorch sees, at least one."""
    return max(1, torch.cuda.device_count())


def run_here(jobs: Sequence[Job]) -> Iterator[tuple[Job, Outcome]]:
    """Run jobs one after the other, in this process.

    Yields:
        Each job and its result.
    """
    for job in jobs:
        try:
            yield job, run_job(job, show=True)
        except (ValueError, OSError, RuntimeError) as error:
            yield job, error


def run_in_processes(jobs: Sequence[Job], processes: int) -> Iterator[tuple[Job, Outcome]]:
    """Run jobs in processes, each with an equal number of cores and with a GPU if available.

    If a process is killed, the others end with it. Their jobs are then run again, one at a time,
    so that only the job whose process is killed again fails.

    Args:
        jobs: The jobs.
        processes: Number of processes.

    Yields:
        Each job and its result, in the order in which they end.
    """
    threads = max(1, (os.cpu_count() or 1) // processes)
    left = deque(jobs)
    while left:
        for job in (yield from _run_in_pool(left, processes, threads)):
            if (yield from _run_in_pool(deque([job]), 1, threads)):
                text = "its process was killed, perhaps out of memory; finished segments are kept"
                yield job, RuntimeError(text)


def _run_in_pool(
    left: deque[Job], processes: int, threads: int
) -> Generator[tuple[Job, Outcome], None, list[Job]]:
    """Run jobs from ``left`` until none is left or a process was killed.

    Returns:
        The jobs that ended because a process was killed.
    """
    context = multiprocessing.get_context("spawn")  # CUDA cannot be used after a fork
    indices = context.Queue()
    for index in range(processes):
        indices.put(index)
    arguments = (indices, threads, os.getpid())
    running: dict[Future, Job] = {}
    broken: list[Job] = []
    intact = True
    with ProcessPoolExecutor(processes, context, _begin_process, arguments) as pool:
        while running or (left and intact):
            # Submit no more than can run: a waiting job would count as broken as well.
            while intact and left and len(running) < processes:
                try:
                    running[pool.submit(_run_in_process, left[0])] = left[0]
                    left.popleft()
                except BrokenProcessPool:
                    intact = False
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                job, error = running.pop(future), future.exception()
                if isinstance(error, BrokenProcessPool):
                    intact = False
                    broken.append(job)
                else:
                    yield job, error if isinstance(error, Exception) else future.result()
    return broken


def run_on_ray(jobs: Sequence[Job], address: str) -> Iterator[tuple[Job, Outcome]]:
    """Run jobs on a Ray cluster, whose machines share the files under the same paths.

    The jobs of a machine that dies are resumed on the others, up to three times each.

    Args:
        jobs: The jobs.
        address: As for ``ray.init``: ``auto``, ``ray://host:10001``, or ``local`` for this machine
            alone.

    Yields:
        Each job and its result, in the order in which they end.

    Raises:
        ImportError: Ray is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise ImportError("--ray needs the Python package 'ray': pip install ray") from error
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # of a cluster that starts here
    ray.init(address=address, log_to_driver=False)
    try:
        has_gpus = ray.cluster_resources().get("GPU", 0) > 0
        remote = ray.remote(num_cpus=1, num_gpus=1 if has_gpus else 0)(run_when_free)
        running = {remote.remote(_absolute(job)): job for job in jobs}
        while running:
            (done,), _ = ray.wait(list(running), num_returns=1)
            job = running.pop(done)
            try:
                yield job, ray.get(done)
            except ray.exceptions.RayTaskError as error:
                yield job, error.cause
            except ray.exceptions.RayError as error:
                yield job, error
    finally:
        ray.shutdown()


def run_when_free(job: Job, patience: float = LOCK_PATIENCE) -> dict[str, Any]:
    """Run a job whose bag a machine that died may still hold.

    Args:
        job: What to label, and how.
        patience: How long to wait for the bag, seconds.

    Returns:
        The summary of the bag.

    Raises:
        BagInUseError: Another process is still writing the bag.
    """
    end = time.monotonic() + patience
    while True:
        try:
            return run_job(job)
        except BagInUseError:
            if time.monotonic() >= end:
                raise
            time.sleep(min(1.0, patience))


def _bags(folder: Path) -> Iterator[Path]:
    if is_bag(folder):
        yield folder
        return
    for path in visible(folder.iterdir(), folder):
        if path.is_dir():
            yield from _bags(path)


def _absolute(job: Job) -> Job:
    config = job.config and job.config.resolve()
    return replace(job, source=job.source.resolve(), out=job.out.resolve(), config=config)


def _begin_process(indices: Any, threads: int, parent: int) -> None:
    """Set the index and threads of this process, which ends when its parent does."""
    global _process_index
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent was killed before the request
            os._exit(1)
    _process_index = indices.get()
    torch.set_num_threads(threads)


def _run_in_process(job: Job) -> dict[str, Any]:
    """Run a job on the GPU of this process, unless the job names a device."""
    gpus = torch.cuda.device_count()
    if gpus and job.overrides.get("device", "auto") == "auto":
        job = replace(job, overrides={**job.overrides, "device": f"cuda:{_process_index % gpus}"})
    return run_job(job)
