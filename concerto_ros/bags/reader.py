# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Reading recordings (rosbag2 in sqlite3 or MCAP files) without ROS, by the rosbags package."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from concerto_ros.files.error_text import one_line

SUFFIXES = (".db3", ".mcap")


class BagError(ValueError):
    """A recording that cannot be used; one line that says why and what would help."""


class Topic(NamedTuple):
    """``type`` as in ``sensor_msgs/msg/PointCloud2``, and the number of messages."""

    type: str
    count: int


@contextmanager
def open_bag(path: str | Path) -> Iterator[Bag]:
    """Open a bag: a folder, with or without ``metadata.yaml``, or one .db3 or .mcap file.

    Raises BagError if there is no such path, if it is not a bag, or if it holds no messages.
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
        for part in _parts(path):
            try:
                readers.append(stack.enter_context(Reader(part)))
            except Exception as error:  # rosbags passes on what sqlite, YAML and MCAP raise
                raise BagError(f"{part} cannot be read as a bag: {one_line(error)}") from error
        bag = Bag(path, readers)
        if not bag.message_count:
            raise BagError(f"{path} is a bag without messages")
        yield bag


class Bag:
    """An open recording; made by :func:`open_bag`.

    ``topics`` maps each name to its :class:`Topic`. ``start_ns`` and ``end_ns`` are the times of
    the first and the last message in the log, nanoseconds since the epoch. ``connections`` are
    those of rosbags, one for each publisher's QoS and file; ``storage`` is sqlite3 or mcap.
    """

    def __init__(self, path: Path, readers: list):
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
        # rosbags names the first nanosecond after the last message
        self.end_ns = max((reader.end_time for reader in filled), default=1) - 1
        self._types = _type_store(connections)

    def messages(
        self,
        topics: Iterable[str] | None = None,
        *,
        start_ns: int | None = None,
        stop_ns: int | None = None,
    ) -> Iterator[tuple[str, str, int, bytes]]:
        """Yield (topic, type, log time in nanoseconds, message as CDR bytes) in order of time.

        ``topics``: names to read, all by default; of log times from ``start_ns`` up to but
        without ``stop_ns``. Raises BagError for a topic that is not there, and where the file is
        damaged.
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
        """Yield (one of ``connections``, log time, message) as :meth:`messages` does."""
        wanted = set(self.topics if topics is None else topics)
        if missing := sorted(wanted - set(self.topics)):
            raise BagError(f"{self.path} has no topic {', '.join(missing)}")
        streams = []
        for reader in self._readers:
            connections = [each for each in reader.connections if each.topic in wanted]
            if connections:  # none would mean all
                streams.append(reader.messages(connections, start_ns, stop_ns))
        merged = streams[0] if len(streams) == 1 else heapq.merge(*streams, key=lambda got: got[1])
        while True:
            try:
                connection, time, raw = next(merged)
            except StopIteration:
                return
            except Exception as error:
                raise BagError(f"{self.path} is damaged: {one_line(error)}") from error
            yield connection, time, bytes(raw)

    def deserialize(self, raw: bytes, message_type: str):
        """The message as an object with its ROS attributes; arrays are numpy arrays.

        Raises BagError for a type that neither Jazzy nor the bag defines, and for bytes that are
        not such a message.
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


def _parts(path: Path) -> list[Path]:
    """What to open: the folder or file itself, or the files of a folder without metadata."""
    if not path.exists():
        raise BagError(f"there is no bag at {path}")
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
    parts = sorted(each for each in path.iterdir() if each.suffix in SUFFIXES)
    if not parts:
        raise BagError(f"{path} is not a bag: no metadata.yaml, no .db3 and no .mcap file in it")
    return parts


def _storage(readers: list) -> str:
    """Whether the files are of MCAP or of sqlite3."""
    from rosbags.rosbag2.storage_mcap import McapReader

    files = [
        file
        for reader in readers
        for file in getattr(reader.storage, "storages", [reader.storage])
    ]
    return "mcap" if any(isinstance(file, McapReader) for file in files) else "sqlite3"


def _type_store(connections):
    """The message types of Jazzy, and those that only the bag defines."""
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
            store.register({name: of for name, of in found.items() if name not in store.fielddefs})
        except Exception:  # the type stays unknown, and deserialize() says so when asked for it
            continue
    return store
