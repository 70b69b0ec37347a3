# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Writing bags: the outputs of a segment, and a copy of a bag with all outputs added."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from rosbags.rosbag2 import StoragePlugin, Writer

from concerto_ros.bags.messages import POINT_CLOUD, SEMANTIC_CLASSES, quality, type_store
from concerto_ros.bags.reader import Bag, open_bag
from concerto_ros.labels.output_clouds import RECORDED_CLOUDS

#: The outputs under the prefix, and their types; the classes are latched.
CLASSES = "classes"
TYPES = {cloud.topic: POINT_CLOUD for cloud in RECORDED_CLOUDS} | {CLASSES: SEMANTIC_CLASSES}

#: Called with the name of an output, its log time in nanoseconds and its CDR bytes.
Write = Callable[[str, int, bytes], None]

#: Version of rosbag2's metadata, that of Jazzy.
VERSION: Literal[9] = 9

#: The hash of a type whose definition is neither in the bag nor known.
_NO_HASH = "RIHS01_" + "0" * 64


@contextmanager
def writing_outputs(path: Path) -> Iterator[Write]:
    """Create a bag at ``path`` for the outputs, without a prefix.

    Yields:
        A function that writes a message.
    """
    with Writer(path, version=VERSION, storage_plugin=StoragePlugin.MCAP) as writer:
        connections = _add_outputs(writer, "")
        yield lambda name, time, raw: writer.write(connections[name], time, raw)


def write_copy(
    bag: Bag, outputs: Sequence[Path], path: Path, prefix: str, on_message: Callable[[], object]
) -> None:
    """Write a copy of a bag with outputs added.

    Messages, log times, types, QoS and storage are kept; the copy of a compressed bag is not
    compressed.

    Args:
        bag: The bag to copy.
        outputs: Bags of :func:`writing_outputs`.
        path: The new bag.
        prefix: Prefix of the topics that are added.
        on_message: Called for each message of ``bag``.

    Raises:
        BagError: A bag is damaged.
    """
    storage = StoragePlugin[bag.storage.upper()]
    with Writer(path, version=VERSION, storage_plugin=storage) as writer:
        copies = _Copies(writer)
        added = _add_outputs(writer, prefix)
        for connection in bag.connections:
            copies.add(connection)  # topics without messages are kept as well

        def of_bag() -> Iterator[tuple]:
            for connection, time, raw in bag.records():
                on_message()
                yield time, copies.add(connection), raw

        def of_outputs() -> Iterator[tuple]:
            for output in outputs:
                with open_bag(output) as labelled:
                    for name, _, time, raw in labelled.messages():
                        yield time, added[name], raw

        for time, connection, raw in heapq.merge(of_bag(), of_outputs(), key=lambda each: each[0]):
            writer.write(connection, time, raw)


class _Copies:
    """The connections of a bag's copy: one per topic and QoS, over all files."""

    def __init__(self, writer: Writer):
        self._writer = writer
        self._copies: dict = {}

    def add(self, connection: Any) -> Any:
        qos = tuple(connection.ext.offered_qos_profiles)
        key = (connection.topic, connection.ext.serialization_format, qos)
        if key not in self._copies:
            self._copies[key] = self._writer.add_connection(
                connection.topic,
                connection.msgtype,
                **_definition(connection),
                serialization_format=connection.ext.serialization_format,
                offered_qos_profiles=qos,
            )
        return self._copies[key]


def _definition(connection: Any) -> dict:
    """Return the definition of a topic's type as stored in the bag, else that of ROS 2."""
    known = connection.msgtype in type_store().fielddefs
    if known and not connection.msgdef.data:
        return {"typestore": type_store()}
    digest = connection.digest
    if not digest:  # a single MCAP file has none
        digest = type_store().hash_rihs01(connection.msgtype) if known else _NO_HASH
    return {"msgdef": connection.msgdef.data, "rihs01": digest}


def _add_outputs(writer: Writer, prefix: str) -> dict:
    return {
        name: writer.add_connection(
            prefix + name,
            message_type,
            typestore=type_store(),
            offered_qos_profiles=[quality(latched=name == CLASSES)],
        )
        for name, message_type in TYPES.items()
    }
