# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Folders for temporary files that do not outlive a killed process for long."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from tempfile import gettempdir, mkdtemp


@contextmanager
def scratch_folder(prefix: str) -> Iterator[Callable[[], Path]]:
    """Provide a folder for temporary files, and remove it at the end.

    A process that is killed cannot remove its own. Each folder is locked for as long as it is in
    use, and those of this user that are not are removed here first.

    Args:
        prefix: What the names of these folders begin with, and no others in the system's folder
            for temporary files.

    Yields:
        A function that returns the folder, which is made when it is first called.
    """
    _remove_abandoned(prefix)
    with ExitStack() as stack:

        @cache
        def folder() -> Path:
            return stack.enter_context(_locked(prefix))

        yield folder


@contextmanager
def _locked(prefix: str) -> Iterator[Path]:
    folder, descriptor = _new(prefix)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _new(prefix: str) -> tuple[Path, int]:
    """Make a folder; return it and the file descriptor that holds its lock."""
    while True:
        folder = Path(mkdtemp(prefix=prefix))
        with suppress(FileNotFoundError):  # another process may remove it before it is locked
            descriptor = os.open(folder, os.O_RDONLY)
            with suppress(OSError):  # a file system without locks
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            if folder.exists():
                return folder, descriptor
            os.close(descriptor)


def _remove_abandoned(prefix: str) -> None:
    for folder in Path(gettempdir()).glob(f"{prefix}*"):
        with suppress(OSError):  # in use, or of another user, or gone
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(descriptor).st_uid == os.geteuid():
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(descriptor)
