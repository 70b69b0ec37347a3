# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Where a recording goes: into a file, to Rerun's own window, or to a web browser."""

from __future__ import annotations

import importlib.util
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from concerto_ros.files.atomic_write import replacing
from concerto_ros.files.error_text import one_line
from concerto_ros.viewer.library import rerun_library

#: The program's name in the viewer, which also keeps the user's changes of the layout by it.
APPLICATION = "concerto_ros"

#: Port of the web page; that of its data is the next one.
WEB_PORT = 9090

#: Seconds in which a window takes the rest of a recording; drawing by the processor is slow.
FLUSH_TIMEOUT = 120.0


@contextmanager
def to_file(path: Path) -> Iterator[Any]:
    """Write a recording to a file, which appears whole, or not at all after an error.

    Args:
        path: A file with the suffix .rrd.

    Yields:
        The recording, a ``rerun.RecordingStream``.

    Raises:
        ValueError: The suffix is another.
        OSError: The file cannot be written.
    """
    if path.suffix != ".rrd":
        raise ValueError(f"--save: got {path}, expected a name that ends in .rrd")
    recording = rerun_library().RecordingStream(APPLICATION)
    with replacing(path) as partial:
        partial.touch()  # an error of the system, and not of the library, where that is impossible
        recording.save(partial)
        try:
            yield recording
        finally:
            recording.disconnect()


@contextmanager
def to_window() -> Iterator[Any]:
    """Send a recording to the window of Rerun's native viewer, which is opened and stays open.

    Yields:
        The recording, a ``rerun.RecordingStream``.

    Raises:
        ValueError: This machine has no screen, or the window does not open, or is closed before
            it has everything.
    """
    displays = ("DISPLAY", "WAYLAND_DISPLAY")
    if sys.platform.startswith("linux") and not any(map(os.environ.get, displays)):
        raise ValueError(
            "this machine has no screen (DISPLAY and WAYLAND_DISPLAY are not set): use --web, and"
            " a browser on another machine, or --save out.rrd"
        )
    rerun = rerun_library()
    recording = rerun.RecordingStream(APPLICATION)
    try:
        rerun.spawn(executable_path=_program(), recording=recording)
    except RuntimeError as error:
        raise ValueError(
            f"Rerun's window does not open ({one_line(error)}): use --web or --save out.rrd"
        ) from error
    yield recording
    try:
        recording.flush(timeout_sec=FLUSH_TIMEOUT)
    except RuntimeError as error:
        raise ValueError(
            "Rerun's window did not start, or was closed before it had everything (see above): use"
            " --web or --save out.rrd where this machine's graphics are not enough"
        ) from error


@contextmanager
def to_browser(port: int = WEB_PORT) -> Iterator[Any]:
    """Serve a recording and the web viewer, which comes with Rerun and loads nothing else.

    Both listen on all addresses of this machine, without a password.

    Args:
        port: Of the web page; its data has the next one.

    Yields:
        The recording, a ``rerun.RecordingStream``. It is served until the context ends.

    Raises:
        ValueError: A port is in use, or not a port.
    """
    if not 1 <= port < 65535:
        raise ValueError(f"--port: got {port}, expected 1 to 65534")
    for each in (port, port + 1):
        _expect_free(each)
    rerun = rerun_library()
    recording = rerun.RecordingStream(APPLICATION)
    # A page that this machine serves under whatever name may read the data; others may not.
    recording.serve_grpc(grpc_port=port + 1, cors_allow_origin=[f"http://*:{port}"])
    rerun.serve_web_viewer(web_port=port, open_browser=False)
    print(f"open {web_address('localhost', port)}", flush=True)
    print(f"from another machine: {web_address(socket.gethostname(), port)}", flush=True)
    try:
        yield recording
    finally:
        recording.disconnect()


def web_address(host: str, port: int) -> str:
    """Return the address of the web viewer that shows what :func:`to_browser` serves."""
    return f"http://{host}:{port}/?url=rerun%2Bhttp://{host}:{port + 1}/proxy"


def _program() -> str | None:
    """Return the viewer that comes with the library; None: whatever is found in the PATH.

    A command of an environment that is not activated does not find the others of it.
    """
    found = importlib.util.find_spec("rerun_cli")
    if found is None or found.origin is None:
        return None
    program = Path(found.origin).parent / "rerun"
    return str(program) if program.is_file() else None


def _expect_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError as error:
            raise ValueError(
                f"--port: port {port} cannot be used ({error.strerror}): close the other viewer,"
                " or choose another --port"
            ) from error
