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

    Attributes:
        milliseconds: the time of each stage so far; repeated stages add up.
    """

    def __init__(self) -> None:
        self.milliseconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str, device: torch.device | None = None) -> Iterator[None]:
        """Time the body of a ``with`` statement.

        Args:
            stage: the name under which the time is added to :attr:`milliseconds`.
            device: a CUDA device whose queued work is waited for before the time is taken.
        """
        start = time.perf_counter()
        yield
        if device is not None and device.type == "cuda":
            torch.cuda.synchronize(device)
        elapsed = (time.perf_counter() - start) * 1e3
        self.milliseconds[stage] = self.milliseconds.get(stage, 0.0) + elapsed
