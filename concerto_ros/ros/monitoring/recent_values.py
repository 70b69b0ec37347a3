# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What was measured lately: for rates, ages and latencies."""

from __future__ import annotations

import math
import time
from collections import deque
from dataclasses import dataclass

#: Windows hold the values of the last so many seconds.
WINDOW = 5.0

#: Most values kept of a window; a faster input is measured over a shorter one.
MAX_VALUES = 4096


class Recent:
    """What was measured in the last :data:`WINDOW` seconds, with the time it was."""

    def __init__(self) -> None:
        self._values: deque[tuple[float, float]] = deque(maxlen=MAX_VALUES)
        self._since = time.monotonic()

    def add(self, value: float) -> None:
        self._values.append((time.monotonic(), value))

    def window(self) -> Window:
        """The values that are recent now."""
        now = time.monotonic()
        while self._values and self._values[0][0] < now - WINDOW:
            self._values.popleft()
        full = len(self._values) == MAX_VALUES
        start = self._values[0][0] if full else max(self._since, now - WINDOW)
        return Window(tuple(value for _, value in self._values), now - start)


@dataclass(frozen=True)
class Window:
    """Values measured in the last ``seconds``."""

    values: tuple[float, ...] = ()
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Values a second."""
        return len(self.values) / self.seconds if self.seconds > 0 else 0.0

    @property
    def known(self) -> list[float]:
        """The values that are not NaN."""
        return [value for value in self.values if not math.isnan(value)]
