# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Steps and time of a training run, against its limits."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass
class Progress:
    """How far a run is, by whichever of steps and time is nearer to its end.

    Attributes:
        steps: Number of steps of the run.
        minutes: Time limit; None: none.
        step: Number of steps done.
        seconds: Duration up to the last step, including that of the run before it was resumed.
    """

    steps: int
    minutes: float | None = None
    step: int = 0
    seconds: float = 0.0
    _started: float = field(default_factory=time.monotonic, repr=False)

    def start(self) -> None:
        """Let the clock run on from the time spent before."""
        self._started = time.monotonic() - self.seconds

    def clock(self) -> float:
        """Duration up to now, seconds."""
        return time.monotonic() - self._started

    @property
    def share(self) -> float:
        """0 at the beginning, 1 at the end."""
        done = self.step / self.steps
        if self.minutes is not None:
            done = max(done, self.seconds / 60 / self.minutes)
        return min(done, 1.0)

    @property
    def end(self) -> str:
        """Why the run ends now; empty if it does not."""
        if self.step >= self.steps:
            return "all steps done"
        if self.share >= 1:
            return f"the time limit of {self.minutes:g} minutes is over"
        return ""
