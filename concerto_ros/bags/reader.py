# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Reading recordings (rosbag2 in sqlite3 or MCAP files) without ROS, with the rosbags package."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from concerto_ros.files.error_text import one_line
from concerto_ros.files.listing import visible

SUFFIXES = (".db3", ".mcap")


class BagError(ValueError):
    """A recording that cannot be used; the text is one line with the reason and the remedy."""


class Topic(NamedTuple):
    """A topic of a recording.

    Attributes:
        type: Message type, such as ``sensor_msgs/msg/PointCloud2``.
        count: Number of messages.
    """

    type: str
    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody needs here


@contextmanager
def open_bag(path: str | Path) -> Iterator[Bag]:
    """Open a bag for reading.

    Args:
        path: A folder, with or without ``metadata.yaml``, or one .db3 or .mcap file.

    Yields:
        The open bag.

    Raises:
        BagError: The path does not exist, is not a bag, or the bag has no messages.
    """
    path = Path(path)
    try:
        from rosbags.rosbag2 import Reader
    except ImportError as error:
        raise BagError(
            "reading bags needs the Python package 'rosbags': pip install rosbags"
        ) from error
    with ExitStack() as stack:
        readers = []
        for file in _files(path):
            try:
                readers.append(stack.enter_context(Reader(file)))
            except Exception as error:  # rosbags passes on errors of sqlite, YAML and MCAP
                raise BagError(f"{file} cannot be read as a bag: {one_line(error)}") from error
        bag = Bag(path, readers)
        if not bag.message_count:
            raise BagError(f"{path} is a bag without messages, expected at least one")
        yield bag


class Bag:
    """An open recording; made by :func:`open_bag`.

    Attributes:
        path: The folder or file.
        topics: Name to :class:`Topic`, in alphabetical order.
        message_count: Number of messages.
        start_ns: Log time of the first message, nanoseconds since the epoch.
        end_ns: Log time of the last message.
        connections: Those of rosbags, one for each publisher's QoS and file.
        storage: sqlite3 or mcap.
    """

    def __init__(self, path: Path, readers: list):
        """Read the topics of rosbags ``readers``, one for each file of the bag at ``path``."""
        self.path = path
        self._readers = readers
        connections = [each for reader in readers for each in reader.connections]
        self.connections = connections
        self.storage = _storage(readers)
        self.topics: dict[str, Topic] = {}
        for connection in sorted(connections, key=lambda each: each.topic):
            before = self.topics.get(connection.topic, Topic(connection.msgtype, 0))
            if before.type != connection.msgtype:
                raise BagError(
                    f"{path}: topic {connection.topic} has messages of two types, {before.type} "
                    f"and {connection.msgtype}"
                )
            self.topics[connection.topic] = before._replace(
                count=before.count + connection.msgcount
            )
        self.message_count = sum(reader.message_count for reader in readers)
        filled = [reader for reader in readers if reader.message_count]
        self.start_ns = min((reader.start_time for reader in filled), default=0)
        # the end time of rosbags is the first nanosecond after the last message
        self.end_ns = max((reader.end_time for reader in filled), default=1) - 1
        self._types = _type_store(connections)

    def messages(
        self,
        topics: Iterable[str] | None = None,
        *,
        start_ns: int | None = None,
        stop_ns: int | None = None,
    ) -> Iterator[tuple[str, str, int, bytes]]:
        """Read messages in the order of log time.

        Args:
            topics: Names to read; None: all.
            start_ns: Log time to start at, inclusive; None: the first message.
            stop_ns: Log time to stop at, exclusive; None: after the last message.

        Yields:
            (topic, type, log time in nanoseconds, message as CDR bytes).

        Raises:
            BagError: A topic does not exist, or a file is damaged.
        """
        for connection, time, raw in self.records(topics, start_ns=start_ns, stop_ns=stop_ns):
            yield connection.topic, connection.msgtype, time, raw

    def records(
        self,
        topics: Iterable[str] | None = None,
        *,
        start_ns: int | None = None,
        stop_ns: int | None = None,
    ) -> Iterator[tuple]:
        """Read as :meth:`messages` does.

        Yields:
            (one of ``connections``, log time, message as CDR bytes).
        """
        names = set(self.topics if topics is None else topics)
        if missing := sorted(names - set(self.topics)):
            raise BagError(f"{self.path} has no topic {', '.join(missing)}")
        streams = []
        for reader in self._readers:
            connections = [each for each in reader.connections if each.topic in names]
            if connections:  # rosbags reads all if there are none
                streams.append(reader.messages(connections, start_ns, stop_ns))
        merged = (
            streams[0]
            if len(streams) == 1
            else heapq.merge(*streams, key=lambda record: record[1])
        )
        while True:
            try:
                connection, time, raw = next(merged)
            except StopIteration:
                return
            except Exception as error:
                raise BagError(f"{self.path} is damaged: {one_line(error)}") from error
            yield connection, time, bytes(raw)

    def deserialize(self, raw: bytes, message_type: str) -> Any:
        """Deserialise a message.

        Args:
            raw: CDR bytes.
            message_type: Such as ``sensor_msgs/msg/PointCloud2``.

        Returns:
            An object with the message's attributes; arrays are NumPy arrays.

        Raises:
            BagError: Neither Jazzy nor the bag defines the type, or ``raw`` is not such a message.
        """
        if message_type not in self._types.fielddefs:
            raise BagError(
                f"{self.path}: message type {message_type} is unknown: it is not part of ROS 2 "
                "and the bag does not define it"
            )
        try:
            return self._types.deserialize_cdr(raw, message_type)
        except Exception as error:
            raise BagError(
                f"{self.path}: a message of {len(raw)} bytes is not a {message_type}: "
                f"{one_line(error)}"
            ) from error


