# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The measurement errors of a stereo depth camera, with or without a projected pattern.

After Keselman et al., "Intel RealSense stereoscopic depth cameras", CVPR workshops 2017: blocks of
pixels are compared, so near surfaces spread over their edges, and errors are alike over a block.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from concerto_ros.sim.depth_noise import (
    blotches,
    edge_step,
    noisy_color,
    normal_numbers,
    shadowed,
)

#: Depth of what is not there, metres: out of every range, and safe to calculate with.
NOWHERE = np.float32(1e6)


@dataclass(frozen=True)
class StereoNoise:
    """The error model of a stereo camera.

    Attributes:
        min_range: metres; no reading below.
        max_range: metres; no reading above.
        sigma: standard deviation at 1 m, metres; it grows with the square of the range.
        baseline: metres between the two cameras; what the second one does not see has no depth.
        block: half the width of the compared blocks, pixels.
        grazing: cosine of the angle to the surface normal below which readings are lost.
        color_sigma: standard deviation of colour, of 255.
    """

    min_range: float = 0.3
    max_range: float = 8.0
    sigma: float = 0.003
    baseline: float = 0.05
    block: int = 3
    grazing: float = 0.15
    color_sigma: float = 3.0

    def measure(
        self, depth: np.ndarray, slant: np.ndarray, focal: float, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Measure a true depth image; arguments and results as in ``SensorNoise.measure``."""
        import cv2

        reach = focal * self.baseline
        seen = depth > 0
        lost = ~seen | shadowed(depth, seen, reach)
        lost |= slant < self.grazing * (0.6 + 0.8 * blotches(depth.shape, rng, 8))
        near, source = self._spread(np.where(seen, depth, NOWHERE))
        disparity = np.float32(reach) / near
        # A mean of the block: exact on planes, a ramp at edges, round in corners.
        ramp: np.ndarray = cv2.blur(disparity, (3, 3))
        width = 2 * self.block + 1
        noise = cv2.blur(normal_numbers(depth.size, rng).reshape(depth.shape), (width, width))
        ramp += np.float32(reach * self.sigma * width) * noise
        with np.errstate(divide="ignore", invalid="ignore"):
            measured = np.float32(reach) / ramp
            off_surface = np.abs(measured - near) > 2 * edge_step(near)
        lost |= ~((measured >= self.min_range) & (measured <= self.max_range))
        measured[lost] = 0.0
        source[off_surface] = -1
        return measured, source

    def color(self, color: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Add noise to ``color`` (3, N) float32, in place; returns it."""
        return noisy_color(color, self.color_sigma, rng)

    def _spread(self, depth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Let near surfaces cover what lies behind them by up to half a block, along each axis.

        Returns the depth and the source pixel of each.
        """
        near, source = depth.copy(), np.arange(depth.size).reshape(depth.shape)
        for axis in (0, 1):
            start, start_source = near.copy(), source.copy()
            for shift in (-self.block // 2, self.block // 2):
                beside = _shifted(start, shift, axis)
                nearer = beside < near - edge_step(beside)
                near = np.where(nearer, beside, near)
                source = np.where(nearer, _shifted(start_source, shift, axis), source)
        return near, source


def _shifted(values: np.ndarray, shift: int, axis: int) -> np.ndarray:
    """An image moved by ``shift`` pixels along an axis; its edge is repeated."""
    place = np.clip(np.arange(values.shape[axis]) + shift, 0, values.shape[axis] - 1)
    return values.take(place, axis=axis)
