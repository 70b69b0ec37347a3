# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Values of the last seconds, for rates, ages and latencies."""

from __future__ import annotations

import math
import time
from collections import deque
from dataclasses import dataclass

#: Length of a window, seconds.
WINDOW = 5.0

#: Most values kept; a faster input has a shorter window.
MAX_VALUES = 4096


class Recent:
    """Collects values with the time they were added; keeps those of :data:`WINDOW` seconds."""

    def __init__(self) -> None:
        self._values: deque[tuple[float, float]] = deque(maxlen=MAX_VALUES)
        self._started = time.monotonic()

    def add(self, value: float) -> None:
        """Add a value that was measured now."""
        self._values.append((time.monotonic(), value))

    def window(self) -> Window:
        """The values of the last :data:`WINDOW` seconds."""
        now = time.monotonic()
        while self._values and self._values[0][0] < now - WINDOW:
            self._values.popleft()
        full = len(self._values) == MAX_VALUES
        start = self._values[0][0] if full else max(self._started, now - WINDOW)
        return Window(tuple(value for _, value in self._values), now - start)


@dataclass(frozen=True)
class Window:
    """Values and the time in which they were measured.

    Attributes:
        values: Oldest first; NaN where something happened without a value.
        seconds: Length of the window.
    """

    values: tuple[float, ...] = ()
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Values per second, Hz."""
        return len(self.values) / self.seconds if self.seconds > 0 else 0.0

    @property
    def not_nan(self) -> list[float]:
        """The values that are not NaN."""
        return [value for value in self.values if not math.isnan(value)]
