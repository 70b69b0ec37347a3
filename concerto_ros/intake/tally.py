# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Message accounting: received = fused + dropped + still waiting, by input and by reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Protocol

from concerto_ros.mapping.voxel_map import Insertion
from concerto_ros.sensors.frame import Frame
from concerto_ros.sensors.input_error import REASONS


class Tally(Protocol):
    """Counts the messages of each input as received, fused or dropped.

    An RGB-D pair is one message, and so is an image that finds no partner.
    """

    def received(self, name: str, count: int = 1, stamp: int = 0) -> None:
        """Count received messages of an input; ``stamp`` in nanoseconds, 0 where unknown."""

    def dropped(self, name: str, reason: str, text: str = "", count: int = 1) -> None:
        """Count dropped messages of an input; ``reason`` is a key of ``REASONS``."""

    def fused(
        self, name: str, frame: Frame, insertion: Insertion, stage_ms: dict[str, float]
    ) -> None:
        """Count a fused frame; ``stage_ms`` has the milliseconds of each stage."""

    def restarted(self, why: str) -> None:
        """Count that time went back and the map was cleared."""


class NoTally(Tally):
    """Ignores everything."""

    def received(self, name: str, count: int = 1, stamp: int = 0) -> None:
        """Ignore it."""

    def dropped(self, name: str, reason: str, text: str = "", count: int = 1) -> None:
        """Ignore it."""

    def fused(
        self, name: str, frame: Frame, insertion: Insertion, stage_ms: dict[str, float]
    ) -> None:
        """Ignore it."""

    def restarted(self, why: str) -> None:
        """Ignore it."""


@dataclass
class InputCounts:
    """Message counts of one input.

    Attributes:
        received: All messages.
        fused: Those in the map.
        drops: Dropped ones by reason, a key of ``REASONS``.
    """

    received: int = 0
    fused: int = 0
    drops: Counter[str] = field(default_factory=Counter)

    def drop(self, reason: str, text: str, count: int = 1) -> str:
        """Count dropped messages.

        Args:
            reason: A key of ``REASONS``.
            text: What was wrong; empty: the meaning of the reason.
            count: Number of messages.

        Returns:
            The text to print, as valid UTF-8.
        """
        if reason not in REASONS:
            raise KeyError(f"reason: got {reason!r}, expected one of {sorted(REASONS)}")
        self.drops[reason] += count
        # Names in messages may contain invalid UTF-8, which files, logs and diagnostics cannot.
        return (text or REASONS[reason]).encode("utf-8", "backslashreplace").decode()
