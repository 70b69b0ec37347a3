# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The nearest reading within any square of an image, for many squares at once."""

from __future__ import annotations

import numpy as np


class NearestReadings:
    """Minima over squares of an image, four look-ups each, whatever their size.

    A sparse table (Bender and Farach-Colton, "The LCA Problem Revisited", 2000) in two dimensions:
    level k holds the minima of all squares of 2**k pixels. Two by two of them, overlapping, cover
    any square. Levels are computed when a square first needs them.
    """

    def __init__(self, image: np.ndarray):
        """Start from ``image`` (H, W), without NaN."""
        self._levels = [image]

    def within(self, top: np.ndarray, left: np.ndarray, size: np.ndarray) -> np.ndarray:
        """Return the smallest value in each of N squares, which lie within the image.

        Args:
            top: (N,) integers, first row of each square.
            left: (N,) integers, first column of each square.
            size: (N,) integers, edge of each square in pixels, at least 1.

        Returns:
            (N,) minima in the type of the image.
        """
        level = np.frexp(size)[1] - 1
        nearest = np.empty(len(size), self._levels[0].dtype)
        for k in np.unique(level):
            rows = np.flatnonzero(level == k)
            rest = size[rows] - (1 << k)
            nearest[rows] = self._corners(self._level(k), top[rows], left[rows], rest)
        return nearest

    @staticmethod
    def _corners(
        minima: np.ndarray, top: np.ndarray, left: np.ndarray, rest: np.ndarray
    ) -> np.ndarray:
        """Return the minima over the squares at the corners of larger ones, ``rest`` apart."""
        width, flat = minima.shape[1], minima.reshape(-1)
        corner = top * width + left
        nearest = flat[corner]
        for step in (rest, rest * width, rest * (width + 1)):
            np.minimum(nearest, flat[corner + step], out=nearest)
        return nearest

    def _level(self, k: int) -> np.ndarray:
        while len(self._levels) <= k:
            last, half = self._levels[-1], 1 << (len(self._levels) - 1)
            # Squares that cross the border are cut there; :meth:`within` does not use them.
            level = last.copy()
            np.minimum(level[:, :-half], last[:, half:], out=level[:, :-half])
            level[:-half] = np.minimum(level[:-half], level[half:])
            self._levels.append(level)
        return self._levels[k]
