# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Careful reading of message attributes: whatever a driver puts there, InputError at worst."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from concerto_ros.sensors.input_error import InputError

#: Largest value of the uint32 fields of the messages.
UINT32_MAX = 2**32 - 1

#: In a second.
NANOSECONDS = 1_000_000_000


def attribute(message: Any, name: str, reason: str = "malformed") -> Any:
    """``message.<name>``, with dots for nested messages; InputError(reason) where it is absent."""
    value = message
    for part in name.split("."):
        try:
            value = getattr(value, part)
        except AttributeError:
            kind = type(message).__name__
            raise InputError(reason, f"{kind} has no attribute '{name}'") from None
    return value


def unsigned(message: Any, name: str, reason: str = "malformed") -> int:
    """A uint32 attribute as int; InputError(reason) for anything else."""
    value = attribute(message, name, reason)
    try:
        number = operator.index(value)
    except TypeError:
        number = -1
    if not 0 <= number <= UINT32_MAX:
        raise InputError(reason, f"{name} is {value!r}, an integer 0..2^32-1 is wanted")
    return number


def text(message: Any, name: str) -> str:
    """A string attribute; InputError("malformed") for anything else."""
    value = attribute(message, name)
    if not isinstance(value, str):
        raise InputError("malformed", f"{name} is {value!r}, a string is wanted")
    return value


def data_bytes(message: Any) -> np.ndarray:
    """The ``data`` attribute as (n,) uint8 without a copy.

    Takes what the ROS 2 client libraries and bag readers hand out: array.array, bytes, memoryview
    or numpy uint8.
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
        kind = type(data).__name__
        raise InputError("malformed", f"data is a {kind}, contiguous bytes are wanted") from None


def stamp_ns(message: Any) -> int:
    """Nanoseconds of ``header.stamp`` (builtin_interfaces/Time); zero is returned as zero."""
    seconds = attribute(message, "header.stamp.sec")
    nanoseconds = attribute(message, "header.stamp.nanosec")
    try:
        return join_stamp(operator.index(seconds), operator.index(nanoseconds))
    except TypeError:
        got = f"{seconds!r} s, {nanoseconds!r} ns"
        raise InputError("malformed", f"header.stamp is {got}, integers are wanted") from None


def join_stamp(sec: int, nanosec: int) -> int:
    """Nanoseconds of the two fields of a builtin_interfaces/Time."""
    return sec * NANOSECONDS + nanosec


def split_stamp(stamp: int) -> tuple[int, int]:
    """``sec`` and ``nanosec`` of a builtin_interfaces/Time for a stamp in nanoseconds."""
    return divmod(stamp, NANOSECONDS)
