# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Checked reading of message attributes: whatever a driver sends, InputError at worst."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from concerto_ros.sensors.input_error import InputError

#: Largest value of the uint32 fields of the messages.
UINT32_MAX = 2**32 - 1

#: Nanoseconds in a second.
NANOSECONDS = 1_000_000_000


def attribute(message: Any, name: str, reason: str = "malformed") -> Any:
    """Return an attribute of a message.

    Args:
        message: The message.
        name: Name of the attribute, with dots for nested messages.
        reason: The reason of the error, a key of ``input_error.REASONS``.

    Raises:
        InputError: There is no such attribute.
    """
    value = message
    for part in name.split("."):
        try:
            value = getattr(value, part)
        except AttributeError:
            message_type = type(message).__name__
            raise InputError(reason, f"{message_type} has no attribute '{name}'") from None
    return value


def unsigned(message: Any, name: str, reason: str = "malformed") -> int:
    """Return a uint32 attribute as int.

    Raises:
        InputError: ``reason``: it does not exist or is something else.
    """
    value = attribute(message, name, reason)
    try:
        number = operator.index(value)
    except TypeError:
        number = -1
    if not 0 <= number <= UINT32_MAX:
        raise InputError(reason, f"{name}: got {value!r}, expected an integer 0..2^32-1")
    return number


def text(message: Any, name: str) -> str:
    """Return a string attribute.

    Raises:
        InputError: ``malformed``: it does not exist or is something else.
    """
    value = attribute(message, name)
    if not isinstance(value, str):
        raise InputError("malformed", f"{name}: got {value!r}, expected a string")
    return value


def data_bytes(message: Any) -> np.ndarray:
    """Return the ``data`` attribute as (n,) uint8 without a copy.

    Accepts what the ROS 2 client libraries and bag readers provide: array.array, bytes, memoryview
    or NumPy uint8.

    Raises:
        InputError: ``malformed``: it does not exist or is something else.
    """
    data = attribute(message, "data")
    try:
        buffer = memoryview(data)
        if buffer.itemsize != 1 or not buffer.c_contiguous:
            raise TypeError
        if buffer.nbytes == 0:
            return np.empty(0, np.uint8)
        return np.frombuffer(buffer, np.uint8)
    except (TypeError, ValueError, BufferError):
        got = type(data).__name__
        raise InputError("malformed", f"data: got a {got}, expected contiguous bytes") from None


def row_distance(declared: int, row: int, rows: int, size: int) -> int | None:
    """Return the bytes from one row of an image or a cloud to the next, which drivers send wrong.

    The declared number counts where the data can hold rows of it. Else rows follow each other
    without a gap, if there is one row only or if the data ends with the last row: drivers send 0,
    the width, or the size of the whole data.

    Args:
        declared: ``step`` of an Image, ``row_step`` of a PointCloud2.
        row: Bytes of a row without padding.
        rows: Number of rows.
        size: Bytes of the data, at least ``rows`` times ``row``.

    Returns:
        None where the data does not tell where rows begin.
    """
    if declared >= row and size >= (rows - 1) * declared + row:
        return declared
    return row if rows == 1 or size == rows * row else None


def stamp_ns(message: Any) -> int:
    """Return ``header.stamp`` (builtin_interfaces/Time) in nanoseconds; zero stays zero.

    Raises:
        InputError: ``malformed``: it does not exist or does not consist of integers.
    """
    seconds = attribute(message, "header.stamp.sec")
    nanoseconds = attribute(message, "header.stamp.nanosec")
    try:
        return join_stamp(operator.index(seconds), operator.index(nanoseconds))
    except TypeError:
        got = f"{seconds!r} s, {nanoseconds!r} ns"
        raise InputError("malformed", f"header.stamp: got {got}, expected integers") from None


def join_stamp(sec: int, nanosec: int) -> int:
    """Return the nanoseconds of the two fields of a builtin_interfaces/Time."""
    return sec * NANOSECONDS + nanosec


def split_stamp(stamp: int) -> tuple[int, int]:
    """Return ``sec`` and ``nanosec`` of a builtin_interfaces/Time for a stamp in nanoseconds."""
    return divmod(stamp, NANOSECONDS)
