# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The generation of a map: what is computed from it is of no use once it has ended."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Generation:
    """The time of a map from one clearing or replacement to the next.

    Snapshots carry it, and so does every result that is computed from them; it may be asked and
    ended in any thread.
    """

    def __init__(self) -> None:
        self._ended = False
        self._in_use = threading.Lock()

    @property
    def current(self) -> bool:
        """Whether the map has not been cleared or replaced since."""
        return not self._ended

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Let :meth:`end` wait for the block, which publishes a result.

        Yields:
            :attr:`current`, which stays so in the block.
        """
        with self._in_use:
            yield self.current

    def end(self) -> None:
        """End the generation; after that no result of it is published any more."""
        with self._in_use:
            self._ended = True

    def expire(self) -> None:
        """End the generation without waiting for a result that is being published."""
        self._ended = True
