# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Regions of a map that show a class, and the examples in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from concerto_ros.heads.added_rows import Examples

#: What is this near to a region, metres, is neither an example nor a counterexample: things go on
#: beyond what was pointed at.
MARGIN = 0.2


class TeachingError(ValueError):
    """What cannot be taught or forgotten; the text says why."""


class Region(Protocol):
    """A part of space."""

    def distance(self, points: np.ndarray) -> np.ndarray:
        """(N,) metres from each of ``points`` (N, 3) to the region; 0 inside."""


@dataclass(frozen=True, eq=False)
class Ball:
    """What is within ``radius`` metres of ``center`` (3,)."""

    center: np.ndarray
    radius: float

    def distance(self, points: np.ndarray) -> np.ndarray:
        return np.maximum(np.linalg.norm(points - self.center, axis=1) - self.radius, 0.0)


@dataclass(frozen=True, eq=False)
class Box:
    """A box of ``size`` (3,) metres round ``center`` (3,), edges along the axes of a frame.

    ``rotation`` (3, 3) and ``translation`` (3,) take points of that frame to that of the map.
    """

    center: np.ndarray
    size: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray

    def distance(self, points: np.ndarray) -> np.ndarray:
        inside = (points - self.translation) @ self.rotation - self.center
        return np.linalg.norm(np.maximum(np.abs(inside) - self.size / 2, 0.0), axis=1)


@dataclass(frozen=True, eq=False)
class Sample:
    """Some voxels of a map: (n, 3) ``points`` in metres and (n, C) float32 ``features``."""

    points: np.ndarray
    features: torch.Tensor


def sample_rows(points: np.ndarray, region: Region, most: int) -> np.ndarray:
    """Rows (n,) of the map's ``points`` (V, 3) to learn from: all in ``region``, some outside.

    Of those inside and those well outside at most ``most`` each, chosen at random but always
    alike. Raises TeachingError where there are none of either.
    """
    distance = region.distance(points)
    random = np.random.default_rng(0)
    chosen = []
    for mask, what in (
        (distance == 0, "inside what is to be learned"),
        (distance > MARGIN, f"farther than {MARGIN:g} m from what is to be learned"),
    ):
        rows = np.flatnonzero(mask)
        if len(rows) == 0:
            raise TeachingError(f"the map has no voxel {what}; examples of both are wanted")
        if len(rows) > most:
            rows = np.sort(random.choice(rows, most, replace=False))
        chosen.append(rows)
    return np.concatenate(chosen)


def examples_of(samples: Sequence[Sample], regions: Sequence[Region]) -> Examples:
    """What lies in any of ``regions`` shows the class, what is well outside all does not.

    Raises TeachingError where nothing is well outside.
    """
    points = np.concatenate([sample.points for sample in samples])
    features = torch.cat([sample.features for sample in samples])
    distance = np.min([region.distance(points) for region in regions], axis=0)
    inside, outside = (torch.from_numpy(mask) for mask in (distance == 0, distance > MARGIN))
    if not outside.any():
        raise TeachingError(
            f"no voxel that was sampled is farther than {MARGIN:g} m from all that is to be"
            " learned; examples of both are wanted"
        )
    return Examples(features[inside], features[outside])
