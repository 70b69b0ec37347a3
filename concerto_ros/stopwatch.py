# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The time that each stage of the perception takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class Stopwatch:
    """Collects the milliseconds of named stages, in the order in which they first ran.

    Use an instance as a context manager factory: ``with stopwatch("features", device): ...``.

    What is queued on a GPU is timed there: its stages follow one another on its stream, however
    far ahead the program is, and nothing waits for them before :attr:`milliseconds` is read.
    """

    def __init__(self) -> None:
        self._milliseconds: dict[str, float] = {}
        self._running: list[tuple[str, torch.cuda.Event, torch.cuda.Event]] = []

    @property
    def milliseconds(self) -> dict[str, float]:
        """The time of each stage so far; repeated stages add up. Waits for those on a GPU."""
        for stage, begin, end in self._running:
            end.synchronize()
            self._milliseconds[stage] += begin.elapsed_time(end)
        self._running.clear()
        return self._milliseconds

    @contextmanager
    def __call__(self, stage: str, device: torch.device | None = None) -> Iterator[None]:
        """Time the body of a ``with`` statement.

        Args:
            stage: the name under which the time is added to :attr:`milliseconds`.
            device: where the body computes; None: on the CPU.
        """
        on_gpu = device is not None and device.type == "cuda"
        begin = _mark(device) if on_gpu else None
        start = time.perf_counter()
        yield
        elapsed = (time.perf_counter() - start) * 1e3
        self._milliseconds[stage] = self._milliseconds.get(stage, 0.0)
        if begin is None:
            self._milliseconds[stage] += elapsed
        else:
            self._running.append((stage, begin, _mark(device)))


def _mark(device: torch.device | None) -> torch.cuda.Event:
    """Return an event that comes when the GPU has done what it was given so far."""
    event = torch.cuda.Event(enable_timing=True)
    event.record(torch.cuda.current_stream(device))
    return event
