# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Decoding of colour images."""

from __future__ import annotations

from typing import Any

import numpy as np

from concerto_ros.sensors.images.encodings import (
    BAYER,
    PACKED,
    YUV_422,
    YUV_PLANES,
)
from concerto_ros.sensors.images.files import read_file
from concerto_ros.sensors.images.raster import checked_size, planes, raster
from concerto_ros.sensors.images.transports import is_zstd, unpacked
from concerto_ros.sensors.input_error import InputError
from concerto_ros.sensors.message_fields import data_bytes, text, unsigned

#: Floats up to this are fractions of full intensity: 1 and what rounding and resampling add to it.
HIGHEST_FRACTION = 1.1


def decode_color(message: Any) -> np.ndarray:
    """Decode a colour image.

    Args:
        message: An Image of one of the encodings in
            :data:`~concerto_ros.sensors.images.encodings.COLOR`, with or without padded rows, in
            either byte order; or a CompressedImage: a jpeg, png, webp or tiff, also of a mosaic
            (``bayer_rggb8; jpeg compressed``), or one of zstd_image_transport.

    Returns:
        (H, W, 3) uint8 RGB; may be a view into the message.

    Raises:
        InputError: ``unsupported`` encoding, ``malformed``, ``empty`` or ``too_large`` image.
    """
    if not hasattr(message, "encoding"):
        return _decompressed(message)
    declared = text(message, "encoding")
    encoding = declared.lower()
    if encoding in PACKED:
        return _rgb(raster(message, PACKED[encoding].dtype, PACKED[encoding].channels), encoding)
    if encoding in BAYER:
        pattern, dtype = BAYER[encoding]
        return _demosaiced(raster(message, dtype, 1)[..., 0], pattern)
    if encoding in YUV_422:
        return _yuv_422(raster(message, "u1", 2), YUV_422[encoding])
    if encoding in YUV_PLANES:
        return _yuv_planes(message, encoding)
    known = "a colour of sensor_msgs/image_encodings.hpp, such as rgb8, bayer_rggb8 or nv12"
    raise InputError("unsupported", f"encoding: got '{declared}', expected {known}")


def _rgb(pixels: np.ndarray, encoding: str) -> np.ndarray:
    """Return (H, W, 3) uint8 of the pixels (H, W, channels) of a packed encoding."""
    order = PACKED[encoding].rgb
    if order == (0, 1, 2):
        return _eight_bit(pixels[..., :3])
    if order == (0, 0, 0):
        return np.repeat(_eight_bit(pixels), 3, axis=2)
    return _eight_bit(np.stack([pixels[..., channel] for channel in order], axis=2))


def _eight_bit(pixels: np.ndarray) -> np.ndarray:
    """Return the same colours as uint8; 16-bit numbers scale by their full range, as cv_bridge."""
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype.kind == "u":
        return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    with np.errstate(invalid="ignore", over="ignore"):
        numbers = np.nan_to_num(pixels.astype(np.float32), copy=False, nan=0, posinf=0, neginf=0)
        if numbers.max(initial=0.0) <= HIGHEST_FRACTION:
            numbers *= 255.0
        return np.clip(np.rint(numbers), 0, 255).astype(np.uint8)


def _demosaiced(mosaic: np.ndarray, pattern: str) -> np.ndarray:
    """Interpolate the colours (H, W, 3) uint8 of a mosaic (H, W) of 8 or 16 bit."""
    import cv2

    if min(mosaic.shape) < 2:
        height, width = mosaic.shape
        raise InputError("malformed", f"image size: got {width}x{height}, expected 2x2 or more")
    # OpenCV names a pattern by the second and third pixel of the second row.
    codes = {
        "rggb": cv2.COLOR_BayerBG2RGB,
        "bggr": cv2.COLOR_BayerRG2RGB,
        "gbrg": cv2.COLOR_BayerGR2RGB,
        "grbg": cv2.COLOR_BayerGB2RGB,
    }
    native = np.ascontiguousarray(mosaic, mosaic.dtype.newbyteorder("="))
    return _eight_bit(cv2.cvtColor(native, codes[pattern]))


def _yuv_422(pixels: np.ndarray, order: str) -> np.ndarray:
    """Convert (H, W, 2) uint8: BT.601 in its limited range, as cv_bridge."""
    import cv2

    if pixels.shape[1] % 2:
        raise InputError("unsupported", f"width: got {pixels.shape[1]}, expected an even number")
    code = cv2.COLOR_YUV2RGB_UYVY if order == "uyvy" else cv2.COLOR_YUV2RGB_YUY2
    return cv2.cvtColor(np.ascontiguousarray(pixels), code)


def _yuv_planes(message: Any, encoding: str) -> np.ndarray:
    import cv2

    height, width = unsigned(message, "height"), unsigned(message, "width")
    checked_size(width, height)
    if encoding == "nv24":
        luma, chroma = planes(message, 3 * height, (height, 1), (height, 2))
        # Each pixel twice, as OpenCV knows no such format: then pairs have their chroma in common.
        twice = np.stack([chroma[:, 0::2], luma, chroma[:, 1::2], luma], axis=2)
        return _yuv_422(twice.reshape(height, 2 * width, 2), "uyvy")[:, ::2]
    if height % 2 or width % 2:
        raise InputError("unsupported", f"image size: got {width}x{height}, expected even numbers")
    luma, chroma = planes(message, height * 3 // 2, (height, 1), (height // 2, 1))
    code = cv2.COLOR_YUV2RGB_NV12 if encoding == "nv12" else cv2.COLOR_YUV2RGB_NV21
    pairs = np.ascontiguousarray(chroma).reshape(height // 2, width // 2, 2)
    return cv2.cvtColorTwoPlane(np.ascontiguousarray(luma), pairs, code)


def _decompressed(message: Any) -> np.ndarray:
    declared = text(message, "format")
    if is_zstd(declared):
        return decode_color(unpacked(message))
    if "compresseddepth" in declared.lower():
        raise InputError("unsupported", f"format: got '{declared}', expected a colour image")
    encoding = declared.partition(";")[0].strip().lower()
    pixels = read_file(data_bytes(message), declared, unchanged=encoding in BAYER)
    if encoding in BAYER and pixels.ndim == 2 and pixels.dtype in (np.uint8, np.uint16):
        return _demosaiced(pixels, BAYER[encoding][0])
    if pixels.ndim == 2:
        return np.repeat(_eight_bit(pixels)[..., None], 3, axis=2)
    return _eight_bit(np.ascontiguousarray(pixels[..., 2::-1]))
