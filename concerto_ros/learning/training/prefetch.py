# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is needed next, made in a thread while the last is in use."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Generic, TypeVar

import torch

Key = TypeVar("Key")
Value = TypeVar("Value")


def worth_making_ahead(device: torch.device) -> bool:
    """Return whether a thread should make the batches of a model on this device ahead.

    On a CPU a second thread would take its cores from the step.
    """
    return device.type == "cuda"


class Prefetched(Generic[Key, Value]):
    """Values by key, one of them made ahead.

    Args:
        make: Makes the value of a key, which must not depend on anything else; it is never called
            twice at the same time.
        ahead: Whether a thread makes the next value; if not, each is made when it is taken. Of
            batches :func:`worth_making_ahead` says it.
    """

    def __init__(self, make: Callable[[Key], Value], *, ahead: bool):
        self._make, self._ahead = make, ahead
        self._pool: ThreadPoolExecutor | None = None
        self._next: tuple[Key, Future[Value]] | None = None

    def take(self, key: Key, following: Key | None = None) -> Value:
        """Return the value of ``key``, and begin to make that of ``following``.

        Whatever ``make`` raises for a key is raised when that key is taken.

        Args:
            key: What is needed now.
            following: What will probably be taken next; None: nothing.
        """
        self.settle()
        made, self._next = self._next, None
        future = made[1] if made is not None and made[0] == key else None
        value = self._make(key) if future is None else future.result()
        if following is not None:
            self.begin(following)
        return value

    def begin(self, following: Key) -> None:
        """Begin to make the value of a key; does nothing where no thread makes values ahead."""
        if self._ahead:
            self._pool = self._pool or ThreadPoolExecutor(1, thread_name_prefix="next batch")
            self._next = following, self._pool.submit(self._make, following)

    def settle(self) -> None:
        """Wait until nothing is being made, so that others may use what ``make`` uses."""
        if self._next is not None:
            wait([self._next[1]])

    def close(self) -> None:
        """Forget what was made, and end the thread."""
        self._next = None
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None
