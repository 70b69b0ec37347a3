# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Decompression of what recordings hold: chunks, messages and whole files."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import lz4.frame

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"

#: Bytes of a compressed file that are read at once.
PIECE = 1 << 20


def decompress(data: bytes, compression: str) -> bytes:
    """Decompress a chunk of an MCAP file, as far as it goes where it is cut short.

    Args:
        data: The compressed bytes.
        compression: ``zstd``, ``lz4``, or an empty string for none.

    Raises:
        ValueError: Another compression, or ``data`` is not of this one.
    """
    if not compression:
        return data
    if not data:
        return b""
    try:
        if compression == "zstd":
            return b"".join(_frames(data))
        if compression == "lz4":
            return bytes(lz4.frame.LZ4FrameDecompressor().decompress(data))
    except (zstd.ZstdError, RuntimeError, EOFError) as error:
        raise ValueError(f"its {compression} data is damaged: {error}") from error
    raise ValueError(f"compression: got {compression}, expected zstd, lz4 or none")


def _frames(data: bytes) -> Iterator[bytes]:
    """Decompress the zstd frames that follow each other, the last of which may be cut short."""
    while data:
        decompressor = zstd.ZstdDecompressor()
        yield decompressor.decompress(data)
        data = decompressor.unused_data if decompressor.eof else b""


def message_bytes(raw: bytes) -> bytes:
    """Decompress a message of a recording with ``compression_mode: message``.

    Such messages are told by their first bytes, which no CDR message begins with, so that they are
    known without metadata.yaml too. A message that is damaged is returned as it is.
    """
    if raw[:4] != ZSTD_MAGIC:
        return raw
    try:
        return bytes(zstd.decompress(raw))
    except zstd.ZstdError:
        return raw


def decompress_file(source: Path, target: Path) -> str:
    """Decompress a zstd file, as far as it goes.

    Returns:
        What is wrong with it; empty where it is whole.
    """
    decompressor = zstd.ZstdDecompressor()
    with source.open("rb") as file, target.open("wb") as out:
        while piece := file.read(PIECE):
            while piece:
                if decompressor.eof:  # several frames may follow each other
                    decompressor = zstd.ZstdDecompressor()
                try:
                    out.write(decompressor.decompress(piece))
                except zstd.ZstdError as error:
                    return f"is damaged: {error}"
                piece = decompressor.unused_data if decompressor.eof else b""
        return "" if decompressor.eof else "is cut short: its compressed data does not end"
