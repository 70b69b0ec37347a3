# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A stage of the node: a thread with requests to it."""

from __future__ import annotations

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from rclpy.impl.rcutils_logger import RcutilsLogger

from concerto_ros.ros.middleware.process_end import WorkThread

#: Seconds to wait for the threads of all stages to end.
JOIN_TIMEOUT = 5.0

#: Seconds that a thread waits after an error before it continues.
PAUSE = 1.0

_log = logging.getLogger(__name__)


class StageThread(ABC):
    """A thread that sleeps until it is woken, and ends when :meth:`stop` is called.

    ``_run`` is its body: it waits for ``_wake`` and returns once ``_stop`` is set. An exception in
    it is logged and does not end the thread. Calls in ``_requests`` wait for the next result; they
    are answered with None when the thread ends.

    Args:
        name: Of the thread.
    """

    def __init__(self, name: str):
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._requests = Requests()
        self._thread = WorkThread(self._live, name)

    def start(self) -> None:
        """Start the thread; a stage can be started only once."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end after its current work; :meth:`join` waits for that."""
        self._stop.set()
        self._wake.set()

    def join(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds; whether the thread has ended, or was never started."""
        if self._thread.ident is None:
            self._requests.close()
            return True
        self._thread.join(max(timeout, 0.0))
        return not self._thread.is_alive()

    def _live(self) -> None:
        try:
            while True:
                try:
                    self._run()
                    return
                except Exception:
                    _log.exception(
                        "%s: an error in the stage; the thread continues", self._thread.name
                    )
                if self._stop.wait(PAUSE):
                    return
        finally:
            self._requests.close()

    @abstractmethod
    def _run(self) -> None:
        """The body of the thread."""


def stop_stages(stages: Sequence[StageThread], logger: RcutilsLogger) -> None:
    """Stop all threads and wait up to :data:`JOIN_TIMEOUT` seconds for them together."""
    deadline = time.monotonic() + JOIN_TIMEOUT
    for stage in stages:
        stage.stop()
    for stage in stages:
        if not stage.join(deadline - time.monotonic()):
            logger.error(
                f"{type(stage).__name__} is still computing after {JOIN_TIMEOUT:g} s; its thread"
                " ends when it is done"
            )


class Requests:
    """Calls from other threads that wait for the next result of a stage."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[tuple[Future, Any]] = []
        self._closed = False

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def new(self, request: Any = None) -> Future:
        """Add a ``request``; the result of the future is None if the stage ends first."""
        future: Future = Future()
        with self._lock:
            if not self._closed:
                self._waiting.append((future, request))
                return future
        future.set_result(None)
        return future

    def take(self) -> list[tuple[Future, Any]]:
        """Remove and return the waiting futures with their requests, for the stage to answer."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
        return waiting

    def put_back(self, requests: Sequence[tuple[Future, Any]]) -> None:
        """Let requests that were taken wait for the next result again, as the oldest ones."""
        with self._lock:
            if not self._closed:
                self._waiting = [*requests, *self._waiting]
                return
        for future, _ in requests:
            future.set_result(None)

    def close(self) -> None:
        """Answer None to all requests, waiting and future ones."""
        with self._lock:
            self._closed = True
        for future, _ in self.take():
            future.set_result(None)
