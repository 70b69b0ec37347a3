# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Decoding of sensor_msgs/Image and CompressedImage to colour and depth arrays."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np

from concerto_ros.sensors.input_error import InputError
from concerto_ros.sensors.message_fields import attribute, data_bytes, text, unsigned

#: Channels of each colour encoding, and the indices of red, green and blue. OpenCV's own type
#: names do not define the order; blue first is OpenCV's, and how RViz reads them.
COLOR_ENCODINGS = {
    "rgb8": (3, (0, 1, 2)),
    "rgba8": (4, (0, 1, 2)),
    "bgr8": (3, (2, 1, 0)),
    "bgra8": (4, (2, 1, 0)),
    "8uc3": (3, (2, 1, 0)),
    "8uc4": (4, (2, 1, 0)),
    "mono8": (1, (0, 0, 0)),
    "8uc1": (1, (0, 0, 0)),
}

#: Depth encodings of REP-118 and their NumPy types. Some OpenNI drivers call millimetres mono16.
DEPTH_ENCODINGS = {"16uc1": "u2", "mono16": "u2", "32fc1": "f4"}

#: Larger than any camera's image; refuses a small file that declares a huge one.
MAX_PIXELS = 64_000_000

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
JPEG_MAGIC = b"\xff\xd8"


def decode_color(message: Any) -> np.ndarray:
    """Decode a colour image.

    Args:
        message: An Image of the encodings rgb8, bgr8, rgba8, bgra8, mono8, 8UC1, 8UC3 or 8UC4,
            with or without padded rows, or a CompressedImage of a jpeg or png.

    Returns:
        (H, W, 3) uint8 RGB; may be a view into the message.

    Raises:
        InputError: ``unsupported`` encoding, ``malformed``, ``empty`` or ``too_large`` image.
    """
    if not hasattr(message, "encoding"):
        return _decompress_color(message)
    encoding = text(message, "encoding")
    if encoding.lower() not in COLOR_ENCODINGS:
        known = ", ".join(COLOR_ENCODINGS)
        raise InputError("unsupported", f"encoding: got '{encoding}', expected one of {known}")
    channels, order = COLOR_ENCODINGS[encoding.lower()]
    pixels = _raster(message, np.dtype(np.uint8), channels)
    if order == (0, 1, 2):
        return pixels[..., :3]
    return np.stack([pixels[..., i] for i in order], axis=2)


def decode_depth(message: Any) -> np.ndarray:
    """Decode a depth image (REP-118).

    Args:
        message: An Image of the encodings 16UC1 or mono16 (millimetres) or 32FC1 (metres), in
            either byte order; or a CompressedImage of compressed_depth_image_transport (a png
            behind its header, 16UC1 or 32FC1) or a plain 16-bit png in millimetres.

    Returns:
        (H, W) float32 metres; NaN where the value is zero, negative or not finite: no reading.

    Raises:
        InputError: ``unsupported`` encoding, ``malformed``, ``empty`` or ``too_large`` image.
    """
    if not hasattr(message, "encoding"):
        return _decompress_depth(message)
    encoding = text(message, "encoding")
    if encoding.lower() not in DEPTH_ENCODINGS:
        raise InputError(
            "unsupported", f"encoding: got '{encoding}', expected 16UC1 or 32FC1 for depth"
        )
    dtype = np.dtype(DEPTH_ENCODINGS[encoding.lower()])
    big_endian = bool(attribute(message, "is_bigendian"))
    pixels = _raster(message, dtype.newbyteorder(">" if big_endian else "<"), 1)[..., 0]
    return _millimetres(pixels) if dtype.kind == "u" else _metres(pixels)


def _raster(message: Any, dtype: np.dtype, channels: int) -> np.ndarray:
    """Return a view (H, W, channels) of an Image's data."""
    height, width = unsigned(message, "height"), unsigned(message, "width")
    step = unsigned(message, "step")
    _check_size(width, height)
    data = data_bytes(message)
    pixel = channels * dtype.itemsize
    if step < width * pixel:
        minimum = f"width x {pixel} = {width * pixel}"
        raise InputError("malformed", f"step: got {step}, expected at least {minimum}")
    if len(data) < height * step:
        minimum = f"height x step = {height * step}"
        raise InputError("malformed", f"data: got {len(data)} bytes, expected at least {minimum}")
    strides = (step, pixel, dtype.itemsize)
    return np.ndarray((height, width, channels), dtype, data, 0, strides)


