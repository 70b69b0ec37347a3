# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Atomic writes: a program that is killed leaves the old file or the new one, never a part."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Replace a file atomically.

    The temporary file is flushed to the disk before it is renamed, and its folder after that; an
    exception removes it. Temporary files of writers of ``path`` that were killed are removed
    first.

    Args:
        path: The file to create or replace; missing folders are created.

    Yields:
        A path in the same folder to write to, which is renamed to ``path`` when the body ends.

    Raises:
        OSError: Something cannot be written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_left_over(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        _flush(partial, os.O_RDWR)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    _flush(path.parent, os.O_RDONLY)


def _remove_left_over(path: Path) -> None:
    for partial in path.parent.glob(f".{glob.escape(path.name)}.*.partial"):
        process = partial.name.split(".")[-2]
        if process.isdecimal() and not _is_running(int(process)):
            partial.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def _flush(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
