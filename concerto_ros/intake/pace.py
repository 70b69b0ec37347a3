# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""When the next message of an input is taken: at most ``input_rate`` of them a second."""

from __future__ import annotations

from typing import Protocol

from concerto_ros.intake.inputs import Input
from concerto_ros.settings.settings import Settings


class HasSettings(Protocol):
    """Whatever knows the settings in force; they may change while it is used."""

    @property
    def settings(self) -> Settings:
        """The settings, presets filled in."""


class Pace(Protocol):
    """When messages are taken; times are nanoseconds."""

    def may_take(self, source: Input, now: int) -> bool:
        """Whether a message of ``source`` may be taken ``now``."""

    def took(self, source: Input, now: int) -> None:
        """A message of ``source`` was taken."""


class EvenPace:
    """For sensors: the next message once the period has passed and none waits any more.

    A message that waits for its transform does not make others wait with it: they supersede each
    other in the mailbox.
    """

    def __init__(self, parameters: HasSettings):
        self._parameters = parameters
        self._due: dict[str, int] = {}

    def may_take(self, source: Input, now: int) -> bool:
        return not source.waiting and now >= self.due(source)

    def took(self, source: Input, now: int) -> None:
        self._due[source.name] = now + round(1e9 / self._parameters.settings.input_rate)

    def due(self, source: Input) -> int:
        """The earliest time of the next message."""
        return self._due.get(source.name, 0)


class TurnPace:
    """For logs: one message in each turn, counted from ``start`` whenever reading begins."""

    def __init__(self, rate: float, start: int):
        self._rate, self._start = rate, start
        self._turns: dict[str, int] = {}

    def may_take(self, source: Input, now: int) -> bool:
        return self._turn(now) != self._turns.get(source.name)

    def took(self, source: Input, now: int) -> None:
        self._turns[source.name] = self._turn(now)

    def _turn(self, now: int) -> int:
        return int((now - self._start) * self._rate // 1e9)
