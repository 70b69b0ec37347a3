# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages of the time before ``/clock`` went back, which were still on the way."""

from __future__ import annotations

import time
from typing import Any

from rclpy.clock import Clock

from concerto_ros.sensors.input_error import InputError
from concerto_ros.sensors.message_fields import stamp_ns

#: For how long such messages are expected after the jump, seconds.
ON_THE_WAY = 2.0

#: Nanoseconds by which a stamp may be ahead of ``/clock``, which comes in steps.
STEP = 200_000_000


class LateMessages:
    """Recognises them by stamps far ahead of the clock.

    One that reached the map would be its newest frame, and every message of the new time too old.
    """

    def __init__(self, clock: Clock):
        """Start with a clock that has not gone back."""
        self._clock = clock
        self._ahead, self._until = 0, 0.0

    def clock_went_back(self, by: int) -> None:
        """Expect messages of the time before the clock went back ``by`` nanoseconds."""
        self._ahead = max(by // 2, STEP)
        self._until = time.monotonic() + ON_THE_WAY

    def has(self, message: Any) -> bool:
        """Whether a message with a header is one of them."""
        if time.monotonic() >= self._until:
            return False
        try:
            return stamp_ns(message) - self._clock.now().nanoseconds > self._ahead
        except InputError:  # no stamp that could be read; the intake names the fault
            return False
