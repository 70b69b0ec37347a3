# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Giving unused memory back to the system."""

from __future__ import annotations

import ctypes


def release_unused_memory() -> None:
    """Hand the allocator's free pages back to the system, where it is glibc's.

    Arrays of a size that changes from snapshot to snapshot leave gaps that glibc keeps: a node at
    work on LiDAR scans grew by 1.5 GB in 150 s, of which it used 0.5 GB.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
