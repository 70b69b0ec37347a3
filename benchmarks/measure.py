# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Description of the machine, and measurement of time and memory."""

from __future__ import annotations

import os
import platform
import re
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from concerto_ros.ros.monitoring.memory_use import release_unused_memory

#: Runs of one measurement: least, most, and the total seconds after which no more are started.
MIN_RUNS, MAX_RUNS, ENOUGH_SECONDS = 3, 30, 6.0


def machine(device: torch.device) -> dict[str, object]:
    """What the numbers were measured on; no names of hosts or people."""
    about: dict[str, object] = {
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        "memory_gb": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    if device.type == "cuda":
        about["gpu"] = torch.cuda.get_device_name(device)
        about["cuda"] = torch.version.cuda
    about["load_before"] = round(os.getloadavg()[0], 1)
    return about


def kind(about: dict[str, object]) -> str:
    """The type of the machine as a file name, e.g. ``amd-epyc-2-cores``."""
    words = str(about.get("gpu") or f"{about['cpu']} {about['cores']} cores")
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")


def synchronise(device: torch.device) -> None:
    """Wait until the device has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Wall time of one run."""
    synchronise(device)
    start = time.perf_counter()
    work()
    synchronise(device)
    return time.perf_counter() - start


def runs(work: Callable[[], object], device: torch.device, most: int = MAX_RUNS) -> list[float]:
    """Wall times of several runs, at most so many, after one to warm up."""
    work()
    spent: list[float] = []
    least = min(MIN_RUNS, most)
    while len(spent) < least or sum(spent) < ENOUGH_SECONDS and len(spent) < most:
        spent.append(seconds(work, device))
    return spent


def peak_memory(work: Callable[[], object], device: torch.device) -> float | None:
    """MB that one run needs on top of what was allocated before; None if not measurable."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        work()
        return (torch.cuda.max_memory_allocated(device) - before) / 1e6
    release_unused_memory()
    try:
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    except OSError:
        return None
    before = _resident("VmRSS")
    work()
    return (_resident("VmHWM") - before) / 1e3


def product_rate(dtype: torch.dtype, device: torch.device) -> float:
    """GFLOP/s of PyTorch's matmul of two 2048 x 2048 matrices: the best of three runs."""
    left = torch.ones(2048, 2048, dtype=dtype, device=device)
    left @ left
    return 2 * 2048**3 / min(seconds(lambda: left @ left, device) for _ in range(3)) / 1e9


def percentiles(values: list[float]) -> dict[str, float]:
    """p50, p95 and p99."""
    if len(values) == 1:
        values = values * 2
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return {"p50": cuts[49], "p95": cuts[94], "p99": cuts[98]}


def _cpu_name() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    found = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def _resident(field: str) -> float:
    """A value of ``/proc/self/status`` in kB, by its name there."""
    text = Path("/proc/self/status").read_text()
    return float(re.search(rf"^{field}:\s*(\d+) kB", text, re.MULTILINE)[1])
