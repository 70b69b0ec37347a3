# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Allocator tuning: keep freed memory for the next operation."""

from __future__ import annotations

import ctypes
import os
from functools import cache

#: glibc's numbers of its settings (``malloc.h``), and their new values, bytes.
_TRIM_THRESHOLD, _KEPT = -1, 256 << 20
_MMAP_THRESHOLD, _FROM_SYSTEM = -3, 32 << 20


@cache
def keep_freed_memory() -> None:
    """Let glibc's allocator keep freed memory for the next array; others are left alone.

    By default it returns every few megabytes to the system at once, which fills them with zeros
    again: three times the time of an attention whose scores are allocated and freed. A choice made
    in the environment has precedence.
    """
    chosen = {"MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES"}
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None and not chosen & os.environ.keys():
        set_option(_TRIM_THRESHOLD, _KEPT)
        set_option(_MMAP_THRESHOLD, _FROM_SYSTEM)
