# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The measurement errors of a time-of-flight depth camera.

After the measurements of the second Kinect by Sarbolandi, Lefloch & Kolb, "Kinect range sensing:
structured-light versus time-of-flight Kinect", CVIU 2015.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from concerto_ros.sim.depth_noise import at_edges, blotches, noisy_color, normal_numbers

#: Metres: light from farther around a corner than this is too weak to matter.
CORNER = 0.25
#: Metres: what lies deeper than this behind its surroundings is another object, not a corner.
DEEPEST = 0.12


@dataclass(frozen=True)
class TimeOfFlightNoise:
    """The error model of a time-of-flight camera: no shadows and no steps, but bent corners.

    Attributes:
        min_range: metres; no reading below.
        max_range: metres; no reading above.
        sigma: standard deviation at 1 m, metres; it grows with the square of the range.
        multipath: how far corners are pushed away, as a share of their depth behind their
            surroundings: light arrives there by way of the other wall, too.
        grazing: cosine of the angle to the surface normal below which readings are lost.
        edge: share of the pixels at depth edges that read a depth between the two sides.
        color_sigma: standard deviation of colour, of 255.
    """

    min_range: float = 0.4
    max_range: float = 6.0
    sigma: float = 0.002
    multipath: float = 0.5
    grazing: float = 0.1
    edge: float = 0.7
    color_sigma: float = 3.0

    def measure(
        self, depth: np.ndarray, slant: np.ndarray, focal: float, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Measure a true depth image; arguments and results as in ``SensorNoise.measure``."""
        import cv2

        lost = depth <= 0
        lost |= slant < self.grazing * (0.6 + 0.8 * blotches(depth.shape, rng))
        measured, source = at_edges(depth, self.edge, rng)
        width = int(np.clip(focal * CORNER / max(float(np.median(depth)), 0.5), 3, 127)) | 1
        behind = np.clip(depth - cv2.blur(depth, (width, width)), 0, DEEPEST)
        behind[depth <= 0] = 0
        measured += np.float32(self.multipath) * cv2.blur(behind, (width, width))
        spread = np.float32(self.sigma) * (np.float32(0.5) + np.float32(0.5) * depth * depth)
        measured += spread * normal_numbers(depth.size, rng).reshape(depth.shape)
        lost |= ~((measured >= self.min_range) & (measured <= self.max_range))
        measured[lost] = 0.0
        return measured, source

    def color(self, color: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Add noise to ``color`` (3, N) float32, in place; returns it."""
        return noisy_color(color, self.color_sigma, rng)
