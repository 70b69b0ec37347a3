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


def mcap(messages, *, chunk=None, compression="", checksum=True, closed=True, profile="ros2"):
    """Return the bytes of a file without a summary.

    Args:
        messages: (nanoseconds after START, topic, message), each topic of one type.
        chunk: Messages in each chunk; None: no chunks.
        compression: Of the chunks.
        checksum: Whether the chunks have one.
        closed: Whether it has an end of data and a footer.
        profile: Of the header.
    """
    known = {}
    rows = []
    for time, topic, message in messages:
        kind = message.__msgtype__
        raw = b""
        if topic not in known:
            known[topic] = len(known) + 1
            number = struct.pack("<H", known[topic])
            definition, _ = STORE.generate_msgdef(kind)
            schema = number + text(kind) + text("ros2msg") + text(definition)
            channel = number + number + text(topic) + text("cdr") + text("")
            raw = record(3, schema) + record(4, channel)
        head = struct.pack("<HIQQ", known[topic], 0, START + time, START + time)
        raw += record(5, head + bytes(STORE.serialize_cdr(message, kind)))
        rows.append((START + time, raw))
    out = MAGIC + record(1, text(profile) + text("test"))
    if chunk is None:
        out += b"".join(raw for _, raw in rows)
    else:
        for begin in range(0, len(rows), chunk):
            part = rows[begin : begin + chunk]
            data = b"".join(raw for _, raw in part)
            times = [time for time, _ in part]
            packed = compressed(data, compression)
            head = struct.pack(
                "<QQQI", min(times), max(times), len(data), crc32(data) if checksum else 0
            )
            out += record(6, head + text(compression) + struct.pack("<Q", len(packed)) + packed)
    if closed:
        out += record(15, bytes(4)) + record(2, bytes(20)) + MAGIC
    return out
