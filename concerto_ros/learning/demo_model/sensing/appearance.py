# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a camera makes of colours, and the materials whose depth it cannot see."""

from __future__ import annotations

import numpy as np

from concerto_ros.sim import CLASSES
from concerto_ros.sim.depth_noise import blotches

_WALL, _SCREEN = CLASSES.index("wall"), CLASSES.index("screen")


class CameraAppearance:
    """Exposure, white balance and invisible materials of a camera, constant within a scan.

    Args:
        rng: Draws them.
        kind: ``"structured light"``, ``"time of flight"`` or ``"stereo"``.
    """

    def __init__(self, rng: np.random.Generator, kind: str = "structured light"):
        # Auto-exposure: the mean of the image becomes this grey.
        self.mean = rng.uniform(0.28, 0.58)
        self.tint = rng.uniform(0.85, 1.15, 3)
        self.exposure: float | None = None
        self.gamma = rng.uniform(0.75, 1.3)
        self.dark = rng.choice([0.0, 15.0, 30.0, 45.0, 60.0])
        self.bright_lost = rng.random() < 0.5
        self.screens_lost = rng.random() < 0.35
        # Time of flight: brightness below which there is no reading at 1 m.
        self.weakest = rng.uniform(0.0, 4.0) if kind == "time of flight" else 0.0
        # Stereo without a projector: contrast below which there is no reading.
        self.plainest = rng.choice([0.0, 2.0, 4.0, 6.0]) if kind == "stereo" else 0.0

    def expose(self, color: np.ndarray) -> np.ndarray:
        """Colours as this camera records them, (N, 3) uint8; the first image sets the exposure."""
        value = (color.astype(np.float32) / 255) ** np.float32(self.gamma)
        if self.exposure is None:
            self.exposure = float(np.clip(self.mean / value.mean(), 0.5, 2.5))
        value *= np.float32(255 * self.exposure) * self.tint.astype(np.float32)
        return np.minimum(value, 255).astype(np.uint8)

    def lost(
        self, color: np.ndarray, depth: np.ndarray, label: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Pixels without a depth reading, (H, W) bool.

        Dark material, windows, shiny screens; and what is too dark and far for time of flight, or
        too plain for stereo.
        """
        patchy = blotches(depth.shape, rng, 8)
        red, green, blue = (color[..., i] for i in range(3))  # faster than along the last axis
        brightest = np.maximum(np.maximum(red, green), blue)
        lost = (brightest < self.dark) & (patchy < 0.6)
        if self.bright_lost:
            bright = np.minimum(np.minimum(red, green), blue) > 248
            lost |= bright & (label == _WALL)
        if self.screens_lost:
            lost |= (label == _SCREEN) & (patchy < 0.5)
        if self.weakest:
            lost |= brightest < self.weakest * (0.5 + patchy) * depth * depth
        if self.plainest:
            lost |= _contrast(green) < self.plainest * _clouds(depth.shape, rng)
        return lost


def _clouds(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Smooth noise from 0 to 1 of some 24 pixels, (H, W) float32."""
    import cv2

    small = rng.random((shape[0] // 24 + 1, shape[1] // 24 + 1), np.float32)
    return cv2.resize(small, shape[::-1], interpolation=cv2.INTER_LINEAR)


def _contrast(image: np.ndarray) -> np.ndarray:
    """Standard deviation of the brightness around each pixel of (H, W) uint8, float32.

    The noise of the image does not count.
    """
    import cv2

    smooth = cv2.blur(image.astype(np.float32), (3, 3))
    mean = cv2.blur(smooth, (9, 9))
    return cv2.sqrt(np.maximum(cv2.blur(smooth * smooth, (9, 9)) - mean * mean, 0))