def _files(path: Path) -> list[Path]:
    """Return what to open: ``path`` itself, or the files of a folder without metadata."""
    if not path.exists():
        raise BagError(f"{path} does not exist, expected a bag")
    if path.is_file():
        if path.suffix == ".bag":
            raise BagError(
                f"{path} is a bag of ROS 1; convert it: rosbags-convert --src {path} "
                f"--dst {path.stem}"
            )
        if path.suffix not in SUFFIXES:
            raise BagError(f"{path} is not a bag: expected a folder, a .db3 file or an .mcap file")
        return [path]
    if (path / "metadata.yaml").exists():
        return [path]
    files = visible((each for each in path.iterdir() if each.suffix in SUFFIXES), path)
    if not files:
        raise BagError(f"{path} is not a bag: no metadata.yaml, no .db3 and no .mcap file in it")
    return files


def _storage(readers: list) -> str:
    """Return the storage of the files, mcap or sqlite3."""
    from rosbags.rosbag2.storage_mcap import McapReader

    files = [
        file
        for reader in readers
        for file in getattr(reader.storage, "storages", [reader.storage])
    ]
    return "mcap" if any(isinstance(file, McapReader) for file in files) else "sqlite3"


def _type_store(connections: list) -> Any:
    """Return the message types of Jazzy, and those that only the bag defines."""
    from rosbags.interfaces import MessageDefinitionFormat
    from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore

    store = get_typestore(Stores.ROS2_JAZZY)
    for connection in connections:
        if connection.msgtype in store.fielddefs or not connection.msgdef.data:
            continue
        try:
            if connection.msgdef.format == MessageDefinitionFormat.MSG:
                found = get_types_from_msg(connection.msgdef.data, connection.msgtype)
            else:
                found = get_types_from_idl(connection.msgdef.data)
            new = {name: fields for name, fields in found.items() if name not in store.fielddefs}
            store.register(new)
        except Exception:  # the type stays unknown, which deserialize() reports
            continue
    return store
