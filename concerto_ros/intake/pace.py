# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""When the next message of an input is taken: at most ``input_rate`` per second."""

from __future__ import annotations

from typing import Protocol

from concerto_ros.intake.inputs import Input
from concerto_ros.settings.settings import Settings


class HasSettings(Protocol):
    """Holds the settings in force, which may change."""

    @property
    def settings(self) -> Settings:
        """The settings, presets filled in."""


class Pace(Protocol):
    """Decides when messages are taken; times are nanoseconds."""

    def may_take(self, source: Input, now: int) -> bool:
        """Return whether a message of ``source`` may be taken ``now``."""

    def took(self, source: Input, now: int) -> None:
        """Note that a message of ``source`` was taken ``now``."""


class EvenPace:
    """For live sensors: the next message once the period has passed and none waits any more.

    While a message waits for its transform, newer ones supersede each other in the mailbox.
    """

    def __init__(self, parameters: HasSettings):
        self._parameters = parameters
        self._due: dict[str, int] = {}

    def may_take(self, source: Input, now: int) -> bool:
        """Implement :meth:`Pace.may_take`."""
        return not source.waiting and now >= self.due(source)

    def took(self, source: Input, now: int) -> None:
        """Implement :meth:`Pace.took`."""
        self._due[source.name] = now + round(1e9 / self._parameters.settings.input_rate)

    def due(self, source: Input) -> int:
        """Return the earliest time at which the next message may be taken."""
        return self._due.get(source.name, 0)


class TurnPace:
    """For bags: one message per input in each interval of ``1 / rate`` seconds since ``start``.

    The intervals are the same wherever in the bag reading begins.
    """

    def __init__(self, rate: float, start: int):
        """Take ``rate`` messages per second, in intervals from ``start``, nanoseconds."""
        self._rate, self._start = rate, start
        self._intervals: dict[str, int] = {}

    def may_take(self, source: Input, now: int) -> bool:
        """Implement :meth:`Pace.may_take`."""
        return self._interval(now) != self._intervals.get(source.name)

    def took(self, source: Input, now: int) -> None:
        """Implement :meth:`Pace.took`."""
        self._intervals[source.name] = self._interval(now)

    def _interval(self, now: int) -> int:
        return int((now - self._start) * self._rate // 1e9)
