# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Where the messages of an MCAP file are: by its summary, or by a scan where it has none.

A file has no summary when its recorder was killed, and one that does not help when it was written
without indices.
"""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple
from zlib import crc32

from concerto_ros.bags.storage import mcap_records as mcap
from concerto_ros.bags.storage.damage import Damage
from concerto_ros.bags.storage.mcap_records import Channel, Fields, Schema

#: Messages outside chunks are read together up to this many bytes.
SPAN = 4 << 20


class Block(NamedTuple):
    """Consecutive records: a chunk, or messages outside chunks.

    Attributes:
        at: Position of the chunk's contents, or of the first record, in the file.
        size: Bytes of it in the file.
        first: Log time of its first message, nanoseconds.
        last: Log time of its last message.
        channels: Whose messages it holds; None where it is not known.
        count: Number of messages; None where it is not known.
        is_chunk: Whether it is a chunk.
        cut: Whether the file ends inside it.
    """

    at: int
    size: int
    first: int = 0
    last: int = 0
    channels: frozenset[int] | None = None
    count: int | None = None  # type: ignore[assignment]  # hides tuple.count
    is_chunk: bool = True
    cut: bool = False


@dataclass
class McapIndex:
    """What an MCAP file holds, and where.

    Attributes:
        profile: The file's profile, such as ``ros2``.
        schemas: Message types by their id.
        channels: Topics by their id.
        blocks: Where the messages are.
        counts: Number of messages by channel.
        damage: What is wrong with the file.
    """

    profile: str = ""
    schemas: dict[int, Schema] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)
    counts: Counter[int] = field(default_factory=Counter)
    damage: list[Damage] = field(default_factory=list)

    def define(self, opcode: int, content: memoryview) -> None:
        """Take a record of a schema or of a channel; others, and damaged ones, are ignored."""
        try:
            if opcode == mcap.SCHEMA:
                self.schemas.update([mcap.schema(content)])
            elif opcode == mcap.CHANNEL:
                self.channels.update([mcap.channel(content)])
        except (ValueError, struct.error):
            return  # messages without a channel are counted as lost


def read_index(file: BinaryIO, size: int, name: str) -> McapIndex:
    """Find the messages of an MCAP file of ``size`` bytes; ``name`` is for messages."""
    try:
        index = _from_summary(file, size)
    except (ValueError, struct.error):
        index = None
    if index is None:
        # an index is believed where it is all there is: that of a closed file was just refused
        closed = read(file, size - len(mcap.MAGIC), len(mcap.MAGIC)) == mcap.MAGIC
        index = _Scan(file, size, name, by_contents=closed).index
    start = read(file, len(mcap.MAGIC), min(size, 4096))
    for opcode, content in mcap.records(start):
        if opcode == mcap.HEADER:
            index.profile = Fields(content).text()
        break
    return index


def read_block(file: BinaryIO, block: Block) -> bytes:
    """Read the records of a block, decompressed.

    Raises:
        ValueError: The chunk is damaged.
        struct.error: Likewise.
    """
    content = read(file, block.at, block.size)
    return mcap.chunk_records(content, cut=block.cut) if block.is_chunk else content


def chunk_damage(name: str, chunk: Block, why: str) -> Damage:
    """Say that a chunk cannot be read, and how many messages are lost."""
    lost = "the" if chunk.count is None else str(chunk.count)
    text = f"is damaged: {lost} messages of the chunk at byte {chunk.at} are lost ({why})"
    return Damage(name, text, chunk.count)


def read(file: BinaryIO, at: int, size: int) -> bytes:
    """Read bytes at a position; fewer where the file ends."""
    file.seek(at)
    return file.read(size)


def _from_summary(file: BinaryIO, size: int) -> McapIndex | None:
    """Return the index by the summary; None where it does not tell everything."""
    footer = mcap.HEAD.size + mcap.FOOTER_CONTENT.size
    tail = footer + len(mcap.MAGIC)
    if size < len(mcap.MAGIC) + tail:
        return None
    end = read(file, size - tail, tail)
    is_footer = mcap.HEAD.unpack_from(end) == (mcap.FOOTER, mcap.FOOTER_CONTENT.size)
    if not is_footer or not end.endswith(mcap.MAGIC):
        return None
    start, _, checksum = mcap.FOOTER_CONTENT.unpack_from(end, mcap.HEAD.size)
    if not len(mcap.MAGIC) <= start < size - tail:
        return None
    summary = read(file, start, size - tail - start)
    if checksum and crc32(end[: footer - 4], crc32(summary)) != checksum:
        return None
    index, total, chunks = McapIndex(), -1, 0
    for opcode, content in mcap.records(summary):
        fields = Fields(content)
        if opcode == mcap.CHUNK_INDEX:
            index.blocks.append(_indexed_chunk(fields))
        elif opcode == mcap.STATISTICS:
            total, _schemas, _channels, _attachments, _metadata, chunks, _first, _last = (
                fields.integer(form) for form in "QHIIIIQQ"
            )
            index.counts = Counter(dict(fields.pairs("HQ")))
        else:
            index.define(opcode, content)
    counted = [block.count for block in index.blocks]
    used = [channel for channel, count in index.counts.items() if count]
    complete = (
        len(index.blocks) == chunks
        and sum(index.counts.values()) == total
        and (chunks > 0 or total == 0)
        and (None in counted or sum(filter(None, counted)) == total)
        and all(channel in index.channels for channel in used)
        and all(index.channels[each].schema in (0, *index.schemas) for each in used)
        and all(block.at + block.size <= start for block in index.blocks)
    )
    return index if complete else None


def _indexed_chunk(fields: Fields) -> Block:
    first, last, at, size = (fields.integer("Q") for _ in range(4))
    channels = frozenset(channel for channel, _ in fields.pairs("HQ"))
    indices = fields.integer("Q")  # bytes: 15 for each channel and 16 for each message
    block = Block(at + mcap.HEAD.size, size - mcap.HEAD.size, first, last)
    if not channels:
        return block
    return block._replace(channels=channels, count=(indices - 15 * len(channels)) // 16)


class _Scan:
    """Walks over the records of a file from the beginning, until it ends or makes no sense."""

    def __init__(self, file: BinaryIO, size: int, name: str, *, by_contents: bool):
        self._name = name
        self._by_contents = by_contents
        self.index = McapIndex()
        self._file, self._size = file, size
        #: The chunk or the messages being read, with the number of messages by channel.
        self._open: Block | None = None
        self._counts: Counter[int] = Counter()
        self._lost = 0
        end, closed = self._walk()
        self._finish(end, complete=closed)
        self._say(end, closed)

    def _walk(self) -> tuple[int, bool]:
        """Return where the walk ended, and whether that was the end of the data."""
        at = len(mcap.MAGIC)
        while at + mcap.HEAD.size <= self._size:
            opcode, length = mcap.HEAD.unpack(read(self._file, at, mcap.HEAD.size))
            content = at + mcap.HEAD.size
            if opcode == 0:  # no record: a file that was never filled
                return at, False
            if opcode not in (mcap.MESSAGE, mcap.MESSAGE_INDEX):
                self._finish(at, complete=True)
            if opcode in (mcap.DATA_END, mcap.FOOTER):
                return at, True
            if content + length > self._size:
                if opcode != mcap.CHUNK:
                    return at, False
                self._open = Block(content, self._size - content, cut=True)
                return self._size, False
            if opcode == mcap.CHUNK:
                self._open = Block(content, length)
            elif opcode == mcap.MESSAGE_INDEX:
                self._count_indexed(Fields(read(self._file, content, 6)))
            elif opcode == mcap.MESSAGE and length >= mcap.MESSAGE_HEAD.size:
                self._count_message(at, content)
            elif opcode in (mcap.SCHEMA, mcap.CHANNEL):
                self.index.define(opcode, memoryview(read(self._file, content, length)))
            at = content + length
        return at, False

    def _count_indexed(self, fields: Fields) -> None:
        """Count the messages of a channel in a chunk, by the index that follows the chunk."""
        channel, size = fields.integer("H"), fields.integer("I")
        if size and self._open is not None and self._open.is_chunk:
            self._counts[channel] = size // 16

    def _count_message(self, at: int, content: int) -> None:
        """Count a message outside chunks."""
        head = read(self._file, content, mcap.MESSAGE_HEAD.size)
        channel, _, time, _ = mcap.MESSAGE_HEAD.unpack(head)
        if self._open is not None and (self._open.is_chunk or at - self._open.at > SPAN):
            self._finish(at, complete=True)
        span = self._open or Block(at, 0, time, time, is_chunk=False)
        self._open = span._replace(first=min(span.first, time), last=max(span.last, time))
        self._counts[channel] += 1

    def _finish(self, end: int, *, complete: bool) -> None:
        """Add what was being read; ``complete``: whether all indices of a chunk were there."""
        block, self._open = self._open, None
        counts, self._counts = self._counts, Counter()
        if block is None:
            return
        if not block.is_chunk:
            self._add(block._replace(size=end - block.at), counts)
            return
        if complete and counts:
            block = block._replace(count=counts.total())
        try:
            told = complete and counts and counts.keys() <= self.index.channels.keys()
            if told and not self._by_contents:
                head = read(self._file, block.at, mcap.CHUNK_HEAD.size)
                first, last, _, _ = mcap.CHUNK_HEAD.unpack(head)
                self._add(block._replace(first=first, last=last), counts)
            else:
                self._add_by_contents(block)
        except (ValueError, struct.error) as error:
            if block.cut:
                self._lost += block.size
            else:
                self.index.damage.append(chunk_damage(self._name, block, str(error)))

    def _add_by_contents(self, block: Block) -> None:
        """Add a chunk whose indices do not tell what it holds."""
        data = read_block(self._file, block)
        used = 0
        for opcode, content in mcap.records(data):
            used += mcap.HEAD.size + len(content)
            self.index.define(opcode, content)
        found = [(time, channel) for time, channel, _ in mcap.messages(data)]
        if found:
            (first, _), (last, _) = min(found), max(found)
            counts = Counter(channel for _, channel in found)
            self._add(block._replace(first=first, last=last), counts)
        if block.cut:
            head = read(self._file, block.at, mcap.CHUNK_HEAD.size)
            self._lost += max(mcap.CHUNK_HEAD.unpack(head)[2] - used, 0)

    def _add(self, block: Block, counts: Counter[int]) -> None:
        channels = frozenset(counts)
        self.index.blocks.append(block._replace(channels=channels, count=counts.total()))
        self.index.counts.update(counts)

    def _say(self, end: int, closed: bool) -> None:
        """Say what is lost."""
        index = self.index
        unknown = [channel for channel in index.counts if channel not in index.channels]
        if unknown:
            lost = sum(index.counts.pop(channel) for channel in unknown)
            index.damage.append(Damage.without_topic(self._name, lost))
        if closed:
            return
        why = "the recorder was killed, the disk was full, or the copy is incomplete"
        if end < self._size and read(self._file, end, 1) == b"\0":
            why = f"it holds no records from byte {end} on"
        lost = self._lost or self._size - end
        rest = f"{lost} bytes without a complete message are lost" if lost else "the rest is lost"
        index.damage.append(
            Damage(
                self._name,
                f"was not closed ({why}): {index.counts.total()} messages were read, {rest}",
            )
        )
