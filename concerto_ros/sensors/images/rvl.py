# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""RVL, the fast lossless compression of 16-bit depth images.

A. D. Wilson, "Fast Lossless Depth Image Compression", ISS 2017. The pixels are runs of zeros and
of other values in turn: the number of zeros, the number of others, and each of these as its
difference from the one before it. Every number is written in groups of three bits, the lowest
first, each with a fourth bit that says whether another follows; eight groups make a 32-bit word,
the first in its highest bits.
"""

from __future__ import annotations

import struct

import numpy as np

from concerto_ros.sensors.images.raster import checked_size
from concerto_ros.sensors.input_error import InputError

#: Columns and rows, before the words.
SIZE = struct.Struct("<II")

#: Groups of three bits that a number of 32 bit takes.
MOST_GROUPS = 11


def decode_rvl(data: np.ndarray) -> np.ndarray:
    """Decode an image.

    Args:
        data: (n,) uint8: columns and rows as uint32, then the words, little endian.

    Returns:
        (rows, columns) uint16.

    Raises:
        InputError: ``malformed``, ``empty`` or ``too_large``.
    """
    if len(data) < SIZE.size:
        raise InputError(
            "malformed", f"RVL data: got {len(data)} bytes, expected at least {SIZE.size}"
        )
    columns, rows = SIZE.unpack(data[: SIZE.size].tobytes())
    checked_size(columns, rows)
    numbers = _numbers(data[SIZE.size :])
    pixels = rows * columns
    zeros, others, is_value = _runs(numbers, pixels)
    # Zigzag: 0, -1, 1, -2, ... The sum wraps around at 16 bit, like the encoder's.
    encoded = numbers[is_value]
    values = np.cumsum((encoded >> 1) ^ -(encoded & 1), dtype=np.int64).astype(np.uint16)
    lengths = np.stack([zeros, others], axis=1).reshape(-1)
    filled = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    image = np.zeros(pixels, np.uint16)
    image[: len(filled)][filled] = values
    return image.reshape(rows, columns)


def _numbers(data: np.ndarray) -> np.ndarray:
    """Return all numbers (n,) int64 in the words, those that pad the last one included."""
    octets = data[: len(data) // 4 * 4].reshape(-1, 4)[:, ::-1].reshape(-1)
    groups = np.stack([octets >> 4, octets & 15], axis=1).reshape(-1)
    last = np.flatnonzero(groups < 8)
    first = np.concatenate([[0], last[:-1] + 1]) if len(last) else last
    lengths = last - first + 1
    if lengths.max(initial=0) > MOST_GROUPS:
        raise InputError(
            "malformed",
            f"RVL data: got a number of {lengths.max()} groups, expected at most {MOST_GROUPS}",
        )
    numbers = np.zeros(len(last), np.int64)
    rows = np.arange(len(last))
    for place in range(int(lengths.max(initial=0))):
        rows = rows[lengths[rows] > place]
        numbers[rows] |= (groups[first[rows] + place] & 7).astype(np.int64) << 3 * place
    return numbers


def _runs(numbers: np.ndarray, pixels: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the lengths of the runs, and which of the numbers are values of pixels.

    Returns:
        Zeros and others (r,) of each pair of runs, and a bool for each number.
    """
    listed = numbers.tolist()
    heads: list[int] = []
    at, left = 0, pixels
    while left > 0 and at + 1 < len(listed):
        heads.append(at)
        others = listed[at + 1]
        left -= listed[at] + others
        at += 2 + others
    if left != 0 or at > len(listed):
        raise InputError(
            "malformed",
            f"RVL data: got runs of {pixels - left} pixels in {len(listed)} numbers, expected"
            f" {pixels} pixels",
        )
    head = np.array(heads, np.int64)
    is_value = np.zeros(len(listed), bool)
    is_value[:at] = True
    is_value[head] = is_value[head + 1] = False
    return numbers[head], numbers[head + 1], is_value
