# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The order of time of one input: what is late, and when time has started again."""

from __future__ import annotations

from concerto_ros.sensors.input_error import InputError

#: So many valid messages in a row from before the window mean that time has started again.
RESTART_AFTER = 3


class StampGate:
    """Admits the readings of one input in the order of their stamps.

    A stamp older than the newest by less than ``window`` nanoseconds is out of order. Older ones
    are too, until the third in a row shows that a bag began again or a clock was set back; where
    several may send under one name, not before they alone came for ``lasting`` seconds.
    """

    def __init__(self, window: int, lasting: float = 0.0):
        self._window, self._lasting = window, lasting
        self._newest: int | None = None
        self._from_before, self._since = 0, 0.0

    def admit(self, stamp: int, now: float = 0.0) -> bool:
        """Whether time has started again with the valid reading of ``stamp``, nanoseconds.

        ``now``: seconds of a clock that never goes back, asked for ``lasting`` alone.

        Raises ``InputError`` with the reason ``out_of_order`` for one that is to be dropped.
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
            f"header.stamp: got one {age / 1e9:.3f} s older than the newest of its input",
        )

    def reset(self) -> None:
        """Forget the newest stamp."""
        self._newest = None
        self._from_before = 0
