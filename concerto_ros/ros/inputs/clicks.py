# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Clicked points: examples for the next call of ``~/teach``, and what the map is compared with."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import dataclass

import torch

from concerto_ros.heads.similarity import FeatureQuery
from concerto_ros.heads.taught_regions import Ball, Sample
from concerto_ros.ros.inputs.comparison import Comparison

#: Clicks kept for the next call of ``~/teach``; older ones are forgotten.
MAX_CLICKS = 100


@dataclass(frozen=True, eq=False)
class Click:
    """A clicked point with the features that the map had there.

    Attributes:
        region: The ball around the clicked voxel whose voxels are examples of a class.
        sample: Points and features of voxels inside and outside of the region.
        feature: (C,) the feature of the clicked voxel.
        stamp: Of the map that was clicked on, in nanoseconds.
    """

    region: Ball
    sample: Sample
    feature: torch.Tensor
    stamp: int


class Clicks:
    """Keeps the clicks since the last call of ``~/teach``; safe to use from several threads."""

    def __init__(self, comparison: Comparison):
        self._comparison = comparison
        self._lock = threading.Lock()
        self._clicks: list[Click] = []
        self._waiting: list[Future] = []

    def expect(self, future: Future) -> None:
        """Announce a click whose features will be the result of ``future``."""
        with self._lock:
            self._waiting.append(future)

    def add(self, future: Future, click: Click | None) -> None:
        """Keep the ``click`` that was announced with ``future``; None if it could not be used."""
        with self._lock:
            self._waiting.remove(future)
            if click is not None:
                self._comparison.show(FeatureQuery(like=click.feature), click.stamp)
                self._clicks = [*self._clicks, click][-MAX_CLICKS:]

    def waiting(self) -> list[Future]:
        """The announced clicks whose features are not known yet."""
        with self._lock:
            return list(self._waiting)

    def take(self) -> list[Click]:
        """Return the clicks since the last call, and forget them."""
        with self._lock:
            clicks, self._clicks = self._clicks, []
        return clicks

    def put_back(self, clicks: list[Click]) -> None:
        """Keep ``clicks`` that were taken but could not be used, as the oldest ones."""
        with self._lock:
            self._clicks = [*clicks, *self._clicks]

    def clear(self) -> int:
        """Forget all clicks, and end the comparison; return the number of clicks forgotten."""
        with self._lock:
            count = len(self._clicks)
            self._clicks = []
        self._comparison.end()
        return count
