# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Memory between one operation and the next."""

from __future__ import annotations

import ctypes
import os
from functools import cache

#: glibc's names for its settings (``malloc.h``), and what they become, bytes.
_TRIM_THRESHOLD, _KEPT = -1, 256 << 20
_MMAP_THRESHOLD, _FROM_SYSTEM = -3, 32 << 20


@cache
def keep_freed_memory() -> None:
    """Let the allocator keep freed memory for the next array, where it is glibc's.

    By default it hands every few megabytes back at once, and the system fills them with zeros
    again: three times the time of an attention whose scores come and go. A choice made in the
    environment has precedence.
    """
    chosen = {"MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES"}
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None and not chosen & os.environ.keys():
        set_option(_TRIM_THRESHOLD, _KEPT)
        set_option(_MMAP_THRESHOLD, _FROM_SYSTEM)
