# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One stage of the node in a thread of its own."""

from __future__ import annotations

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from rclpy.impl.rcutils_logger import RcutilsLogger

#: Seconds within which the threads of all stages end.
JOIN_TIMEOUT = 5.0

#: How long a thread rests after an error before it goes on, seconds.
PAUSE = 1.0

_log = logging.getLogger(__name__)


class StageThread(ABC):
    """A thread that sleeps until it is woken and ends when it is told to.

    ``_run`` is its body: it waits for ``_wake`` and returns once ``_stop`` is set. An error in it
    is logged and does not end the thread. ``_requests`` wait for what it does next; they are
    closed once it does nothing more.
    """

    def __init__(self, name: str):
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._requests = Requests()
        self._thread = threading.Thread(target=self._live, name=name, daemon=True)

    def start(self) -> None:
        """Begin; a stage is started once."""
        self._thread.start()

    def stop(self) -> None:
        """Let the thread end after what it is at; :meth:`join` waits for it."""
        self._stop.set()
        self._wake.set()

    def join(self, timeout: float) -> bool:
        """Whether the thread has ended within ``timeout`` seconds; one that never began has."""
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
                    _log.exception("%s: an error; it goes on", self._thread.name)
                if self._stop.wait(PAUSE):
                    return
        finally:
            self._requests.close()

    @abstractmethod
    def _run(self) -> None:
        """The body of the thread."""


def stop_stages(stages: Sequence[StageThread], logger: RcutilsLogger) -> None:
    """Let all threads end, at the same time, and wait for them."""
    deadline = time.monotonic() + JOIN_TIMEOUT
    for stage in stages:
        stage.stop()
    for stage in stages:
        if not stage.join(deadline - time.monotonic()):
            logger.error(
                f"{type(stage).__name__} still computes after {JOIN_TIMEOUT:g} s;"
                " left to end by itself"
            )


class Requests:
    """Calls that wait for what a stage does next."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[tuple[Future, Any]] = []
        self._closed = False

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def new(self, request: Any = None) -> Future:
        """Wait from now on for ``request``; the result is None where the stage ends first."""
        future: Future = Future()
        with self._lock:
            if not self._closed:
                self._waiting.append((future, request))
                return future
        future.set_result(None)
        return future

    def take(self) -> list[tuple[Future, Any]]:
        """Those that wait, for the stage to answer, and what for."""
        with self._lock:
            taken, self._waiting = self._waiting, []
        return taken

    def close(self) -> None:
        """Answer None to those that wait and to all that come."""
        with self._lock:
            self._closed = True
        for future, _ in self.take():
            future.set_result(None)
