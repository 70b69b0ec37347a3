# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a person clicked on: examples for the next lesson, and the feature to compare with."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import dataclass

import torch

from concerto_ros.heads.taught_regions import Ball, Sample
from concerto_ros.ros.parameters import Parameters

#: Clicks that are kept until they teach something; older ones are forgotten.
MAX_CLICKS = 100


@dataclass(frozen=True, eq=False)
class Click:
    """What was clicked on: the voxel's feature (C,), and a sample of it and of the map then.

    ``stamp``: nanoseconds, of that map.
    """

    region: Ball
    sample: Sample
    feature: torch.Tensor
    stamp: int


class Clicks:
    """Keeps what was clicked on since the last lesson; safe to use from several threads."""

    def __init__(self, parameters: Parameters):
        self._parameters = parameters
        self._lock = threading.Lock()
        self._clicks: list[Click] = []
        self._waiting: list[Future] = []
        self._newest: Click | None = None

    def expect(self, future: Future) -> None:
        """A click whose features will be the result of ``future``."""
        with self._lock:
            self._waiting.append(future)

    def add(self, future: Future, click: Click | None) -> None:
        """Keep the ``click`` that ``future`` was expected for; None where it came to nothing."""
        with self._lock:
            self._waiting.remove(future)
            if click is not None:
                self._newest = click
                self._clicks = [*self._clicks, click][-MAX_CLICKS:]

    def waiting(self) -> list[Future]:
        """Clicks that the map has not been looked at for yet."""
        with self._lock:
            return list(self._waiting)

    def taken(self) -> list[Click]:
        """Those since the last call, which are forgotten with it."""
        with self._lock:
            taken, self._clicks = self._clicks, []
        return taken

    def put_back(self, clicks: list[Click]) -> None:
        """Keep ``clicks`` after all."""
        with self._lock:
            self._clicks = [*clicks, *self._clicks]

    def clear(self) -> int:
        """Forget all clicks, and what is compared with; how many there were."""
        with self._lock:
            count = len(self._clicks)
            self._clicks, self._newest = [], None
        return count

    @property
    def following(self) -> bool:
        """Whether features are to be compared with those of a click."""
        with self._lock:
            return self._newest is not None

    def reference_feature(self, stamp: int) -> torch.Tensor | None:
        """The feature to compare with in a map of this stamp; None once its time is over."""
        seconds = self._parameters.settings.similarity.seconds
        with self._lock:
            if self._newest is None:
                return None
            # A stamp before that of the click: time went back, and the click is of another one.
            if seconds and not 0 <= stamp - self._newest.stamp <= seconds * 1e9:
                self._newest = None
                return None
            return self._newest.feature
