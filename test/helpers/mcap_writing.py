# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""MCAP files in forms that rosbags does not write: without chunks, in lz4, with checksums."""

from __future__ import annotations

import struct
from zlib import crc32

import lz4.frame
from bag_recordings import START, STORE

MAGIC = b"\x89MCAP0\r\n"


def record(opcode, content):
    return struct.pack("<BQ", opcode, len(content)) + content


def text(value):
    value = value.encode()
    return struct.pack("<I", len(value)) + value


def compressed(data, compression):
    if compression == "zstd":
        from backports import zstd

        return zstd.compress(data)
    return lz4.frame.compress(data) if compression == "lz4" else data


def mcap(
    messages,
    *,
    chunk=None,
    compression="",
    checksum=True,
    closed=True,
    profile="ros2",
    indexed=None,
):
    """Return the bytes of a file, by default without a summary.

    Args:
        messages: (nanoseconds after START, topic, message), each topic of one type.
        chunk: Messages in each chunk; None: no chunks.
        compression: Of the chunks.
        checksum: Whether the chunks have one.
        closed: Whether it has an end of data and a footer.
        profile: Of the header.
        indexed: Topics whose messages have indices, for a file with a summary.
    """
    known, definitions, rows = {}, {}, []
    for time, topic, message in messages:
        kind = message.__msgtype__
        raw = b""
        if topic not in known:
            known[topic] = len(known) + 1
            number = struct.pack("<H", known[topic])
            definition, _ = STORE.generate_msgdef(kind)
            schema = number + text(kind) + text("ros2msg") + text(definition)
            channel = number + number + text(topic) + text("cdr") + text("")
            raw = definitions[topic] = record(3, schema) + record(4, channel)
        head = struct.pack("<HIQQ", known[topic], 0, START + time, START + time)
        raw += record(5, head + bytes(STORE.serialize_cdr(message, kind)))
        rows.append((START + time, topic, raw))
    out = MAGIC + record(1, text(profile) + text("test"))
    chunk_indices = b""
    for begin in range(0, len(rows), chunk or len(rows)):
        part = rows[begin : begin + (chunk or len(rows))]
        data = b"".join(raw for _, _, raw in part)
        if chunk is None:
            out += data
            continue
        times = [time for time, _, _ in part]
        packed = compressed(data, compression)
        head = struct.pack("<QQQ", min(times), max(times), len(data))
        head += struct.pack("<I", crc32(data) if checksum else 0)
        at = len(out)
        out += record(6, head + text(compression) + struct.pack("<Q", len(packed)) + packed)
        length, offsets, start = len(out) - at, b"", len(out)
        for topic in indexed or ():
            stamps = [time for time, other, _ in part if other == topic]
            offsets += struct.pack("<HQ", known[topic], len(out))
            entries = b"".join(struct.pack("<QQ", time, 0) for time in stamps)
            out += record(7, struct.pack("<HI", known[topic], len(entries)) + entries)
        chunk_indices += record(
            8,
            struct.pack("<QQQQI", min(times), max(times), at, length, len(offsets))
            + offsets
            + struct.pack("<Q", len(out) - start)
            + text(compression)
            + struct.pack("<QQ", len(packed), len(data)),
        )
    if not closed:
        return out
    out += record(15, bytes(4))
    if indexed is None:
        return out + record(2, bytes(20)) + MAGIC
    counts = b"".join(
        struct.pack("<HQ", number, sum(topic == other for _, other, _ in rows))
        for topic, number in known.items()
    )
    numbers = (len(rows), len(known), len(known), 0, 0, -(-len(rows) // chunk), 0, 0)
    statistics = struct.pack("<QHIIIIQQI", *numbers, len(counts)) + counts
    summary = b"".join(definitions.values()) + chunk_indices + record(11, statistics)
    return out + summary + record(2, struct.pack("<QQI", len(out), 0, 0)) + MAGIC
