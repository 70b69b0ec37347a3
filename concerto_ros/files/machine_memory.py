# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How much memory the computer has, or the container that this process is in."""

from __future__ import annotations

from pathlib import Path

#: Where Linux says how much memory there is.
MEMORY = Path("/proc/meminfo")

#: Folder with a container's memory limit (cgroup v2), as seen from inside.
CGROUP = Path("/sys/fs/cgroup")


def available_and_total() -> tuple[float | None, float | None]:
    """Return MB (2**20 bytes) that are available and in all; None where Linux does not say.

    Those of the container where it has a limit below the memory of the computer.
    """
    machine = megabytes_by_name(MEMORY)
    available, total = machine.get("MemAvailable"), machine.get("MemTotal")
    limit, used = _cgroup("memory.max"), _cgroup("memory.current")
    if available is None or total is None or limit is None or used is None or limit >= total:
        return available, total
    return min(available, limit - used), limit


def megabytes_by_name(path: Path) -> dict[str, float]:
    """Return MB by name, from a file of lines ``Name:  1234 kB``; empty if it cannot be read."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    words = [line.split() for line in lines if line.endswith(" kB")]
    return {name.rstrip(":"): int(amount) / 1024 for name, amount, _ in words}


def _cgroup(name: str) -> float | None:
    try:
        return int((CGROUP / name).read_text()) / 2**20
    except (OSError, ValueError):  # no container, or "max": no limit
        return None
