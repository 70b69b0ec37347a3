# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What image_transport put into a CompressedImage."""

from __future__ import annotations

import struct
import zlib
from types import SimpleNamespace
from typing import Any

from concerto_ros.sensors.images.raster import checked_size
from concerto_ros.sensors.input_error import InputError
from concerto_ros.sensors.message_fields import data_bytes, text

#: Height, width, is_bigendian, step and the length of the encoding's name.
ZSTD_HEADER = struct.Struct("<IIBII")

#: The header of compressed_depth_image_transport: a number of the format, and the parameters of
#: quantised depth, little endian.
DEPTH_HEADER = struct.Struct("<i2f")

#: Bytes of a pixel of the largest encoding, 64FC4.
LARGEST_PIXEL = 32

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


def source_encoding(message: Any) -> str:
    """Return the encoding of the image that was published, or compressed.

    Args:
        message: An Image or a CompressedImage.

    Returns:
        The encoding, as the message has it. Where only the format of the file is known, that of a
        16-bit grey png is ``16UC1`` and any other's ``bgr8``; an unknown format as it is.

    Raises:
        InputError: ``malformed``: the message has no encoding and no format.
    """
    if hasattr(message, "encoding"):
        return text(message, "encoding")
    declared = text(message, "format")
    if is_zstd(declared):
        return unpacked(message).encoding
    encoding, separator, form = (part.strip() for part in declared.partition(";"))
    if separator and encoding:
        known = any(name in form.lower() for name in (*FILE_FORMATS, "compresseddepth"))
        return encoding if known or not form else declared
    if not any(name in declared.lower() for name in FILE_FORMATS) and declared:
        return declared
    head = data_bytes(message)[: DEPTH_HEADER.size + 26].tobytes()
    grey = _is_16_bit_grey(head) or _is_16_bit_grey(head[DEPTH_HEADER.size :])
    return "16UC1" if grey else "bgr8"


#: Parts of the ``format`` of a CompressedImage that holds a file.
FILE_FORMATS = ("jpeg", "jpg", "png", "webp", "tif")


def _is_16_bit_grey(head: bytes) -> bool:
    """Return whether a png begins with these 26 bytes that has one channel of 16 bit."""
    return head.startswith(PNG_MAGIC) and head[24:26] == b"\x10\x00"


def is_zstd(declared: str) -> bool:
    """Return whether this ``format`` is that of zstd_image_transport."""
    return declared.strip().lower() == "zstd"


def unpacked(message: Any) -> Any:
    """Return the Image that zstd_image_transport packed; its name aside, the format is zlib's.

    Args:
        message: A CompressedImage with the format ``zstd``.

    Returns:
        An object with the attributes of an Image, without header.

    Raises:
        InputError: ``malformed``, ``empty`` or ``too_large``.
    """
    data = data_bytes(message).tobytes()
    if len(data) < ZSTD_HEADER.size:
        raise InputError(
            "malformed", f"data: got {len(data)} bytes, expected more than {ZSTD_HEADER.size}"
        )
    height, width, big_endian, step, length = ZSTD_HEADER.unpack_from(data)
    start = ZSTD_HEADER.size + length
    checked_size(width, height)
    if step > width * LARGEST_PIXEL + 4096 or length > 64 or start > len(data):
        got = f"step {step}, width {width} and {length} letters of the encoding"
        raise InputError("malformed", f"data: got a header with {got}, expected that of an Image")
    # The planes of nv24 are three times as large as height x step.
    reader = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    try:
        pixels = reader.decompress(data[start:], max_length=3 * height * step + 1)
    except zlib.error as error:
        raise InputError("malformed", f"data: cannot be decompressed: {error}") from None
    return SimpleNamespace(
        height=height,
        width=width,
        encoding=data[ZSTD_HEADER.size : start].decode("latin-1"),
        is_bigendian=big_endian,
        step=step,
        data=pixels,
    )
