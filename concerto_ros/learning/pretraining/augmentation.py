# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How views are moved and recoloured: functions of the random choices.

:class:`ViewAugmentation` chooses; colours are 0..255.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from concerto_ros.learning.data.elastic import MAX_CELLS, smoothed_at

#: Weights of red, green and blue in grey.
GREY = np.array([0.2989, 0.587, 0.114])


def centred(coord: np.ndarray) -> np.ndarray:
    """Move the middle of the box in x and y, and its lowest z, to zero."""
    low, high = coord.min(axis=0), coord.max(axis=0)
    return coord - np.array([*(low[:2] + high[:2]) / 2, low[2]], coord.dtype)


def rotation(axis: int, angle: float) -> np.ndarray:
    """The matrix (3, 3) that rotates about an axis (0 to 2) by an angle in radians."""
    i, j = ((1, 2), (2, 0), (0, 1))[axis]
    matrix = np.eye(3)
    matrix[i, i] = matrix[j, j] = np.cos(angle)
    matrix[j, i], matrix[i, j] = np.sin(angle), -np.sin(angle)
    return matrix


def turned(coord: np.ndarray, matrix: np.ndarray, about_box: bool) -> np.ndarray:
    """Multiply points by a matrix, about the centre of their box or the origin; float64."""
    centre = (coord.min(axis=0) + coord.max(axis=0)) / 2 if about_box else np.zeros(3)
    return (coord - centre) @ matrix.T + centre


def jittered(coord: np.ndarray, noise: np.ndarray, sigma: float, clip: float) -> np.ndarray:
    """Move each point by ``sigma * noise``, clipped to ``clip``, metres."""
    return coord + np.clip(sigma * noise, -clip, clip).astype(coord.dtype)


def bent(coord: np.ndarray, noise: np.ndarray, cell: float, strength: float) -> np.ndarray:
    """Move points by a smooth field (Choy et al., CVPR 2019).

    Args:
        coord: (N, 3) metres.
        noise: (X, Y, Z, 3) standard normal numbers on a grid that begins a cell before the points.
        cell: Edge of a cell of the grid, metres.
        strength: Metres for noise of 1.
    """
    place = (coord.astype(np.float64) - coord.min(axis=0)) / cell + 1
    return coord + np.float32(strength) * smoothed_at(noise, place)


def _grid_of(coord: np.ndarray, cell: float) -> np.ndarray:
    """(3,) cells of a grid of noise; in wider views the noise is continued by reflection."""
    extent = np.ptp(coord, axis=0) // cell
    return np.minimum(extent + 3, MAX_CELLS).astype(int)


def shifted(color: np.ndarray, draw: np.ndarray, share: float = 0.05) -> np.ndarray:
    """Shift channels by up to a share of the range: of draws (3,) from 0 to 1, half is none."""
    return np.clip(color + (draw - 0.5) * 2 * share * 255, 0, 255)


def color_jittered(
    color: np.ndarray, order: Sequence[int], factors: Sequence[float | None]
) -> np.ndarray:
    """Change brightness (0), contrast (1), saturation (2) and hue (3) of colours.

    Args:
        color: (N, 3).
        order: The order of the changes.
        factors: Of each change by its number; 1 changes nothing, of hue 0; None: left out.
    """
    for change in order:
        factor = factors[change]
        if factor is not None:
            color = (_brighter, _contrasted, _saturated, _hue_turned)[change](color, factor)
    return color


def _mixed(color: np.ndarray, other: np.ndarray | float, factor: float) -> np.ndarray:
    return np.clip(factor * color + (1 - factor) * other, 0, 255)


def _brighter(color: np.ndarray, factor: float) -> np.ndarray:
    return _mixed(color, 0.0, factor)


def _contrasted(color: np.ndarray, factor: float) -> np.ndarray:
    return _mixed(color, (color @ GREY).mean(), factor)


def _saturated(color: np.ndarray, factor: float) -> np.ndarray:
    return _mixed(color, (color @ GREY)[:, None], factor)


def _hue_turned(color: np.ndarray, turn: float) -> np.ndarray:
    """Add a share of a full turn to the hue; value and saturation stay."""
    high, low = color.max(axis=1), color.min(axis=1)
    spread = np.where(high > low, high - low, 1.0)
    red, green, blue = ((high - channel) / spread for channel in color.T)
    hue = np.where(
        color[:, 0] == high,
        blue - green,
        np.where(color[:, 1] == high, 2 + red - blue, 4 + green - red),
    )
    hue = (np.where(high > low, hue, 0.0) / 6 + turn) % 1.0
    # How far each channel is from the highest, along a piecewise linear circle of hues.
    away = (np.array([5.0, 3.0, 1.0]) + 6 * hue[:, None]) % 6
    share = np.clip(np.minimum(away, 4 - away), 0, 1)
    return high[:, None] - (high - low)[:, None] * share


@dataclass(frozen=True)
class ViewAugmentation:
    """The published augmentation of views.

    Attributes:
        elastic: (cell, strength) of each bend, metres.
        sigma: Noise of each point, metres; clipped at four times as much.
    """

    elastic: tuple[tuple[float, float], ...]
    sigma: float = 0.005

    def colors(self, color: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Recolour points (N, 3), 0..255, float64."""
        ranges = ((0.6, 1.4), (0.6, 1.4), (0.8, 1.2), (-0.02, 0.02))
        order = random.permutation(4).tolist()
        drawn = [random.uniform(*limits) for limits in ranges]
        used = random.random(4) < 0.8
        factors = [factor if use else None for factor, use in zip(drawn, used, strict=True)]
        color = color_jittered(color.astype(np.float64), order, factors)
        shift = random.random(3)
        return shifted(color, shift) if random.random() < 0.95 else color

    def geometry(
        self, coord: np.ndarray, normal: np.ndarray, random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Move the points (N, 3) of a view and turn their normals; float32."""
        coord = centred(coord) * random.uniform(0.9, 1.1)
        for axis, angle in ((2, np.pi), (0, np.pi / 64), (1, np.pi / 64)):
            matrix = rotation(axis, random.uniform(-angle, angle))
            if random.random() < 0.8:
                coord = turned(coord, matrix, about_box=axis != 2)
                normal = normal @ matrix.T
        signs = np.where(random.random(3) < 0.5, -1.0, 1.0)
        signs[2] = 1.0
        coord, normal = (coord * signs).astype(np.float32), normal * signs
        noise = random.standard_normal(coord.shape)
        coord = jittered(coord, noise, self.sigma, 4 * self.sigma)
        if random.random() < 0.95:
            for cell, strength in self.elastic:
                noise = random.standard_normal((*_grid_of(coord, cell), 3))
                coord = bent(coord, noise, cell, strength)
        return coord, normal.astype(np.float32)
