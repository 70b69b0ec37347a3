# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Ends of the process that nothing holds up, and that nothing aborts."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rclpy.signals import uninstall_signal_handlers


class WorkThread(threading.Thread):
    """A thread whose work may outlast the node: an inference, a text encoder, a slow disk.

    It is a daemon, for which Python's own end does not wait: see :func:`still_at_work`.

    Args:
        work: What it does.
        name: Of the thread.
    """

    def __init__(self, work: Callable[[], None], name: str):
        super().__init__(target=work, name=name, daemon=True)


def still_at_work(deadline: float) -> list[str]:
    """Wait for the end of every :class:`WorkThread`; the names of those that did not end.

    Where there are any, only :func:`end_process` ends the process well. Python's own end stops a
    thread where it returns from PyTorch or rclpy, and their C++ then aborts the process
    ("terminate called without an active exception": github.com/pytorch/pytorch/issues/38228).

    Args:
        deadline: Until when to wait, of ``time.monotonic()``.
    """
    threads = [one for one in threading.enumerate() if isinstance(one, WorkThread)]
    for thread in threads:
        thread.join(max(deadline - time.monotonic(), 0.0))
    return [thread.name for thread in threads if thread.is_alive()]


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ignore SIGINT, and also while Python itself ends.

    Ctrl-C in a terminal reaches a node twice, once through ``ros2 launch``. rclpy shuts contexts
    down in a thread of its own after the first; that thread has ended before the block begins,
    since a DDS participant that is destroyed meanwhile takes the process along.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set how signals are handled, and only it gets them
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    uninstall_signal_handlers()  # waits for rclpy's thread, and brings back the handler before it
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)


def end_process(status: int, *, within: float = 0.0) -> None:
    """End this process without Python's own end, which a lost device or a thread may spoil.

    Args:
        status: Exit status.
        within: Seconds to go on; 0: end now.
    """
    if within > 0:
        timer = threading.Timer(within, end_process, [status])
        timer.daemon = True
        timer.start()
        return
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
