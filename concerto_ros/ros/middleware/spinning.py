# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Spinning that survives exceptions in callbacks, and ends that nothing holds up."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import uninstall_signal_handlers


class FatalError(Exception):
    """Raised by a callback after which only a new process can go on."""


def spin(node: Node) -> None:
    """Serve callbacks until the context is shut down; exceptions of callbacks are logged.

    Raises:
        FatalError: A callback raised it.
    """
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    while node.context.ok():
        try:
            executor.spin()
        except (KeyboardInterrupt, ExternalShutdownException, FatalError):
            raise
        except Exception:
            node.get_logger().error(f"a callback failed:\n{traceback.format_exc()}")


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
    """End this process without Python's own end, in which a device that is lost may hang.

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
