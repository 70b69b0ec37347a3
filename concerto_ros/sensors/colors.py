# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The unit of colours: one rule for files, messages, bags, data sets and arrays.

Nothing in a file or message says whether colours are fractions, 8 bits or 16 bits. It is told by
the number type first, then by the highest value over all channels of the cloud together.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from concerto_ros.sensors.input_error import InputError

#: White as a fraction, in 8 bits and in 16 bits.
UNITS = (1.0, 255.0, 65535.0)

#: How far above white interpolation, jitter and sharpening push single floating-point values, as a
#: factor. With white at 255 a whole cloud below 1.5 would be black, so little is at stake.
OVERSHOOT = 1.5

#: Whole numbers are 8 bits up to here: some programs scale fractions by 256.
HIGHEST_BYTE = 256


def rgb_bytes(colors: np.ndarray | Sequence[np.ndarray], *, strict: bool = True) -> np.ndarray:
    """Convert RGB colours of any number type to uint8.

    - uint8, and int8 as its bit pattern: 8 bits.
    - Other integers: 16 bits where any value exceeds 256, else 8 bits.
    - Floating-point numbers: the smallest of 1, 255 and 65535 that no value exceeds by more than
      half of it is white.

    Args:
        colors: (N, 3), or three channels (N,). NaN and infinity become zero.
        strict: Whether colours in no known unit are refused; else such values become zero, as a
            message is worth more than its colours.

    Returns:
        (N, 3) uint8.

    Raises:
        InputError: ``malformed``: ``strict``, and values are in no known unit.
    """
    if isinstance(colors, np.ndarray):
        channels = [colors[:, i] for i in range(3)]
    else:
        channels = [np.asarray(channel) for channel in colors]
    # A bit pattern: 255 is -1 where a program declares signed bytes.
    channels = [c.view(np.uint8) if c.dtype == np.int8 else c for c in channels]
    if all(channel.dtype == np.uint8 for channel in channels):
        return np.stack(channels, axis=1)
    with np.errstate(over="ignore"):
        numbers = np.stack([channel.astype(np.float32) for channel in channels], axis=1)
    numbers[~np.isfinite(numbers)] = 0
    fractional = any(channel.dtype.kind in "fb" for channel in channels)
    white = _white(numbers, fractional, strict)
    numbers[(numbers < 0) | (numbers > OVERSHOOT * UNITS[-1])] = 0
    numbers *= np.float32(255.0) / np.float32(white)
    return np.clip(np.rint(numbers), 0, 255).astype(np.uint8)


def _white(numbers: np.ndarray, fractional: bool, strict: bool) -> float:
    """Return which of :data:`UNITS` is white."""
    lowest, highest = float(numbers.min(initial=0)), float(numbers.max(initial=0))
    unknown = OVERSHOOT * UNITS[-1]
    if highest > unknown and not strict:
        highest = float(numbers[numbers <= unknown].max(initial=0))
    if not fractional:
        white = UNITS[1] if highest <= HIGHEST_BYTE else UNITS[2]
    else:
        white = next((unit for unit in UNITS if highest <= OVERSHOOT * unit), UNITS[2])
    normalised = lowest < (1 - OVERSHOOT) * min(white, max(highest, UNITS[0]))
    if strict and (highest > unknown or normalised):
        raise InputError(
            "malformed",
            f"colors: got values from {lowest:g} to {highest:g}, expected fractions 0..1, or"
            " 0..255, or 0..65535",
        )
    return white


def unpack_rgb(packed: np.ndarray) -> np.ndarray:
    """Unpack 0xAARRGGBB in four bytes, whatever number type is declared (PCL's convention).

    Args:
        packed: (...) of any 4-byte type and byte order.

    Returns:
        (..., 3) uint8.
    """
    octets = packed[..., None].view(np.uint8)
    first = (1, 2, 3) if packed.dtype.str[0] == ">" else (2, 1, 0)
    return np.stack([octets[..., byte] for byte in first], axis=-1)
