# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One stage of the node in a thread of its own."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod


class Worker(ABC):
    """A thread that sleeps until it is woken and ends when it is told to.

    ``_run`` is its body: it waits for ``_wake`` and returns once ``_stop`` is set.
    """

    def __init__(self, name: str):
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin; a worker is started once."""
        self._thread.start()

    def stop(self) -> None:
        """Let the thread end after what it is at; :meth:`join` waits for it."""
        self._stop.set()
        self._wake.set()

    def join(self, timeout: float) -> bool:
        """Whether the thread has ended within ``timeout`` seconds."""
        self._thread.join(max(timeout, 0.0))
        return not self._thread.is_alive()

    @abstractmethod
    def _run(self) -> None:
        """The body of the thread."""
