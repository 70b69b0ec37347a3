# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Regions of a map that show a class, and the examples sampled from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from concerto_ros.heads.added_rows import Examples
from concerto_ros.heads.finite_rows import finite_rows

#: Points outside a region but nearer than this, metres, are neither examples nor counterexamples:
#: an object may extend beyond the region that was pointed at.
MARGIN = 0.2


class TeachingError(ValueError):
    """A class that cannot be taught or forgotten; the text states the reason."""


class Region(Protocol):
    """A region of space that shows a class."""

    def distance(self, points: np.ndarray) -> np.ndarray:
        """Return the distance of ``points`` (N, 3) to the region, (N,) metres; 0 inside."""


@dataclass(frozen=True, eq=False)
class Ball:
    """A region: all within ``radius`` metres of ``center`` (3,)."""

    center: np.ndarray
    radius: float

    def distance(self, points: np.ndarray) -> np.ndarray:
        """Return the distance of ``points`` (N, 3) to the ball, (N,) metres; 0 inside."""
        return np.maximum(np.linalg.norm(points - self.center, axis=1) - self.radius, 0.0)


@dataclass(frozen=True, eq=False)
class Box:
    """A region: a box whose edges are along the axes of some frame.

    Attributes:
        center: (3,) in that frame, metres.
        size: (3,) edge lengths, metres.
        rotation: (3, 3) from that frame to the frame of the map.
        translation: (3,) likewise.
    """

    center: np.ndarray
    size: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray

    def distance(self, points: np.ndarray) -> np.ndarray:
        """Return the distance of ``points`` (N, 3) to the box, (N,) metres; 0 inside."""
        inside = (points - self.translation) @ self.rotation - self.center
        return np.linalg.norm(np.maximum(np.abs(inside) - self.size / 2, 0.0), axis=1)


@dataclass(frozen=True, eq=False)
class Sample:
    """Some voxels of a map.

    Attributes:
        points: (n, 3) metres.
        features: (n, C) float32.
    """

    points: np.ndarray
    features: torch.Tensor


def sample_rows(points: np.ndarray, region: Region, max_rows: int) -> np.ndarray:
    """Choose rows of a map to teach from: some inside a region, some well outside it.

    The choice is random but the same for the same arguments.

    Args:
        points: (V, 3) voxels of the map, metres.
        region: shows the class.
        max_rows: how many rows to take at most from inside, and how many from outside.

    Returns:
        (n,) row numbers, those inside first.

    Raises:
        TeachingError: no voxel is inside, or none is well outside.
    """
    distance = region.distance(points)
    random = np.random.default_rng(0)
    chosen = []
    for mask, what in (
        (distance == 0, "inside the region that shows the class"),
        (distance > MARGIN, f"farther than {MARGIN:g} m from the region that shows the class"),
    ):
        rows = np.flatnonzero(mask)
        if len(rows) == 0:
            raise TeachingError(
                f"the map has no voxel {what}; expected voxels both inside and outside"
            )
        if len(rows) > max_rows:
            rows = np.sort(random.choice(rows, max_rows, replace=False))
        chosen.append(rows)
    return np.concatenate(chosen)


def examples_of(samples: Sequence[Sample], regions: Sequence[Region]) -> Examples:
    """Split samples into examples, inside any region, and counterexamples, well outside all.

    Voxels whose features are not finite are neither.

    Args:
        samples: voxels with their features.
        regions: all show the class.

    Raises:
        TeachingError: no voxel is inside a region, or none is well outside all regions.
    """
    points = np.concatenate([sample.points for sample in samples])
    features = torch.cat([sample.features for sample in samples])
    finite = finite_rows(features)
    if not finite.all():
        points, features = points[finite.numpy()], features[finite]
    left_out = len(finite) - len(points)
    because = (
        f" ({left_out} voxels are left out because their features are not finite)"
        if left_out
        else ""
    )
    distance = np.min([region.distance(points) for region in regions], axis=0)
    inside, outside = (torch.from_numpy(mask) for mask in (distance == 0, distance > MARGIN))
    if not inside.any():
        raise TeachingError(
            "no sampled voxel is inside the regions of the examples; expected at least one"
            f"{because}"
        )
    if not outside.any():
        raise TeachingError(
            f"no sampled voxel is farther than {MARGIN:g} m from the examples; expected voxels"
            f" outside as counterexamples{because}"
        )
    return Examples(features[inside], features[outside])
