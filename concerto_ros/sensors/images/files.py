# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Image files inside of messages: checked as OpenCV does not, then decoded by it."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image

from concerto_ros.sensors.images.raster import checked_size
from concerto_ros.sensors.images.transports import FILE_FORMATS, PNG_MAGIC
from concerto_ros.sensors.input_error import InputError

JPEG_MAGIC = b"\xff\xd8"
TIFF_MAGIC = (b"II*\0", b"MM\0*")


def is_file(content: bytes) -> bool:
    """Return whether an image file that is decoded here begins with these bytes."""
    return content.startswith((PNG_MAGIC, JPEG_MAGIC, *TIFF_MAGIC)) or _is_webp(content)


def _is_webp(content: bytes) -> bool:
    return content[:4] == b"RIFF" and content[8:12] == b"WEBP"


def read_file(data: np.ndarray, declared: str, *, unchanged: bool) -> np.ndarray:
    """Decode a jpeg, png, webp or tiff.

    Args:
        data: (n,) uint8, the file.
        declared: The ``format`` of its message, for the text of errors.
        unchanged: Whether to keep number and type of the channels, else three are returned.

    Returns:
        (H, W) or (H, W, channels), blue first.

    Raises:
        InputError: ``unsupported`` format, ``malformed``, ``empty`` or ``too_large`` image.
    """
    import cv2

    content = data.tobytes()
    if content.startswith(PNG_MAGIC):
        width, height = _png_size(content)
    elif content.startswith(JPEG_MAGIC):
        width, height = _jpeg_size(content)
    elif is_file(content):
        width, height = _size(content)
    else:
        known = not declared.strip() or any(name in declared.lower() for name in FILE_FORMATS)
        raise InputError(
            "malformed" if known else "unsupported",
            f"data: got no image file in the format '{declared}', expected a jpeg, png, webp or"
            " tiff",
        )
    checked_size(width, height)
    # An image rotated by its EXIF tag would no longer match the depth image.
    flags = cv2.IMREAD_UNCHANGED if unchanged else cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(data, flags)
    except cv2.error as error:
        raise InputError("malformed", f"the compressed image cannot be read: {error}") from None
    if image is None or image.shape[:2] != (height, width):
        raise InputError("malformed", "the compressed image cannot be read")
    return image


def _size(content: bytes) -> tuple[int, int]:
    """Return width and height of a file without decoding it."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            return image.size
    except Exception as error:  # whatever a damaged file makes Pillow raise
        raise InputError("malformed", f"the compressed image cannot be read: {error}") from None


def _png_size(content: bytes) -> tuple[int, int]:
    """Return width and height of a png after checking that its chunks are complete and intact."""
    at, first = len(PNG_MAGIC), True
    size = (0, 0)
    while at + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, at)
        chunk_type = content[at + 4 : at + 8]
        end = at + 8 + length
        if end + 4 > len(content):
            break
        (checksum,) = struct.unpack_from(">I", content, end)
        if zlib.crc32(memoryview(content)[at + 4 : end]) != checksum:
            raise InputError("malformed", f"the png is corrupt in its chunk {chunk_type!r}")
        if first:
            if chunk_type != b"IHDR" or length != 13:
                break
            size, first = struct.unpack_from(">2I", content, at + 8), False
        if chunk_type == b"IEND":
            return size
        at = end + 4
    raise InputError("malformed", f"the png of {len(content)} bytes is truncated")


def _jpeg_size(content: bytes) -> tuple[int, int]:
    """Return width and height of a jpeg after checking that it is complete."""
    at = 2
    size = None
    while at + 4 <= len(content) and content[at] == 0xFF:
        marker = content[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        (length,) = struct.unpack_from(">H", content, at + 2)
        # The start-of-frame markers; 0xC4, 0xC8 and 0xCC between them are tables.
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC) and at + 9 <= len(content):
            height, width = struct.unpack_from(">2H", content, at + 5)
            size = (width, height)
        at += 2 + length
        if marker == 0xDA:  # start of scan: what follows is compressed data, up to the end marker
            if size is not None and content.find(b"\xff\xd9", at) >= 0:
                return size
            break
    raise InputError("malformed", f"the jpeg of {len(content)} bytes is truncated or corrupt")
