# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The records of an MCAP file, in the layout of https://mcap.dev/spec."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple
from zlib import crc32

from concerto_ros.bags.storage.compression import decompress

MAGIC = b"\x89MCAP0\r\n"

HEADER, FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK, MESSAGE_INDEX, CHUNK_INDEX = range(1, 9)
STATISTICS, DATA_END = 0x0B, 0x0F

#: Opcode and length of a record; channel, sequence, log time and publish time of a message.
HEAD, MESSAGE_HEAD = struct.Struct("<BQ"), struct.Struct("<HIQQ")
#: First and last log time, size and checksum of a chunk's records; the contents of a footer.
CHUNK_HEAD, FOOTER_CONTENT = struct.Struct("<QQQI"), struct.Struct("<QQI")


class Schema(NamedTuple):
    """The definition of a message type."""

    name: str
    encoding: str
    data: str


class Channel(NamedTuple):
    """A topic of one publisher; ``metadata`` holds its quality of service."""

    schema: int
    topic: str
    encoding: str
    metadata: dict[str, str]


class Fields:
    """Reads the fields of a record one after the other.

    All methods raise ValueError or struct.error where the record is too short.

    Attributes:
        rest: What is not read yet.
    """

    def __init__(self, content: bytes | memoryview):
        """Begin with the first field."""
        self.rest = memoryview(content)

    def integer(self, form: str) -> int:
        """Read an integer of a letter of :mod:`struct`."""
        (value,) = struct.unpack_from("<" + form, self.rest)
        self.rest = self.rest[struct.calcsize("<" + form) :]
        return int(value)

    def text(self) -> str:
        """Read a string."""
        return self._bytes().decode("utf-8", "replace")

    def table(self) -> dict[str, str]:
        """Read names with their values."""
        fields, entries = Fields(self._bytes()), {}
        while fields.rest:
            name = fields.text()
            entries[name] = fields.text()
        return entries

    def pairs(self, form: str) -> list[tuple[int, int]]:
        """Read an array of two integers each."""
        return [(int(a), int(b)) for a, b in struct.iter_unpack("<" + form, self._bytes())]

    def _bytes(self) -> bytes:
        size = self.integer("I")
        if size > len(self.rest):
            raise ValueError(f"got a field of {size} bytes, expected at most {len(self.rest)}")
        data, self.rest = bytes(self.rest[:size]), self.rest[size:]
        return data


def schema(content: memoryview) -> tuple[int, Schema]:
    """Read the record of a schema: its id and the schema."""
    fields = Fields(content)
    return fields.integer("H"), Schema(fields.text(), fields.text(), fields.text())


def channel(content: memoryview) -> tuple[int, Channel]:
    """Read the record of a channel: its id and the channel."""
    fields = Fields(content)
    number = fields.integer("H")
    return number, Channel(fields.integer("H"), fields.text(), fields.text(), fields.table())


def records(data: bytes) -> Iterator[tuple[int, memoryview]]:
    """Return (opcode, content) of each whole record."""
    view, at = memoryview(data), 0
    while at + HEAD.size <= len(data):
        opcode, length = HEAD.unpack_from(data, at)
        begin, at = at + HEAD.size, at + HEAD.size + length
        if at > len(data):
            return
        yield opcode, view[begin:at]


def messages(data: bytes) -> Iterator[tuple[int, int, memoryview]]:
    """Return (log time, channel, message) of each whole message, in the order of the file."""
    for opcode, content in records(data):
        if opcode == MESSAGE and len(content) >= MESSAGE_HEAD.size:
            number, _, time, _ = MESSAGE_HEAD.unpack_from(content)
            yield time, number, content[MESSAGE_HEAD.size :]


def chunk_records(content: bytes, *, cut: bool = False) -> bytes:
    """Return the records of a chunk, decompressed.

    Args:
        content: The record of the chunk.
        cut: Whether the file ends inside it: then the records as far as they go.

    Raises:
        ValueError: It is damaged.
        struct.error: It is too short.
    """
    _, _, size, checksum = CHUNK_HEAD.unpack_from(content)
    fields = Fields(memoryview(content)[CHUNK_HEAD.size :])
    compression, compressed_size = fields.text(), fields.integer("Q")
    compressed = bytes(fields.rest[:compressed_size])
    if len(compressed) < compressed_size and not cut:
        raise ValueError("its size does not fit its contents")
    data = decompress(compressed, compression)
    if not cut and len(data) != size:
        raise ValueError(f"it holds {len(data)} bytes, expected {size}")
    if not cut and checksum and crc32(data) != checksum:
        raise ValueError("its checksum is wrong")
    return data
