# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The measurement errors of depth cameras, first of all of structured light.

After the measurements of the first Kinect by Khoshelham & Elberink (2012) and by Nguyen, Izadi &
Lovell (2012).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np


class DepthNoise(Protocol):
    """The errors of a depth camera of some kind."""

    def measure(
        self, depth: np.ndarray, slant: np.ndarray, focal: float, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Measure a true depth image, see :meth:`SensorNoise.measure`."""

    def color(self, color: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Add noise to ``color`` (3, N) float32, in place; returns it."""


@dataclass(frozen=True)
class SensorNoise:
    """The error model of a camera.

    Attributes:
        min_range: metres; no reading below.
        max_range: metres; no reading above.
        disparity_step: 1 / metres; the sensor measures the inverse of depth in steps of this size,
            so the step in depth is ``disparity_step * z**2`` (2.85 mm at 1 m for the first
            Kinect).
        disparity_sigma: standard deviation of that measurement, in steps.
        baseline: metres between projector and camera; what the projector does not reach has no
            depth.
        grazing: cosine of the angle to the surface normal below which readings are lost.
        edge: share of the pixels at depth edges that read a depth between the two sides.
        color_sigma: standard deviation of colour, of 255.
    """

    min_range: float = 0.4
    max_range: float = 6.0
    disparity_step: float = 0.00285
    disparity_sigma: float = 0.6
    baseline: float = 0.075
    grazing: float = 0.14
    edge: float = 0.3
    color_sigma: float = 3.0

    def depth(
        self, depth: np.ndarray, slant: np.ndarray, focal: float, rng: np.random.Generator
    ) -> np.ndarray:
        """Return the measured depth of a true one, (H, W) float32; see :meth:`measure`."""
        return self.measure(depth, slant, focal, rng)[0]

    def measure(
        self, depth: np.ndarray, slant: np.ndarray, focal: float, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Measure a true depth image.

        Args:
            depth: (H, W) float32 metres, 0 for nothing.
            slant: (H, W) cosine between ray and surface normal.
            focal: focal length in pixels.
            rng: draws the noise.

        Returns:
            The measured depth, (H, W) float32, 0 for no reading, and the pixel whose surface each
                reading is of, (H, W) int64, an index of the raveled image, -1 for a reading in the
                air between two surfaces.
        """
        seen = depth > 0
        lost = ~seen | shadowed(depth, seen, focal * self.baseline)
        lost |= slant < self.grazing * (0.6 + 0.8 * blotches(depth.shape, rng))
        noisy, source = at_edges(depth, self.edge, rng)
        with np.errstate(divide="ignore"):
            steps = np.float32(1.0 / self.disparity_step) / noisy
        sigma = np.float32(self.disparity_sigma)
        steps += sigma * normal_numbers(depth.size, rng).reshape(depth.shape)
        np.rint(steps, out=steps)
        with np.errstate(divide="ignore"):
            measured = np.float32(1.0 / self.disparity_step) / steps
        lost |= ~((measured >= self.min_range) & (measured <= self.max_range))
        measured[lost] = 0.0
        return measured, source

    def color(self, color: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Add noise to ``color`` (3, N) float32, in place; returns it."""
        return noisy_color(color, self.color_sigma, rng)


def shadowed(depth: np.ndarray, seen: np.ndarray, reach: float) -> np.ndarray:
    """Return the pixels that a projector or second camera, right of the camera, cannot see.

    Along a row, the column at which it sees a pixel must grow with the column; it decreases where
    something nearer occludes.

    Args:
        depth: (H, W) float32 metres.
        seen: (H, W) bool, where there is a depth.
        reach: Focal length times distance of the two, pixels x metres.
    """
    columns = np.arange(depth.shape[1], dtype=np.float32)
    with np.errstate(divide="ignore"):
        shift = np.where(seen, np.float32(reach) / depth, np.float32(0.0))
    position = columns - shift
    # Seen from the right-hand side, rows are walked from their end.
    reached = np.minimum.accumulate(position[:, ::-1], axis=1)[:, ::-1]
    return position > reached + np.float32(0.75)


def at_edges(
    depth: np.ndarray, edge: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Give pixels beside a jump in depth a neighbour's depth, or one between the two sides.

    ``edge`` is the share of the latter. Returns the depth and the source pixel, as
    :meth:`SensorNoise.measure` does.
    """
    flat, source = depth.ravel(), np.arange(depth.size)
    height, width = depth.shape
    if width < 2 or height < 2:
        return depth.copy(), source.reshape(depth.shape)
    limit = edge_step(depth)
    jump = np.zeros(depth.shape, bool)
    across = np.abs(np.diff(depth, axis=1)) > limit[:, 1:]
    down = np.abs(np.diff(depth, axis=0)) > limit[1:]
    jump[:, 1:] |= across
    jump[:, :-1] |= across
    jump[1:] |= down
    jump[:-1] |= down
    place = np.flatnonzero(jump)
    offset = rng.integers(-1, 2, (2, len(place)))
    row = np.clip(place // width + offset[0], 0, height - 1)
    column = np.clip(place % width + offset[1], 0, width - 1)
    beside = row * width + column
    own, neighbour = flat[place], flat[beside]
    flying = rng.random(len(place), np.float32) < edge
    share = np.where(flying, rng.random(len(place), np.float32), np.float32(1.0))
    noisy = flat.copy()
    both = (own > 0) & (neighbour > 0)
    share[~both] = 0.0
    gap = neighbour - own
    noisy[place] = own + share * gap
    source[place] = np.where(share > 0.5, beside, place)
    off_surface = np.abs(gap) * np.minimum(share, 1 - share) > limit.ravel()[place]
    source[place[off_surface]] = -1
    return noisy.reshape(depth.shape), source.reshape(depth.shape)


def edge_step(depth: np.ndarray) -> np.ndarray:
    """The difference of depth between neighbouring pixels that counts as an edge, metres."""
    return np.float32(0.03) + np.float32(0.02) * depth


def noisy_color(color: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Add noise to ``color`` (3, N) float32, in place; returns it."""
    for channel in color:
        channel += np.float32(sigma) * normal_numbers(len(channel), rng)
    return color


@lru_cache(maxsize=2)
def _pool(size: int) -> np.ndarray:
    return np.random.default_rng(4).standard_normal(size, np.float32)


def normal_numbers(count: int, rng: np.random.Generator) -> np.ndarray:
    """Take ``count`` normal numbers from a pool at a random offset, ten times as fast."""
    start = int(rng.integers(count + 1))
    return _pool(2 * count)[start : start + count]


def blotches(shape: tuple[int, ...], rng: np.random.Generator, size: int = 4) -> np.ndarray:
    """Return uniform noise in blocks of ``size`` pixels each way, to lose readings in patches."""
    small = rng.random((-(-shape[0] // size), -(-shape[1] // size)), np.float32)
    return small.repeat(size, axis=0).repeat(size, axis=1)[: shape[0], : shape[1]]
