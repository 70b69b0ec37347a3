# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Reading of a .db3 file, with what lies in its write-ahead log, also of one that is damaged."""

from __future__ import annotations

import sqlite3
from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from rosbags.interfaces import (
    Connection,
    ConnectionExtRosbag2,
    MessageDefinition,
    MessageDefinitionFormat,
)

from concerto_ros.bags.storage.damage import BagError, Damage
from concerto_ros.bags.storage.metadata import Metadata, qualities
from concerto_ros.bags.storage.sqlite_log import log_of, unfinished
from concerto_ros.bags.storage.time_order import Record
from concerto_ros.files.error_text import one_line

MAGIC = b"SQLite format 3\0"

#: No recording has more messages.
MOST_ROWS = 1 << 40

#: The messages in the order in which they were written, without their bytes.
_AFTER = "SELECT id, topic_id, timestamp FROM messages WHERE id > ? ORDER BY id"

_DEFINITIONS = {"ros2msg": MessageDefinitionFormat.MSG, "ros2idl": MessageDefinitionFormat.IDL}


class _Row(NamedTuple):
    """A message, without its bytes."""

    time: int
    number: int
    topic: int


class SqliteFile:
    """An open .db3 file.

    The file is never written, nor are files made beside it.

    Args:
        path: The file.
        name: Its name for messages.
        metadata: That of the recording.

    Attributes:
        storage: rosbag2's name of this storage.
        connections: Its topics.
        message_count: Number of messages.
        start_ns: Log time of the first message.
        end_ns: Log time of the last message.
        damage: What is wrong with it, as far as it was read.

    Raises:
        BagError: Its topics cannot be read.
    """

    storage = "sqlite3"

    def __init__(self, path: Path, name: str, metadata: Metadata):
        path = path.resolve()
        self._name = name
        self._rows: list[_Row] | None = None  # of a damaged file, those that can be found
        self._unreadable: set[int] = set()
        self._gaps = 0
        self._why = ""
        log = log_of(path)
        # Without locks and alone, the index of the log is kept in memory, not in a file beside it;
        # immutable takes no notice of any log.
        way = "mode=ro&vfs=unix-none" if log else "immutable=1"
        self._database = sqlite3.connect(
            f"file:{quote(str(path))}?{way}", uri=True, check_same_thread=False
        )
        self._database.text_factory = lambda text: text.decode("utf-8", "replace")
        try:
            if log:
                self._database.execute("PRAGMA locking_mode=EXCLUSIVE")
            # a file that is cut short is read as far as it goes
            self._database.execute("PRAGMA writable_schema=ON")
            self._topics = self._read_topics()
            counts = self._count(0 if log else _missing_bytes(path))
            pages = self._database.execute("PRAGMA page_count").fetchone()[0]
        except sqlite3.Error as error:
            self.close()
            raise BagError(f"cannot be read as a database: {one_line(error)}") from None
        except BaseException:
            self.close()
            raise
        self._log_damage = unfinished(path, log, pages)
        self.message_count = counts.total()
        self._connections = {
            number: metadata.complete(connection._replace(msgcount=counts[number]))
            for number, connection in self._topics.items()
        }
        self.connections = list(self._connections.values())

    @property
    def damage(self) -> list[Damage]:
        """What is wrong with the file, as far as it was read."""
        found = [Damage(self._name + suffix, text) for suffix, text in self._log_damage]
        if self._rows is not None:
            lost = self._gaps + len(self._unreadable)
            read = len(self._rows) - len(self._unreadable)
            text = f"is damaged ({self._why}): {read} messages were read, "
            text += f"at least {lost} are lost" if lost else "those after them are lost"
            found.append(Damage(self._name, text, lost or None))
        return found

    def records(
        self, topics: Collection[str], start_ns: int | None, stop_ns: int | None
    ) -> Iterator[Record]:
        """Read the messages of some topics between two log times, in the order of time."""
        start = -(2**63) if start_ns is None else start_ns
        stop = 2**63 - 1 if stop_ns is None else stop_ns
        wanted = [number for number, each in self._connections.items() if each.topic in topics]
        last = _Row(start, -1, 0)
        if self._rows is None:
            query = (
                "SELECT id, topic_id, timestamp, data FROM messages WHERE timestamp >= ?"
                f" AND timestamp < ? AND topic_id IN ({','.join(map(str, wanted))})"
                " ORDER BY timestamp, id"
            )
            try:
                for number, topic, time, data in self._database.execute(query, (start, stop)):
                    last = _Row(time, number, topic)
                    data = data if isinstance(data, bytes) else b""
                    yield Record(time, self._connections[topic], data)
                return
            except sqlite3.DatabaseError as error:
                self._find_rows(one_line(error))
        rows = self._rows or []
        for row in rows[bisect_right(rows, last) :]:
            if row.time >= stop:
                return
            if row.topic in wanted and (data := self._data(row.number)) is not None:
                yield Record(row.time, self._connections[row.topic], data)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _read_topics(self) -> dict[int, Connection]:
        """Read the topics, in any version of the tables."""
        columns = {row[1] for row in self._database.execute("PRAGMA table_info(topics)")}
        if not columns:
            raise BagError("is a database without a table of topics, expected a recording")
        definitions = {}
        if self._database.execute("PRAGMA table_info(message_definitions)").fetchall():
            for kind, encoding, text in self._database.execute(
                "SELECT topic_type, encoding, encoded_message_definition FROM message_definitions"
            ):
                form = _DEFINITIONS.get(encoding, MessageDefinitionFormat.NONE)
                if form != MessageDefinitionFormat.NONE:
                    definitions[kind] = MessageDefinition(form, text)
        optional = ("offered_qos_profiles", "type_description_hash")
        chosen = ", ".join(name if name in columns else "''" for name in optional)
        query = f"SELECT id, name, type, serialization_format, {chosen} FROM topics ORDER BY id"
        nothing = MessageDefinition(MessageDefinitionFormat.NONE, "")
        return {
            number: Connection(
                id=number,
                topic=topic,
                msgtype=kind,
                msgdef=definitions.get(kind, nothing),
                digest=digest,
                msgcount=0,
                ext=ConnectionExtRosbag2(form, qualities(profiles)),
                owner=None,
            )
            for number, topic, kind, form, profiles, digest in self._database.execute(query)
            if isinstance(topic, str) and isinstance(kind, str)  # else its page is damaged
        }

    def _count(self, missing: int) -> Counter[int]:
        """Count the messages by topic, by looking for each where the file is damaged."""
        query = (
            "SELECT topic_id, count(*), min(timestamp), max(timestamp) FROM messages"
            " GROUP BY topic_id"
        )
        try:
            if missing:
                raise sqlite3.DatabaseError(f"its last {missing} bytes are missing")
            found = self._database.execute(query).fetchall()
            for topic, _, *times in found:
                if topic not in self._topics or not all(isinstance(time, int) for time in times):
                    raise sqlite3.DatabaseError("it has messages without topic or time")
        except sqlite3.DatabaseError as error:
            rows = self._find_rows(one_line(error))
            self.start_ns, self.end_ns = (rows[0].time, rows[-1].time) if rows else (0, 0)
            return Counter(row.topic for row in rows)
        self.start_ns = min((first for _, _, first, _ in found), default=0)
        self.end_ns = max((last for _, _, _, last in found), default=0)
        return Counter({topic: count for topic, count, _, _ in found})

    def _find_rows(self, why: str) -> list[_Row]:
        """Find the messages of a damaged file, in the order of time.

        Only the parts of the table that can be read are walked; its index is not used.
        """
        rows: list[_Row] = []
        last = 0
        while True:
            try:
                for number, topic, time in self._database.execute(_AFTER, (last,)):
                    if number <= last:
                        raise sqlite3.DatabaseError("its rows are not in order")
                    last = number
                    if isinstance(time, int) and topic in self._topics:
                        rows.append(_Row(time, number, topic))
                break
            except sqlite3.DatabaseError:
                following = self._next_readable(last)
                if following is None:
                    break
                last = following
        self._gaps = max((row.number for row in rows), default=0) - len(rows)
        self._why = why
        self._rows = sorted(rows)
        return self._rows

    def _next_readable(self, last: int) -> int | None:
        """Return the smallest number after which rows can be read again; None: no more can."""
        step = 1
        while not self._can_read_after(last + step):
            step *= 2
            if step > MOST_ROWS:
                return None
        low, high = last + step // 2, last + step  # rows cannot be read after low, but after high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._can_read_after(middle) else (middle, high)
        return high

    def _can_read_after(self, number: int) -> bool:
        try:
            return self._database.execute(_AFTER, (number,)).fetchone() is not None
        except sqlite3.DatabaseError:
            return False

    def _data(self, number: int) -> bytes | None:
        """Read a message of a damaged file; None where its bytes cannot be read."""
        query = "SELECT data FROM messages WHERE id = ?"
        try:
            row = self._database.execute(query, (number,)).fetchone()
        except sqlite3.DatabaseError:
            row = None
        if row is None or not isinstance(row[0], bytes):
            self._unreadable.add(number)
            return None
        return row[0]


def _missing_bytes(path: Path) -> int:
    """Return how much shorter a file is than its first page says."""
    with path.open("rb") as file:
        head = file.read(100)
    if len(head) < 100 or head[24:28] != head[92:96]:  # the size is not kept up to date
        return 0
    page, pages = int.from_bytes(head[16:18], "big"), int.from_bytes(head[28:32], "big")
    return max(pages * (65536 if page == 1 else page) - path.stat().st_size, 0)
