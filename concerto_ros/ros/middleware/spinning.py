# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Spinning that survives exceptions in callbacks, in this thread or in one that ends."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node


class FatalError(Exception):
    """Raised by a callback after which only a new process can go on."""


def spin(node: Node) -> None:
    """Serve callbacks until the context is shut down; exceptions of callbacks are logged.

    Raises:
        FatalError: A callback raised it.
    """
    _serve(_executor(node), node, threading.Event())


@contextmanager
def spinning(node: Node) -> Iterator[None]:
    """Serve callbacks in a thread, as :func:`spin` does, until the end of the block.

    The thread has ended then, and the node may be destroyed. A daemon thread that is still in
    rclpy when Python ends aborts the process: "terminate called without an active exception"
    (github.com/ros2/rclpy/issues/1484).
    """
    executor, ended = _executor(node), threading.Event()

    def serve() -> None:
        with suppress(ExternalShutdownException):
            _serve(executor, node, ended)

    thread = threading.Thread(target=serve, name=f"callbacks of {node.get_name()}")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        # A task wakes the thread. Executor.shutdown() would not wait for it, and take away the
        # guard conditions that it may be about to wait for.
        executor.create_task(ended.is_set)
        thread.join()
        executor.shutdown()


def _executor(node: Node) -> SingleThreadedExecutor:
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    return executor


def _serve(executor: SingleThreadedExecutor, node: Node, ended: threading.Event) -> None:
    while node.context.ok() and not ended.is_set():
        try:
            executor.spin_once()
        except (KeyboardInterrupt, ExternalShutdownException, FatalError):
            raise
        except Exception:
            node.get_logger().error(f"a callback failed:\n{traceback.format_exc()}")