def _check_size(width: int, height: int) -> None:
    if width * height == 0:
        raise InputError("empty", f"image size: got {width}x{height}, expected at least one pixel")
    if width * height > MAX_PIXELS:
        raise InputError(
            "too_large", f"image size: got {width}x{height}, expected at most {MAX_PIXELS} pixels"
        )


def _millimetres(pixels: np.ndarray) -> np.ndarray:
    depth = np.multiply(pixels, np.float32(0.001), dtype=np.float32)
    depth[pixels == 0] = np.nan
    return depth


def _metres(pixels: np.ndarray) -> np.ndarray:
    depth = pixels.astype(np.float32)
    depth[~((depth > 0) & (depth < np.inf))] = np.nan
    return depth


def _decompress_color(message: Any) -> np.ndarray:
    import cv2

    declared = text(message, "format")
    if "compresseddepth" in declared.lower():
        raise InputError("unsupported", f"format: got '{declared}', expected a colour image")
    # An image rotated by its EXIF tag would no longer match the depth image.
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    blue_first = _decode_file(data_bytes(message), flags)
    return cv2.cvtColor(blue_first, cv2.COLOR_BGR2RGB)


def _decompress_depth(message: Any) -> np.ndarray:
    """Decode the CompressedImage of compressed_depth_image_transport.

    ``format`` is "16UC1; compressedDepth png"; the data are a header of an int32 format and two
    float32 parameters, little endian, and then a png.
    """
    import cv2

    declared = text(message, "format")
    encoding = declared.split(";")[0].strip().lower()
    data = data_bytes(message)
    if "rvl" in declared.lower():
        raise InputError(
            "unsupported", f"format: got '{declared}', expected png; set the transport to png"
        )
    if data[:8].tobytes() == PNG_MAGIC:
        file, parameters = data, None
        encoding = "16uc1" if encoding == "png" else encoding
    elif data[12:20].tobytes() == PNG_MAGIC:
        file, parameters = data[12:], struct.unpack("<2f", data[4:12].tobytes())
    else:
        raise InputError("malformed", f"data: got no png in the format '{declared}', expected one")
    if encoding not in DEPTH_ENCODINGS or (encoding == "32fc1" and parameters is None):
        expected = "'16UC1; compressedDepth png' or '32FC1; compressedDepth png'"
        raise InputError("unsupported", f"format: got '{declared}', expected {expected}")
    pixels = _decode_file(file, cv2.IMREAD_UNCHANGED)
    if pixels.dtype != np.uint16 or pixels.ndim != 2:
        got = f"{pixels.dtype.name} of shape {pixels.shape}"
        raise InputError("malformed", f"depth png: got {got}, expected one channel of 16 bit")
    if encoding != "32fc1" or parameters is None:
        return _millimetres(pixels)
    # Depth is quantised as its inverse: pixel = a / depth + b; zero is no reading.
    a, b = parameters
    with np.errstate(all="ignore"):
        depth = np.float32(a) / (pixels.astype(np.float32) - np.float32(b))
    depth[pixels == 0] = np.nan
    return _metres(depth)


def _decode_file(data: np.ndarray, flags: int) -> np.ndarray:
    """Decode a jpeg or png with OpenCV, after checks that it does not make itself."""
    import cv2

    content = data.tobytes()
    if content.startswith(PNG_MAGIC):
        width, height = _png_size(content)
    elif content.startswith(JPEG_MAGIC):
        width, height = _jpeg_size(content)
    else:
        raise InputError("malformed", "data: got neither a jpeg nor a png, expected one of them")
    _check_size(width, height)
    try:
        image = cv2.imdecode(data, flags)
    except cv2.error as error:
        raise InputError("malformed", f"the compressed image cannot be read: {error}") from None
    if image is None or image.shape[:2] != (height, width):
        raise InputError("malformed", "the compressed image cannot be read")
    return image


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
