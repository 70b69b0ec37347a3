# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Reading recordings (rosbag2 in sqlite3 or MCAP files) without ROS.

The files are read by :mod:`concerto_ros.bags.storage`, also what is whole of those whose recorder
was killed, which the reader of rosbags refuses or cuts short; types and messages are by rosbags.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

from rosbags.interfaces import MessageDefinitionFormat
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore

from concerto_ros.bags.storage.compression import message_bytes
from concerto_ros.bags.storage.damage import BagError, Damage
from concerto_ros.bags.storage.metadata import NAME, Metadata, read_metadata
from concerto_ros.bags.storage.recording_files import (
    Files,
    RecordingFile,
    files_of,
    is_recording,
    is_ros1,
    open_file,
)
from concerto_ros.bags.storage.time_order import Stream, by_time
from concerto_ros.files.error_text import in_words, one_line
from concerto_ros.files.scratch_folder import scratch_folder

log = logging.getLogger(__name__)


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

    What is damaged is left out and said in :attr:`Bag.damage`, and once as a warning.

    Args:
        path: A folder, with or without ``metadata.yaml``, or one file: .db3, .mcap, or either
            compressed as .zstd.

    Yields:
        The open bag.

    Raises:
        BagError: The path does not exist, is not a bag, or no message of it can be read.
    """
    path = Path(path)
    try:
        metadata = read_metadata(path) if path.is_dir() else Metadata()
        paths, missing, left_out = _files(path, metadata)
    except OSError as error:
        raise BagError(f"{path} cannot be read: {in_words(error)}") from error
    damage = metadata.damage + left_out
    with ExitStack() as stack:
        scratch = stack.enter_context(scratch_folder("concerto_ros_bag_"))
        files: list[RecordingFile] = []
        for each in paths:
            try:
                file, found = open_file(each, metadata, scratch)
            except BagError as error:
                damage.append(Damage(each.name, str(error), metadata.file_counts.get(each.name)))
            except OSError as error:
                raise BagError(f"{path} cannot be read: {in_words(error)}") from error
            else:
                damage += found
                files.append(stack.enter_context(closing(file)))
        bag = Bag(path, files, damage)
        damage += _by_counts(metadata, missing, bag)
        if not bag.message_count:
            if bag.damage:
                why = "; ".join(map(str, bag.damage))
                raise BagError(f"{path} has no message that can be read: {why}")
            raise BagError(f"{path} is a bag without messages, expected at least one")
        bag.warn()
        yield bag
        bag.warn()


class Bag:
    """An open recording; made by :func:`open_bag`.

    Attributes:
        path: The folder or file.
        topics: Name to :class:`Topic`, in alphabetical order.
        message_count: Number of messages.
        start_ns: Log time of the first message, nanoseconds since the epoch.
        end_ns: Log time of the last message.
        connections: As rosbags describes them, one for each publisher's QoS and file.
        storage: sqlite3 or mcap.
    """

    def __init__(self, path: Path, files: list[RecordingFile], damage: list[Damage]):
        """Read the topics of the open files of the bag at ``path``."""
        self.path = path
        self._files = files
        self._damage = damage
        self.connections = [each for file in files for each in file.connections]
        self.storage = "mcap" if any(file.storage == "mcap" for file in files) else "sqlite3"
        self.topics: dict[str, Topic] = {}
        for connection in sorted(self.connections, key=lambda each: each.topic):
            before = self.topics.get(connection.topic, Topic(connection.msgtype, 0))
            if before.type != connection.msgtype:
                raise BagError(
                    f"{path}: topic {connection.topic} has messages of two types, {before.type} "
                    f"and {connection.msgtype}"
                )
            self.topics[connection.topic] = before._replace(
                count=before.count + connection.msgcount
            )
        self.message_count = sum(file.message_count for file in files)
        filled = [file for file in files if file.message_count]
        self.start_ns = min((file.start_ns for file in filled), default=0)
        self.end_ns = max((file.end_ns for file in filled), default=0)
        self._types = _type_store(self.connections)

    @property
    def damage(self) -> list[Damage]:
        """What is wrong with the recording and lost by it, as far as it was read."""
        return [*self._damage, *(each for file in self._files for each in file.damage)]

    def warn(self) -> None:
        """Log what is wrong with the recording, each only once."""
        for each in self.damage:
            _warn_once(str(self.path), str(each))

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
        streams = [
            Stream(file.start_ns, partial(file.records, names, start_ns, stop_ns))
            for file in self._files
            if names and (stop_ns is None or file.start_ns < stop_ns)
        ]
        for time, connection, data in by_time(streams):
            yield connection, time, message_bytes(bytes(data))

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


def _files(path: Path, metadata: Metadata) -> Files:
    """Return the files to open."""
    if not path.exists():
        raise BagError(f"{path} does not exist, expected a bag")
    if path.is_file():
        if path.suffix.lower() == ".bag" or is_ros1(path):
            raise _of_ros1(path)
        if not is_recording(path):
            raise BagError(f"{path} is not a bag: expected a folder, a .db3 file or an .mcap file")
        return Files([path], [], [])
    if metadata.compression_mode and metadata.compression_format not in ("zstd", ""):
        raise BagError(
            f"{path / NAME}: compression_format: got {metadata.compression_format}, expected zstd;"
            " decompress the bag with ros2 bag convert where its plugin is installed"
        )
    files = files_of(path, metadata)
    if not files.paths:
        for each in path.iterdir():
            if each.is_file() and is_ros1(each):
                raise _of_ros1(each)
        why = "".join(f"; {each}" for each in [*metadata.damage, *files.missing])
        nor = "" if (path / NAME).exists() else f"no {NAME}, "
        raise BagError(f"{path} is not a bag: {nor}no .db3 and no .mcap file in it{why}")
    return files


def _of_ros1(path: Path) -> BagError:
    return BagError(
        f"{path} is a bag of ROS 1; convert it: rosbags-convert --src {path} --dst {path.stem}"
    )


def _by_counts(metadata: Metadata, missing: list[Damage], bag: Bag) -> list[Damage]:
    """Return what is missing, by the number of messages that metadata counts."""
    expected, found = metadata.message_count, bag.message_count
    if expected is None:
        return missing
    if found >= expected:  # all are there: files that are missing were renamed
        return []
    lost = expected - found - sum(each.messages or 0 for each in [*bag.damage, *missing])
    if lost <= 0:
        return missing
    text = f"names {expected} messages, but the files contain {found}"
    return [*missing, Damage(NAME, text, lost)]


@cache
def _warn_once(path: str, text: str) -> None:
    log.warning("%s: %s", path, text)


def _type_store(connections: list) -> Any:
    """Return the message types of Jazzy, and those that only the bag defines."""
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
