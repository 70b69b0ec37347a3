# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Spinning that survives exceptions in callbacks, and an end that survives a second Ctrl-C."""

from __future__ import annotations

import atexit
import signal
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node


def spin(node: Node) -> None:
    """Serve callbacks until the context is shut down; exceptions of callbacks are logged."""
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    while node.context.ok():
        try:
            executor.spin()
        except (KeyboardInterrupt, ExternalShutdownException):
            raise
        except Exception:
            node.get_logger().error(f"a callback failed:\n{traceback.format_exc()}")


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ignore SIGINT, and also while Python itself ends.

    Ctrl-C in a terminal reaches a node twice, once through ``ros2 launch``.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set how signals are handled, and only it gets them
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)
