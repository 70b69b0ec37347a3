# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Many bags: in this process, spread over processes and GPUs, or over machines with Ray."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from concerto_ros.bags.reader import SUFFIXES, BagError
from concerto_ros.offline.job import Job, run_job

#: What became of a job: its summary, or what went wrong.
Outcome = dict[str, Any] | Exception

#: The number of this process among those of a pool.
_place = 0

_PR_SET_PDEATHSIG = 1


def find_bags(folder: Path) -> list[Path]:
    """The bags at and below ``folder``, in the order of their names.

    A folder with a metadata.yaml, or with .db3 or .mcap files, is one bag, as is a single such
    file. Folders whose names begin with a dot are not looked into. Raises BagError where there is
    no bag.
    """
    bags = list(_bags(folder)) if folder.is_dir() else [folder]
    if not bags:
        raise BagError(f"there is no bag in {folder}: no metadata.yaml, no .db3 and no .mcap file")
    return bags


def plan_jobs(job: Job) -> list[Job]:
    """``job`` itself where its source is a bag; for a folder of bags, one for each.

    The outputs then lie in ``job.out`` as the bags lie in the folder; bags that are there already
    are not labelled again. Raises BagError where there is no bag, where the source is ``job.out``
    or lies in it, and where ``job.out`` lies in a bag.
    """
    if job.source.resolve().is_relative_to(job.out.resolve()):
        raise BagError(
            f"OUT is {job.out}, which is IN ({job.source}) or holds it; expected a new bag or"
            " folder beside IN"
        )
    bags = find_bags(job.source)
    if bags == [job.source]:
        if job.out.resolve().is_relative_to(job.source.resolve()):
            raise BagError(f"OUT ({job.out}) lies in the bag {job.source}, expected it beside IN")
        return [job]
    return [
        replace(job, source=bag, out=job.out / bag.relative_to(job.source))
        for bag in bags
        if not bag.resolve().is_relative_to(job.out.resolve())
    ]


def default_processes() -> int:
    """One for each GPU that PyTorch sees, or one."""
    return max(1, torch.cuda.device_count())


def run_here(jobs: Sequence[Job]) -> Iterator[tuple[Job, Outcome]]:
    """One after the other, in this process."""
    for job in jobs:
        try:
            yield job, run_job(job, show=True)
        except (ValueError, OSError, RuntimeError) as error:
            yield job, error


def run_in_processes(jobs: Sequence[Job], processes: int) -> Iterator[tuple[Job, Outcome]]:
    """In so many processes, each with a share of the cores and with a GPU where there are some.

    Jobs come out in the order in which they end. Where a process is killed, those beside it end
    with it; what they were at is then run again, one job at a time, so that the job whose process
    is killed once more is the one that fails.
    """
    threads = max(1, (os.cpu_count() or 1) // processes)
    left = deque(jobs)
    while left:
        for job in (yield from _run_in_pool(left, processes, threads)):
            if (yield from _run_in_pool(deque([job]), 1, threads)):
                text = "its process was killed, as where memory runs out; finished parts are kept"
                yield job, RuntimeError(text)


def _run_in_pool(
    left: deque[Job], processes: int, threads: int
) -> Generator[tuple[Job, Outcome], None, list[Job]]:
    """Take jobs from ``left`` until none is left or a process was killed.

    Returns the jobs that ended because of that.
    """
    context = multiprocessing.get_context("spawn")  # CUDA cannot be used after a fork
    places = context.Queue()
    for place in range(processes):
        places.put(place)
    begin = (places, threads, os.getpid())
    running, broken, whole = {}, [], True
    with ProcessPoolExecutor(processes, context, _begin_process, begin) as pool:
        while running or (left and whole):
            # No more than run: what waits in the pool would be taken for what was running.
            while whole and left and len(running) < processes:
                try:
                    running[pool.submit(_run_in_place, left[0])] = left[0]
                    left.popleft()
                except BrokenProcessPool:
                    whole = False
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                job, error = running.pop(future), future.exception()
                if isinstance(error, BrokenProcessPool):
                    whole = False
                    broken.append(job)
                else:
                    yield job, future.result() if error is None else error
    return broken


def run_on_ray(jobs: Sequence[Job], address: str) -> Iterator[tuple[Job, Outcome]]:
    """On the machines of a Ray cluster, which see the same files under the same paths.

    ``address`` as ``ray.init`` takes it: ``auto``, ``ray://host:10001``, or ``local`` for this
    machine alone. Raises ImportError where Ray is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise ImportError("--ray needs the Python package 'ray': pip install ray") from error
    ray.init(address=address, log_to_driver=False)
    try:
        has_gpus = ray.cluster_resources().get("GPU", 0) > 0
        remote = ray.remote(num_cpus=1, num_gpus=1 if has_gpus else 0)(run_job)
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


def _bags(folder: Path) -> Iterator[Path]:
    names = {entry.name for entry in folder.iterdir()}
    if "metadata.yaml" in names or any(name.endswith(SUFFIXES) for name in names):
        yield folder
        return
    for name in sorted(names):
        entry = folder / name
        if entry.is_dir() and not name.startswith("."):
            yield from _bags(entry)


def _absolute(job: Job) -> Job:
    config = job.config and job.config.resolve()
    return replace(job, source=job.source.resolve(), out=job.out.resolve(), config=config)


def _begin_process(places: Any, threads: int, parent: int) -> None:
    """Take a place among the processes, and end with the one that started this one."""
    global _place
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # killed before it could be asked for
            os._exit(1)
    _place = places.get()
    torch.set_num_threads(threads)


def _run_in_place(job: Job) -> dict[str, Any]:
    """Run a job on the GPU of this process, unless the job names a device."""
    gpus = torch.cuda.device_count()
    if gpus and job.overrides.get("device", "auto") == "auto":
        job = replace(job, overrides={**job.overrides, "device": f"cuda:{_place % gpus}"})
    return run_job(job)
