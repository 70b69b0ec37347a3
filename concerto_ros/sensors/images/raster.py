# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The pixels of an Image message as an array."""

from __future__ import annotations

from typing import Any

import numpy as np

from concerto_ros.sensors.input_error import InputError
from concerto_ros.sensors.message_fields import attribute, data_bytes, row_distance, unsigned

#: Larger than any camera's image; refuses a small file that declares a huge one.
MAX_PIXELS = 64_000_000


def raster(message: Any, dtype: str, channels: int) -> np.ndarray:
    """Return a view of the pixels of an Image.

    Args:
        message: The Image; its ``is_bigendian`` counts where a channel has more than one byte, its
            ``step`` where the data can hold rows of that length.
        dtype: NumPy type of a channel, without byte order.
        channels: Channels of a pixel.

    Returns:
        (H, W, channels) in the message's byte order.

    Raises:
        InputError: ``malformed``, ``empty`` or ``too_large``.
    """
    height, width = unsigned(message, "height"), unsigned(message, "width")
    declared = unsigned(message, "step")
    checked_size(width, height)
    order = np.dtype(dtype).newbyteorder(">" if attribute(message, "is_bigendian") else "<")
    data = data_bytes(message)
    pixel = channels * order.itemsize
    row = width * pixel
    if len(data) < height * row:
        minimum = f"height x width x {pixel} = {height * row}"
        raise InputError("malformed", f"data: got {len(data)} bytes, expected at least {minimum}")
    step = row_distance(declared, row, height, len(data))
    if step is None:
        raise InputError(
            "malformed",
            f"step: got {declared} in an image of {height} rows with {len(data)} bytes of data,"
            f" expected width x {pixel} = {row}, or more and data for rows of that length",
        )
    return np.ndarray((height, width, channels), order, data, 0, (step, pixel, order.itemsize))


def planes(message: Any, rows: int, *parts: tuple[int, int]) -> list[np.ndarray]:
    """Return views of the planes of an Image that holds several, one after the other.

    Args:
        message: The Image. Its ``step`` is that of a row of luma; where the data is shorter than
            that asks for, the rows have no padding.
        rows: Steps of the data in all.
        parts: Rows of each plane, and the steps of a row.

    Returns:
        Arrays (rows, steps of a row x width) uint8.

    Raises:
        InputError: ``malformed``, ``empty`` or ``too_large``.
    """
    width, step = unsigned(message, "width"), unsigned(message, "step")
    data = data_bytes(message)
    step = step if width <= step and rows * step <= len(data) else width
    if len(data) < rows * step:
        raise InputError(
            "malformed",
            f"data: got {len(data)} bytes, expected at least {rows} x width = {rows * step}",
        )
    found, at = [], 0
    for height, steps in parts:
        found.append(np.ndarray((height, steps * width), np.uint8, data, at, (steps * step, 1)))
        at += height * steps * step
    return found


def checked_size(width: int, height: int) -> None:
    """Check the size of an image before memory is allocated for it.

    Raises:
        InputError: ``empty`` or ``too_large``.
    """
    if width * height == 0:
        raise InputError("empty", f"image size: got {width}x{height}, expected at least one pixel")
    if width * height > MAX_PIXELS:
        raise InputError(
            "too_large", f"image size: got {width}x{height}, expected at most {MAX_PIXELS} pixels"
        )
