# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Random changes of simulated scans that rooms and streets have in common."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from concerto_ros.labels.label_set import UNLABELLED
from concerto_ros.learning.data.augment import joined
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.sensors.normals import unit_vectors
from concerto_ros.sim.mesh import rotation_about


@dataclass(frozen=True)
class Motion:
    """How far a scan is rotated, mirrored, tilted, scaled, jittered and shifted at random.

    Attributes:
        scale: Range of the uniform scale.
        scale_share: Share of the scans that are scaled.
        axis_scale: Range of what each axis differs from it.
        tilt_share: Share of the scans that are tilted by any angle up to ``largest_tilt``.
        slight_tilt_share: Share of those that are tilted by a normally distributed angle.
        slight_tilt: Its standard deviation, radians.
        largest_tilt: Radians.
        jitters: Standard deviations of the noise on each axis, one of which is drawn, metres.
        shift: Largest shift on each axis, metres.
    """

    scale: tuple[float, float]
    scale_share: float
    axis_scale: tuple[float, float]
    tilt_share: float
    slight_tilt_share: float
    slight_tilt: float
    largest_tilt: float
    jitters: tuple[float, ...]
    shift: float

    def milder(self, factor: float) -> Motion:
        """The same, with fewer scans that are scaled or tilted by any angle."""
        return replace(
            self,
            scale_share=self.scale_share * factor,
            tilt_share=self.tilt_share * factor,
        )

    def moved(self, scan: Scan, rng: np.random.Generator) -> Scan:
        """Move a scan, which has to have normals.

        Raises:
            ValueError: The scan has no normals.
        """
        if scan.normals is None:
            raise ValueError(f"{scan.name}: has no normals, expected them for this augmentation")
        matrix = rotation_about("z", rng.uniform(0, 2 * np.pi))
        matrix[:2, 0] *= rng.choice([-1, 1])
        # The heading is random already, so that one axis is enough.
        matrix = (rotation_about("x", self._tilt(rng)) @ matrix).astype(np.float32)
        uniform = rng.uniform(*self.scale) if rng.random() < self.scale_share else 1.0
        scale = (uniform * rng.uniform(*self.axis_scale, 3)).astype(np.float32)
        points = (scan.points @ matrix.T) * scale
        points += rng.normal(0, rng.choice(self.jitters), points.shape).astype(np.float32)
        points += rng.uniform(-self.shift, self.shift, 3).astype(np.float32)
        return replace(scan, points=points, normals=scan.normals @ matrix.T)

    def _tilt(self, rng: np.random.Generator) -> float:
        """Radians."""
        form = rng.random()
        if form < self.tilt_share:
            return rng.uniform(0, self.largest_tilt)
        if form < self.tilt_share + self.slight_tilt_share:
            return min(abs(rng.normal(0, self.slight_tilt)), self.largest_tilt)
        return 0.0


def with_unlabelled(scan: Scan, points: np.ndarray, rng: np.random.Generator) -> Scan:
    """Append points (M, 3) without label and normal, of random colours where the scan has any."""
    count = len(points)
    return joined(
        scan,
        Scan(
            scan.name,
            points,
            np.full(count, UNLABELLED, np.uint8),
            None if scan.colors is None else rng.integers(0, 256, (count, 3), np.uint8),
            None if scan.normals is None else np.zeros((count, 3), np.float32),
        ),
    )


def noisy_normals(
    normals: np.ndarray, shares: tuple[float, ...], rng: np.random.Generator
) -> np.ndarray:
    """Normals (N, 3) with noise of 0, 0.05, 0.15 or 0.3 on each axis, drawn with these shares."""
    sigma = rng.choice([0.0, 0.05, 0.15, 0.3], p=shares)
    if not sigma:
        return normals
    return unit_vectors(normals + rng.normal(0, sigma, normals.shape).astype(np.float32))


def overlaid(one: Scan, other: Scan) -> Scan:
    """Both scans at one place, each with the middle of its points there (Mix3D)."""
    return joined(*(replace(scan, points=_centred(scan.points)) for scan in (one, other)))


def _centred(points: np.ndarray) -> np.ndarray:
    middle = points.mean(0)
    return points - np.array([middle[0], middle[1], 0], np.float32)
