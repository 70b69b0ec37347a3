# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Views of a scene: two global ones and several local ones, each the points nearest to one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np


class Draws(Protocol):
    """The random choices of :func:`crop_views`."""

    def point(self, candidates: np.ndarray) -> int:
        """One of the candidates, which are numbers of points."""

    def share(self, low: float, high: float) -> float:
        """A number between two."""


@dataclass(frozen=True)
class RandomDraws:
    """Uniform choices of a generator."""

    random: np.random.Generator

    def point(self, candidates: np.ndarray) -> int:
        """One of the candidates, each with the same probability."""
        return int(candidates[self.random.integers(len(candidates))])

    def share(self, low: float, high: float) -> float:
        """A uniform number between two."""
        return self.random.uniform(low, high)


@dataclass(frozen=True)
class ViewSizes:
    """How large views are.

    Attributes:
        most: Points of a view at most.
        major: Range of the share of ``most`` that the major view has, as in Sonata; None: all, as
            in Concerto.
        second: That of the second global view.
        local: That of local views.
        locals: Number of local views.
    """

    most: int = 65_536
    major: tuple[float, float] | None = None
    second: tuple[float, float] = (0.4, 1.0)
    local: tuple[float, float] = (0.1, 0.4)
    locals: int = 4


@dataclass(frozen=True, eq=False)
class View:
    """A view: its centre (3,) and the rows (K,) of its points, the nearest first."""

    centre: np.ndarray
    rows: np.ndarray


@dataclass(frozen=True, eq=False)
class SceneViews:
    """The views of a scene.

    Attributes:
        major: The first global view, by which images are chosen.
        second: The second global view, around a point of the major one.
        locals: Local views, each around a point of the major one.
        images: Numbers of the images that see a point of the major view.
    """

    major: View
    second: View
    locals: tuple[View, ...]
    images: np.ndarray


def crop_views(
    coord: np.ndarray, seen: np.ndarray | None, sizes: ViewSizes, draws: Draws
) -> SceneViews:
    """Cut the views of a scene.

    Args:
        coord: (N, 3) metres.
        seen: (N, I) bool, which of I images see a point; None: there are no images.
        sizes: How large the views are.
        draws: The random choices, in the order major, second, local.
    """
    everything = np.arange(len(coord))
    most = min(sizes.most, len(coord))
    seen = np.zeros((len(coord), 0), bool) if seen is None else seen
    in_all = seen.all(axis=1) if seen.shape[1] else np.zeros(len(coord), bool)
    centre = coord[in_all].mean(axis=0) if in_all.any() else coord[draws.point(everything)]
    share = 1.0 if sizes.major is None else draws.share(*sizes.major)
    major = _view(coord, centre, share * most)
    centre = coord[draws.point(major.rows)]
    second = _view(coord, centre, draws.share(*sizes.second) * most)
    covered = np.zeros(len(coord), bool)
    parts = []
    for _ in range(sizes.locals):
        candidates = major.rows[~covered[major.rows]]
        if not len(candidates):
            covered[:] = False
            candidates = major.rows
        centre = coord[draws.point(candidates)]
        part = _view(coord, centre, draws.share(*sizes.local) * most)
        covered[part.rows] = True
        parts.append(part)
    return SceneViews(major, second, tuple(parts), np.flatnonzero(seen[major.rows].any(axis=0)))


def _view(coord: np.ndarray, centre: np.ndarray, count: float) -> View:
    distance = np.square(coord.astype(np.float64) - centre).sum(axis=1)
    taken = max(1, int(count))
    rows = np.arange(len(coord))
    if taken < len(coord):  # a view is a small part of a scene; only that part is sorted
        rows = np.flatnonzero(distance <= np.partition(distance, taken - 1)[taken - 1])
    order = np.argsort(distance[rows], kind="stable")
    return View(centre, rows[order[:taken]])
