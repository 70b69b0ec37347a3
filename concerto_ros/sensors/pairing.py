# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pairing of colour and depth messages by their stamps."""

from __future__ import annotations

from bisect import insort
from collections import deque
from dataclasses import dataclass
from typing import Any

from concerto_ros.sensors.message_fields import stamp_ns

#: Number of past gaps between stamps from which the next message of a stream is predicted.
GAPS = 8


@dataclass(frozen=True, eq=False)
class Pair:
    """Messages of one moment.

    Attributes:
        color: Image or CompressedImage; None for a depth camera alone.
        depth: Image or CompressedImage.
        info: The newest CameraInfo of the colour image, or of the depth image without colour.
    """

    color: Any | None
    depth: Any
    info: Any

    @property
    def header(self) -> Any:
        """The header of the depth image, which gives the frame its stamp."""
        return self.depth.header


class StampPairer:
    """Pairs each depth image with the colour image nearest in time, and the newest camera_info.

    A message is used at most once and a pair is never farther apart than the tolerance. A partner
    within the tolerance is taken at once, unless a nearer one is waiting or due by the period of
    its stream; as a change of partner costs a frame, "nearer" means by a quarter of that stream's
    period. Messages that arrive out of order are sorted by stamp. camera_info need not match in
    time, since drivers may send it once. Not thread-safe.

    Attributes:
        info: The newest camera_info, None before the first.
        dropped: Number of images that found no partner.
        apart: Nanoseconds between the newest of them and the other stream's image nearest to it.
    """

    def __init__(self, tolerance: int, *, with_color: bool = True, depth: int = 10):
        """Start without messages.

        Args:
            tolerance: Nanoseconds, largest stamp difference of a pair.
            with_color: False for a depth camera alone: every depth image is a pair of its own.
            depth: Maximum messages that wait per stream; the one that arrived first is dropped
                first.
        """
        self._tolerance = tolerance
        self._with_color = with_color
        self._length = depth
        self.dropped = 0
        self.apart = 0
        self.info: Any = None
        self._came: set[str] = set()
        self.clear()

    def clear(self) -> None:
        """Forget every waiting message.

        The camera_info stays, as drivers may send it once, and so does the count of dropped ones.
        """
        self._color, self._depth = _Stream(), _Stream()

    @property
    def waiting(self) -> int:
        """Number of images that wait for a partner."""
        return len(self._color) + len(self._depth)

    @property
    def missing(self) -> list[str]:
        """The kinds of which no message came yet."""
        kinds = ("color", "depth", "info") if self._with_color else ("depth", "info")
        return [kind for kind in kinds if kind not in self._came]

    def add(self, kind: str, message: Any) -> Pair | None:
        """Add a message.

        Args:
            kind: ``color``, ``depth`` or ``info``.
            message: The message.

        Returns:
            The oldest pair that is ready, if any. More than one is ready only after a burst; the
            others follow with the next messages.

        Raises:
            InputError: ``malformed``: the message has no valid stamp.
            ValueError: ``kind`` is something else.
        """
        if kind == "info":
            self.info = message
        elif kind == "depth" or (kind == "color" and self._with_color):
            stream = self._depth if kind == "depth" else self._color
            stream.add(stamp_ns(message), message)
            if len(stream) > self._length:
                stream.drop_first_arrived()
                self.dropped += 1
        else:
            kinds = "color, depth or info" if self._with_color else "depth or info"
            raise ValueError(f"kind: got {kind!r}, expected {kinds}")
        self._came.add(kind)
        if self.info is None:
            return None
        return self._next_pair() if self._with_color else self._next_depth()

    def _next_depth(self) -> Pair | None:
        return Pair(None, self._depth.pop(), self.info) if len(self._depth) else None

    def _next_pair(self) -> Pair | None:
        """Return the pair of the two oldest messages, once nothing better can come for either.

        With everything in the order of stamps, the later of the two oldest is the nearest partner
        the earlier one can still get. Only the earlier stream's second message can be better.
        """
        while len(self._color) and len(self._depth):
            earlier, later = self._color, self._depth
            if earlier.first > later.first:
                earlier, later = later, earlier
            apart = later.first - earlier.first
            nearest = apart - earlier.gap / 4
            if len(earlier) > 1:
                if apart > self._tolerance or abs(earlier.second - later.first) < nearest:
                    self._drop(earlier, apart)
                    continue
            elif apart > self._tolerance:
                self._drop(earlier, apart)
                continue
            else:
                due = earlier.first + earlier.gap
                late = later.newest > due + earlier.gap
                if abs(due - later.first) < nearest and not late:
                    return None
            color, depth = self._color.pop(), self._depth.pop()
            return Pair(color, depth, self.info)
        return None

    def _drop(self, stream: _Stream, apart: int) -> None:
        stream.pop()
        self.dropped += 1
        self.apart = apart


class _Stream:
    """Waiting messages of one kind in the order of their stamps."""

    def __init__(self) -> None:
        self._waiting: list[tuple[int, int, Any]] = []
        self._arrived = 0
        self._latest: int | None = None
        self._gaps: deque[int] = deque(maxlen=GAPS)

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def first(self) -> int:
        return self._waiting[0][0]

    @property
    def second(self) -> int:
        return self._waiting[1][0]

    @property
    def newest(self) -> int:
        return self._waiting[-1][0]

    @property
    def gap(self) -> int:
        """Nanoseconds after which the next message is due; zero while unknown."""
        return min(self._gaps, default=0)

    def add(self, stamp: int, message: Any) -> None:
        if self._latest is not None and stamp > self._latest:
            self._gaps.append(stamp - self._latest)
        self._latest = stamp
        # The order of arrival breaks ties, as messages cannot be compared.
        insort(self._waiting, (stamp, self._arrived, message))
        self._arrived += 1

    def pop(self) -> Any:
        return self._waiting.pop(0)[2]

    def drop_first_arrived(self) -> None:
        self._waiting.remove(min(self._waiting, key=lambda waiting: waiting[1]))
