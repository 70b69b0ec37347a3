# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Merging of streams of records by log time, each begun only when it is due."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from rosbags.interfaces import Connection


class Record(NamedTuple):
    """A message as it lies in a file.

    Attributes:
        time: Log time, nanoseconds.
        connection: Its topic, type and quality of service.
        data: The message, as CDR bytes.
    """

    time: int
    connection: Connection
    data: bytes | memoryview


class Stream(NamedTuple):
    """Records in the order of time.

    Attributes:
        start: Log time of the first, or earlier.
        open: Begins to read them.
    """

    start: int
    open: Callable[[], Iterator[Record]]


def by_time(streams: Iterable[Stream]) -> Iterator[Record]:
    """Merge streams by time; of equal times, the earlier stream comes first.

    A stream is opened when its start is reached: of a recording of a thousand files or chunks,
    only those that overlap are open at a time.
    """
    waiting = sorted(enumerate(streams), key=lambda each: each[1].start, reverse=True)
    running: list[tuple[int, int, Record, Iterator[Record]]] = []
    while waiting or running:
        while waiting and (not running or waiting[-1][1].start <= running[0][0]):
            number, stream = waiting.pop()
            records = stream.open()
            if (record := next(records, None)) is not None:
                heapq.heappush(running, (record.time, number, record, records))
        if running:
            _, number, record, records = running[0]
            yield record
            if (following := next(records, None)) is None:
                heapq.heappop(running)
            else:
                heapq.heapreplace(running, (following.time, number, following, records))
