# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The file that a command is told to write: an older one is replaced, what it reads never is."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def check_output(option: str, path: Path, suffix: str, read: Iterable[Path]) -> None:
    """Check the file before the work for it begins.

    Args:
        option: The option that names it.
        path: The file; one that exists is replaced.
        suffix: How its name must end.
        read: The files that the command reads.

    Raises:
        ValueError: The name ends otherwise, or the file is one of those that are read.
    """
    if path.suffix != suffix:
        raise ValueError(f"{option}: got {path}, expected a file {suffix}")
    if any(path.resolve() == other.resolve() for other in read):
        raise ValueError(
            f"{option}: got {path}, which the command reads, expected another file: it would be"
            " overwritten"
        )
