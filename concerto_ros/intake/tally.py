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
    """Is told what happens to the messages of each input.

    An RGB-D pair is one message, and so is an image that finds no partner.
    """

    def received(self, name: str, count: int = 1, stamp: int = 0) -> None:
        """Messages of an input came in; ``stamp`` is theirs, nanoseconds, 0 where unknown."""

    def dropped(self, name: str, reason: str, text: str = "", count: int = 1) -> None:
        """Messages of an input are not used; ``reason`` is a key of ``REASONS``."""

    def fused(
        self, name: str, frame: Frame, insertion: Insertion, stage_ms: dict[str, float]
    ) -> None:
        """A frame is in the map."""

    def restarted(self, why: str) -> None:
        """Time began again and the map was cleared."""


class NoTally(Tally):
    """Counts nothing."""


@dataclass
class InputCounts:
    """Messages of one input; ``drops`` by reason."""

    received: int = 0
    fused: int = 0
    drops: Counter[str] = field(default_factory=Counter)

    def drop(self, reason: str, text: str, count: int = 1) -> str:
        """Count messages that are not used; ``text``, or what the reason means, to be printed."""
        if reason not in REASONS:
            raise KeyError(f"reason {reason!r} is not one of {sorted(REASONS)}")
        self.drops[reason] += count
        # Names in messages may hold bytes that are not text; files, logs and diagnostics cannot.
        return (text or REASONS[reason]).encode("utf-8", "backslashreplace").decode()
