# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The order of stamps of one input: late messages, and time that went back."""

from __future__ import annotations

from concerto_ros.sensors.input_error import InputError

#: This many messages in a row from before the window mean that time went back.
RESTART_AFTER = 3


class StampGate:
    """Admits the messages of one input in the order of their stamps.

    A stamp older than the newest by less than ``window`` is out of order. Older ones are too,
    until the third in a row shows that a bag restarted or a clock was set back; where several
    publishers share a topic, not before only such messages arrived for ``lasting`` seconds.
    """

    def __init__(self, window: int, lasting: float = 0.0):
        """Start without a stamp.

        Args:
            window: Nanoseconds that the map keeps voxels.
            lasting: Seconds for which only older stamps must arrive.
        """
        self._window, self._lasting = window, lasting
        self._newest: int | None = None
        self._from_before, self._since = 0, 0.0

    def admit(self, stamp: int, now: float = 0.0) -> bool:
        """Check the stamp of a valid message.

        Args:
            stamp: Nanoseconds.
            now: Seconds of a clock that never goes back, used for ``lasting`` only.

        Returns:
            Whether time went back: the message is the first of the new time.

        Raises:
            InputError: ``out_of_order``: the message must be dropped.
        """
        age = 0 if self._newest is None else self._newest - stamp
        if age <= 0:
            self._newest = stamp
            self._from_before = 0
            return False
        self._from_before = self._from_before + 1 if age > self._window else 0
        if self._from_before == 1:
            self._since = now
        if self._from_before >= RESTART_AFTER and now - self._since >= self._lasting:
            self.reset()
            self._newest = stamp
            return True
        raise InputError(
            "out_of_order",
            f"header.stamp: got a stamp {age / 1e9:.3f} s older than the newest of its input,"
            " expected ascending stamps",
        )

    def reset(self) -> None:
        """Forget the newest stamp."""
        self._newest = None
        self._from_before = 0
