# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Reading of an MCAP file, also of one that was not closed or is damaged."""

from __future__ import annotations

import os
import struct
from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path

from rosbags.interfaces import (
    Connection,
    ConnectionExtRosbag2,
    MessageDefinition,
    MessageDefinitionFormat,
)

from concerto_ros.bags.storage import mcap_records as mcap
from concerto_ros.bags.storage.damage import BagError, Damage
from concerto_ros.bags.storage.mcap_index import Block, chunk_damage, read_block, read_index
from concerto_ros.bags.storage.metadata import Metadata, qualities
from concerto_ros.bags.storage.time_order import Record, Stream, by_time

_DEFINITIONS = {
    "ros2msg": MessageDefinitionFormat.MSG,
    "ros2idl": MessageDefinitionFormat.IDL,
    "omgidl": MessageDefinitionFormat.IDL,
}


class McapFile:
    """An open MCAP file.

    Args:
        path: The file.
        name: Its name for messages.
        metadata: That of the recording.

    Attributes:
        storage: rosbag2's name of this storage.
        connections: Its topics, one for each channel.
        message_count: Number of messages.
        start_ns: Log time of the first message.
        end_ns: Log time of the last message.
        damage: What is wrong with it, as far as it was read.

    Raises:
        BagError: It is a recording of ROS 1, or of messages that are not CDR.
    """

    storage = "mcap"

    def __init__(self, path: Path, name: str, metadata: Metadata):
        self._file = path.open("rb")
        try:
            size = os.fstat(self._file.fileno()).st_size
            self._index = read_index(self._file, size, name)
            self._check()
        except BaseException:
            self.close()
            raise
        index = self._index
        self._name = name
        self._damage = dict(enumerate(index.damage))
        self._channels = {
            number: metadata.complete(self._connection(number, channel))
            for number, channel in index.channels.items()
        }
        self.connections = list(self._channels.values())
        self.message_count = index.counts.total()
        self.start_ns = min((block.first for block in index.blocks), default=0)
        self.end_ns = max((block.last for block in index.blocks), default=0)

    @property
    def damage(self) -> list[Damage]:
        """What is wrong with the file, as far as it was read."""
        return list(self._damage.values())

    def records(
        self, topics: Collection[str], start_ns: int | None, stop_ns: int | None
    ) -> Iterator[Record]:
        """Read the messages of some topics between two log times, in the order of time."""
        wanted = {
            number: connection
            for number, connection in self._channels.items()
            if connection.topic in topics
        }
        blocks = [
            block
            for block in self._index.blocks
            if (block.channels is None or not wanted.keys().isdisjoint(block.channels))
            and (start_ns is None or block.last >= start_ns)
            and (stop_ns is None or block.first < stop_ns)
        ]
        for record in by_time(
            Stream(block.first, partial(self._block, block, wanted)) for block in blocks
        ):
            if stop_ns is not None and record.time >= stop_ns:
                return
            if start_ns is None or record.time >= start_ns:
                yield record

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _block(self, block: Block, wanted: dict[int, Connection]) -> Iterator[Record]:
        """Read the messages of a block, in the order of time."""
        try:
            messages = list(mcap.messages(read_block(self._file, block)))
        except (ValueError, struct.error) as error:
            self._damage[-block.at] = chunk_damage(self._name, block, str(error))
            return iter(())
        if block.count is not None and len(messages) < block.count:
            why = f"only {len(messages)} of {block.count} messages can be told apart"
            self._damage[-block.at] = chunk_damage(
                self._name, block._replace(count=block.count - len(messages)), why
            )
        found = [
            Record(time, wanted[channel], message)
            for time, channel, message in messages
            if channel in wanted
        ]
        return iter(sorted(found, key=lambda record: record.time))

    def _check(self) -> None:
        encodings = {channel.encoding for channel in self._index.channels.values()}
        if self._index.profile == "ros1" or encodings == {"ros1"}:
            raise BagError("is a recording of ROS 1; convert it with rosbags-convert")
        if encodings and "cdr" not in encodings:
            got = ", ".join(sorted(encodings))
            raise BagError(f"holds messages encoded as {got}, expected cdr, which ROS 2 records")

    def _connection(self, number: int, channel: mcap.Channel) -> Connection:
        schema = self._index.schemas.get(channel.schema, mcap.Schema("unknown", "", ""))
        form = _DEFINITIONS.get(schema.encoding, MessageDefinitionFormat.NONE)
        known = form != MessageDefinitionFormat.NONE
        package, _, rest = schema.name.partition("/")
        return Connection(
            id=number,
            topic=channel.topic,
            # some tools write the type as ROS 1 does
            msgtype=f"{package}/msg/{rest}" if rest and "/" not in rest else schema.name,
            msgdef=MessageDefinition(form, schema.data if known else ""),
            digest=channel.metadata.get("topic_type_hash", ""),
            msgcount=self._index.counts[number],
            ext=ConnectionExtRosbag2(
                channel.encoding, qualities(channel.metadata.get("offered_qos_profiles"))
            ),
            owner=None,
        )
