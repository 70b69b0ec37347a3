# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What ``~/similarity`` compares the map with: the newest click, or the newest text to find."""

from __future__ import annotations

import threading

from concerto_ros.heads.similarity import FeatureQuery
from concerto_ros.ros.parameters import Parameters


class Comparison:
    """Keeps the newest question for ``similarity.seconds``; safe to use from several threads."""

    def __init__(self, parameters: Parameters):
        self._parameters = parameters
        self._lock = threading.Lock()
        self._newest: tuple[FeatureQuery, int] | None = None

    @property
    def active(self) -> bool:
        """Whether the map is compared with anything."""
        with self._lock:
            return self._newest is not None

    def show(self, question: FeatureQuery, stamp: int) -> None:
        """Compare the map as ``question`` says from now on.

        Args:
            question: About a feature or a text; it names no rows.
            stamp: Of the map in which it was clicked on or looked for, in nanoseconds.
        """
        with self._lock:
            self._newest = question, stamp

    def end(self) -> None:
        """Compare the map with nothing any more."""
        with self._lock:
            self._newest = None

    def question(self, stamp: int) -> FeatureQuery | None:
        """What the map is compared with.

        Args:
            stamp: Of the map, in nanoseconds.

        Returns:
            None without a click or a text in the last ``similarity.seconds``.
        """
        seconds = self._parameters.settings.similarity.seconds
        with self._lock:
            if self._newest is None:
                return None
            question, since = self._newest
            # A stamp before that of the question: time went back, it belongs to another run.
            if seconds and not 0 <= stamp - since <= seconds * 1e9:
                self._newest = None
                return None
            return question
