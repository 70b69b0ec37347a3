# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Rounding of sizes that vary from cloud to cloud to few that come again.

Libraries compile and keep kernels by size: oneDNN a primitive, a CUDA graph its every launch. With
sizes as they come, memory would grow with every cloud and each cloud would wait for a compiler.
"""

from __future__ import annotations


def recurring_size(count: int, step: int, per_octave: int) -> int:
    """Return the smallest recurring size that is at least ``count``.

    Args:
        count: at least 1.
        step: every size is a multiple of it.
        per_octave: sizes between one power of two (times ``step``) and the next.
    """
    units = -(-count // step)
    octave = 1 << units.bit_length() - 1
    step *= max(1, octave // per_octave)
    return -(-count // step) * step
