# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The receive buffer of sockets, which holds the fragments of large messages."""

from __future__ import annotations

from pathlib import Path

RMEM_MAX = Path("/proc/sys/net/core/rmem_max")


def largest_socket_buffer() -> str:
    """Return the bytes of the largest receive buffer of a socket, or "unknown"."""
    try:
        return RMEM_MAX.read_text(encoding="ascii").strip()
    except OSError:
        return "unknown"
