# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Smooth random displacement of space, for elastic distortion (after Choy et al., CVPR 2019)."""

from __future__ import annotations

import itertools

import numpy as np

#: Grid values at most; a scene wider than that has its noise repeated.
MAX_CELLS = 64


def smooth_noise(points: np.ndarray, grain: float, random: np.random.Generator) -> np.ndarray:
    """(N, 3) float32: at each point a vector that changes slowly from place to place.

    Gaussian noise of unit variance on a grid of ``grain`` metres, twice blurred by a mean of three
    along each axis, and trilinear in between. On axes longer than 64 cells the noise repeats.
    """
    place = (points.astype(np.float64) - points.min(axis=0)) / grain
    cell = np.floor(place)
    fraction = (place - cell).astype(np.float32)
    size = np.minimum(cell.max(axis=0).astype(int) + 2, MAX_CELLS)
    noise = random.standard_normal((*size, 3), np.float32)
    for _ in range(2):
        for axis in range(3):
            sides = [(0, 0)] * 4
            sides[axis] = (1, 1)
            padded = np.pad(noise, sides)
            length = noise.shape[axis]
            shifted = [np.take(padded, range(i, i + length), axis) for i in range(3)]
            noise = (shifted[0] + shifted[1] + shifted[2]) / np.float32(3)

    flat = noise.reshape(-1, 3)
    result = np.zeros((len(points), 3), np.float32)
    for corner in itertools.product((0, 1), repeat=3):
        index = (cell + corner).astype(np.int64) % size
        row = (index[:, 0] * size[1] + index[:, 1]) * size[2] + index[:, 2]
        share = np.where(corner, fraction, 1 - fraction).prod(axis=1, keepdims=True)
        result += share * flat[row]
    return result
