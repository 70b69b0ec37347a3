# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The library of the CPU kernels: compiled once for each machine, loaded once by each process.

It lies in the cache folder under a name that tells sources, compiler, options and CPU apart,
because machines may share a home folder. Only what no other user can have written is loaded.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import stat
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

from concerto_ros.files.atomic_write import replacing
from concerto_ros.files.cache_folder import cache_folder
from concerto_ros.files.digest import digest
from concerto_ros.files.error_text import in_words, one_line
from concerto_ros.ptv3.kernels.native.compiler import (
    ARCHITECTURES,
    FLAGS,
    CompilerError,
    find_compiler,
    this_cpu,
)

#: The environment variable that turns the kernels off (0) or leaves them on (1).
SWITCH = "CONCERTO_ROS_NATIVE"

#: The C++ files.
SOURCES = Path(__file__).resolve().parent / "sources"

#: Libraries that were compiled longer ago than this are removed when another one is kept, seconds.
_KEPT_FOR = 30 * 86400.0

#: Length of the checksum at the end of a kept library, bytes; the loader reads no further.
_CHECKSUM = 32

_log = logging.getLogger(__name__)

_lock = threading.Lock()


class _Outcome(NamedTuple):
    """The library, or why there is none."""

    library: ctypes.CDLL | None
    why_not: str


def library() -> ctypes.CDLL | None:
    """Return the library of the CPU kernels; None where it is not available.

    The first call in a process finds or compiles it, which takes a few seconds once for each
    machine; other threads wait meanwhile. It never raises: :func:`why_not` has the reason.
    """
    return _found().library


def why_not() -> str:
    """Return why :func:`library` is None and what to do about it; empty where it is available."""
    return _found().why_not


def load(sources: Path, architectures: Sequence[str] = ARCHITECTURES) -> ctypes.CDLL:
    """Load the library, compiled if that was not done before.

    Args:
        sources: the folder of the C++ files.
        architectures: as :meth:`concerto_ros.ptv3.kernels.native.compiler.Compiler.compile`.

    Raises:
        CompilerError: it cannot be compiled here.
        OSError: it cannot be loaded, or no folder can be written.
    """
    files = sorted(path for path in sources.glob("*") if path.suffix in (".cpp", ".h"))
    units = [path for path in files if path.suffix == ".cpp"]
    if not units:
        raise CompilerError(f"there are no sources in {sources}: install the package again")
    texts = [path.read_text(encoding="utf-8", errors="backslashreplace") for path in files]
    with _scratch() as scratch:
        compiler = find_compiler(scratch)
        parts = [*(path.name for path in files), *texts, *compiler.command, compiler.version]
        name = f"{digest([*parts, *FLAGS, *architectures, this_cpu()])}.so"
        kept = None
        try:
            kept = _folder() / name
            return _load_kept(kept)
        except FileNotFoundError:
            pass  # the first time
        except (OSError, RuntimeError) as error:
            _log.info("a kept library of the CPU kernels is not used: %s", in_words(error))
        _log.info("compiling the CPU kernels, once on this machine: this takes some seconds")
        start = time.perf_counter()
        made = scratch / name
        compiler.compile(units, made, architectures)
        seconds = time.perf_counter() - start
        _log.info("%s compiled the CPU kernels in %.1f s", compiler.name, seconds)
        if kept is not None:
            try:
                _keep(made, kept)
                return _load_kept(kept)
            except OSError as error:
                _log.info("the library of the CPU kernels is not kept: %s", in_words(error))
        return ctypes.CDLL(str(made))  # which stays loaded when the file is removed


@contextmanager
def _scratch() -> Iterator[Path]:
    """Give a folder of this user alone for as long as something is compiled."""
    from concerto_ros.files.scratch_folder import scratch_folder  # locks, which Windows lacks

    with ExitStack() as stack:
        try:
            folder = stack.enter_context(scratch_folder("concerto_ros-native-"))()
        except OSError as error:
            raise CompilerError(
                f"no folder for temporary files can be written ({one_line(error)}): let the"
                " environment variable TMPDIR name one"
            ) from None
        yield folder


def _found() -> _Outcome:
    with _lock:
        return _find()


@cache
def _find() -> _Outcome:
    switch = os.environ.get(SWITCH, "1")
    if switch == "0":
        return _Outcome(None, f"{SWITCH}=0 turns the compiled kernels off: unset it to use them")
    try:
        if switch != "1":
            raise CompilerError(
                f"the environment variable {SWITCH} is {switch!r}, expected 0 or 1"
            )
        if not sys.platform.startswith("linux"):
            raise CompilerError(f"they are for Linux only, and this is {sys.platform}")
        return _Outcome(load(SOURCES), "")
    except Exception as error:  # whatever is wrong with this machine: PyTorch computes the same
        why = in_words(error)
        if isinstance(error, OSError) and error.errno is None:  # of the dynamic linker
            why = (
                f"the compiled library cannot be loaded ({why}): name another C++ compiler by CXX,"
                " or, where its file system is mounted noexec, another folder by XDG_CACHE_HOME"
            )
    _log.warning("the encoder computes on a CPU without the compiled kernels: %s", why)
    return _Outcome(None, why)


def _after_fork() -> None:
    """Give a forked process a lock of its own: a thread that is not in it may hold the other."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _folder() -> Path:
    """Return the folder of the libraries, which only this user can write.

    Raises:
        OSError: it cannot be made, or others can write there.
        RuntimeError: this user has no home folder.
    """
    folder = cache_folder() / "native"
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    _refuse_others(folder, folder.stat())
    return folder


def _refuse_others(path: Path, status: os.stat_result) -> None:
    """Raise an OSError if another user can have written a file or folder."""
    if status.st_uid != os.geteuid():
        raise OSError(f"{path} belongs to another user: let XDG_CACHE_HOME name another folder")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise OSError(f"{path} can be written by other users: chmod go-w it")


def _load_kept(path: Path) -> ctypes.CDLL:
    """Load a library that :func:`_keep` wrote.

    Raises:
        OSError: there is none, another user can have written it, or it is damaged.
    """
    status = path.lstat()
    _refuse_others(path, status)
    content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
    # A library that is cut short would end the process when it is loaded.
    if _checksum(content[:-_CHECKSUM]) != content[-_CHECKSUM:]:
        raise OSError(f"{path} is damaged")
    return ctypes.CDLL(str(path))


def _keep(made: Path, path: Path) -> None:
    """Copy a new library to its place, with a checksum at its end; remove old ones there."""
    content = made.read_bytes()
    with replacing(path) as partial:
        partial.touch(mode=0o600)
        partial.write_bytes(content + _checksum(content))
    for other in path.parent.iterdir():
        with suppress(OSError):  # of a folder, or another process was faster
            if time.time() - other.stat().st_mtime > _KEPT_FOR:
                other.unlink()


def _checksum(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
