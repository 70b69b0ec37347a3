# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How long each stage takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class Stopwatch:
    """Collects the milliseconds of named stages, in the order in which they run."""

    def __init__(self) -> None:
        self.milliseconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str, device: torch.device | None = None) -> Iterator[None]:
        """Time the body; work queued on a CUDA ``device`` is waited for."""
        start = time.perf_counter()
        yield
        if device is not None and device.type == "cuda":
            torch.cuda.synchronize(device)
        elapsed = (time.perf_counter() - start) * 1e3
        self.milliseconds[stage] = self.milliseconds.get(stage, 0.0) + elapsed
