# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Decoding of depth images (REP-118)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from concerto_ros.sensors.images.encodings import DEPTH
from concerto_ros.sensors.images.files import is_file, read_file
from concerto_ros.sensors.images.raster import raster
from concerto_ros.sensors.images.rvl import decode_rvl
from concerto_ros.sensors.images.transports import DEPTH_HEADER, FILE_FORMATS, is_zstd, unpacked
from concerto_ros.sensors.input_error import InputError
from concerto_ros.sensors.message_fields import data_bytes, text
from concerto_ros.sensors.no_reading import (
    CAMERA_NO_READING,
    FARTHEST,
    TOLERANCE,
    is_no_reading,
)


def decode_depth(message: Any, no_reading: Sequence[float] = CAMERA_NO_READING) -> np.ndarray:
    """Decode a depth image.

    Args:
        message: An Image of one of the encodings in
            :data:`~concerto_ros.sensors.images.encodings.DEPTH`, in either byte order; or a
            CompressedImage: a png or tiff, a png or RVL of compressed_depth_image_transport, or
            one of zstd_image_transport.
        no_reading: Depths in metres that mean "no reading", beside those that do by REP-118.

    Returns:
        (H, W) float32 metres; NaN where there is no reading: the value is zero, negative or not
        finite, 1000 m or more, or one of ``no_reading``.

    Raises:
        InputError: ``unsupported`` encoding, ``malformed``, ``empty`` or ``too_large`` image.
    """
    if not hasattr(message, "encoding"):
        return _decompressed(message, no_reading)
    encoding = text(message, "encoding")
    if encoding.lower() not in DEPTH:
        known = "16UC1, mono16, 32FC1 or 64FC1 for depth"
        raise InputError("unsupported", f"encoding: got '{encoding}', expected {known}")
    pixels = raster(message, DEPTH[encoding.lower()], 1)[..., 0]
    return _depth(pixels, no_reading)


def _depth(pixels: np.ndarray, no_reading: Sequence[float]) -> np.ndarray:
    """Return the depth of pixels in millimetres, if they are integers, or in metres."""
    if pixels.dtype.kind == "u":
        return _millimetres(tuple(no_reading)).take(pixels)
    with np.errstate(over="ignore"):
        depth = pixels.astype(np.float32, order="C")
    depth[~((depth > 0) & (depth < FARTHEST))] = np.nan
    far = np.flatnonzero(depth > min(no_reading, default=np.inf) - 2 * TOLERANCE)
    if len(far):
        values = depth.reshape(-1)
        values[far[is_no_reading(values[far], no_reading)]] = np.nan
    return depth


@lru_cache(maxsize=16)
def _millimetres(no_reading: tuple[float, ...]) -> np.ndarray:
    """Return the metres (65536,) of each number of millimetres, NaN where it is no reading."""
    metres = np.arange(2**16, dtype=np.uint16) * np.float32(0.001)
    metres[0] = np.nan
    metres[is_no_reading(metres, no_reading)] = np.nan
    metres.setflags(write=False)
    return metres


def _decompressed(message: Any, no_reading: Sequence[float]) -> np.ndarray:
    """Decode what image_transport's plugins send.

    ``format`` is the encoding and what was done to it: ``16UC1; compressedDepth png``. Old
    versions do not name the png; other publishers name nothing else.
    """
    declared = text(message, "format")
    if is_zstd(declared):
        return decode_depth(unpacked(message), no_reading)
    data = data_bytes(message)
    parameters: tuple[float, ...] = ()
    if not is_file(data[:12].tobytes()) and len(data) >= DEPTH_HEADER.size:
        parameters = DEPTH_HEADER.unpack(data[: DEPTH_HEADER.size].tobytes())[1:]
        data = data[DEPTH_HEADER.size :]
    encoding, _, form = (part.strip().lower() for part in declared.partition(";"))
    is_rvl = "rvl" in form
    pixels = decode_rvl(data) if is_rvl else read_file(data, declared, unchanged=True)
    if pixels.ndim != 2 or pixels.dtype not in (np.uint16, np.float32, np.float64):
        got = f"{pixels.dtype.name} of shape {pixels.shape}"
        raise InputError(
            "malformed", f"depth file: got {got}, expected one channel of 16 bit or of floats"
        )
    if not declared.strip() or any(name in encoding for name in FILE_FORMATS):
        encoding = "16uc1" if pixels.dtype == np.uint16 else "32fc1"
    quantised = pixels.dtype == np.uint16 and DEPTH.get(encoding) != "u2"
    if encoding not in DEPTH or (quantised and not parameters):
        expected = "an encoding of depth before it, as in '16UC1; compressedDepth png'"
        raise InputError("unsupported", f"format: got '{declared}', expected {expected}")
    if not quantised:
        return _depth(pixels, no_reading)
    # Depth is quantised as its inverse: pixel = a / depth + b; zero is no reading.
    a, b = parameters
    with np.errstate(all="ignore"):
        depth = np.float32(a) / (pixels.astype(np.float32) - np.float32(b))
    depth[pixels == 0] = np.nan
    # The transport has left out what its camera sends for no reading, if that is beyond depth_max;
    # quantised, no number is exact enough to be told by its value.
    return _depth(depth, ())
