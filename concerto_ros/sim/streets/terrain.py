# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The ground of a street: hills, roads with kerbs, pavements, verges and fields."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from concerto_ros.sim.streets.shapes import Paint, Solid, join, quads

#: The ground reaches so far from the origin along x and y, metres.
EXTENT = 110.0


@dataclass(frozen=True)
class Cover:
    """What the ground is covered with.

    Attributes:
        color: RGB in 0..255.
        reflectance: see :class:`~concerto_ros.sim.streets.shapes.Paint`.
        roughness: metres, likewise.
        bumps: height of its bumps, metres.
    """

    color: tuple[float, float, float]
    reflectance: float
    roughness: float
    bumps: float


COVERS = {
    "asphalt": Cover((88, 88, 92), 0.16, 0.004, 0.008),
    "concrete": Cover((150, 148, 142), 0.32, 0.004, 0.01),
    "paving": Cover((140, 128, 118), 0.3, 0.006, 0.012),
    "cobbles": Cover((112, 106, 100), 0.24, 0.012, 0.02),
    "gravel": Cover((150, 140, 122), 0.3, 0.015, 0.035),
    "soil": Cover((112, 88, 66), 0.22, 0.02, 0.07),
    "lawn": Cover((92, 124, 60), 0.42, 0.025, 0.03),
    "meadow": Cover((116, 132, 66), 0.42, 0.06, 0.09),
    "field": Cover((128, 104, 74), 0.28, 0.04, 0.12),
}


class Terrain:
    """Heights and covers of the ground; the road runs along x, or bends about it.

    Args:
        rng: for the shape.
        half_width: of the main road, metres.
        kerb: height of the kerbs, metres; 0: none.
        pavement: width of the pavements, metres; 0: none.
        slope: of the whole ground, m/m.
        hills: amplitude of the hills, metres.
        bend: amplitude of the bends of the road, metres.
        crosses: (position along x, half width) of roads that cross, metres.
        covers: of the road, the pavement and the rest: names in :data:`COVERS`.
        bank: height of the ground beside the road above it at 8 m from the pavement, metres.
        ditch: depth of the ditches beside the road, metres; 0: none.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        *,
        half_width: float,
        kerb: float,
        pavement: float,
        slope: float,
        hills: float,
        bend: float,
        crosses: tuple[tuple[float, float], ...] = (),
        covers: tuple[str, str, str] = ("asphalt", "paving", "lawn"),
        bank: float = 0.0,
        ditch: float = 0.0,
    ):
        self.half_width, self.kerb, self.pavement = half_width, kerb, pavement
        self.crosses, self.covers = crosses, covers
        self._bank, self._ditch = bank, ditch
        turn = rng.uniform(0, 2 * np.pi)
        self._slope = slope * np.array([np.cos(turn), 0.6 * np.sin(turn)])
        self._bend = bend, rng.uniform(90, 220), rng.uniform(0, 2 * np.pi)
        self._crown = rng.uniform(0.0, 0.03)
        self._rough = rng.uniform(0.15, 1.0)
        self._hills = _Waves(rng, 5, (70, 200), hills)
        self._bumps = _Waves(rng, 9, (1.6, 9.0), 1.0)

    def middle(self, x: np.ndarray | float) -> np.ndarray:
        """The y of the middle of the main road at ``x``, metres."""
        amplitude, length, phase = self._bend
        angle = 2 * np.pi * np.asarray(x, np.float64) / length
        return amplitude * (np.sin(angle + phase) - np.sin(phase))

    def direction(self, x: float) -> float:
        """Direction of the main road at ``x``, radians from the x axis."""
        return float(np.arctan(self.middle(x + 0.5) - self.middle(x - 0.5)))

    def aside(self, x: float, offset: float) -> tuple[float, float]:
        """The point at ``offset`` metres to the left of the middle of the road at ``x``."""
        turn = self.direction(x)
        return x - offset * np.sin(turn), float(self.middle(x)) + offset * np.cos(turn)

    def zones(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """0 on a road, 1 on a pavement, 2 elsewhere; the shape of ``x``."""
        return np.where(
            self._beside(x, y) <= 0, 0, np.where(self._beside(x, y) <= self.pavement, 1, 2)
        )

    def height(self, x: np.ndarray | float, y: np.ndarray | float) -> np.ndarray:
        """Height of the ground, metres; the shape of ``x``."""
        x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
        beside = self._beside(x, y)
        inside = np.clip(-beside / self.half_width, 0, 1)
        height = self._slope[0] * x + self._slope[1] * y + self._hills(x, y)
        height = height + self._crown * self.half_width * inside
        height = height + np.where(beside <= 0, -self.kerb, 0.0)
        off = beside - self.pavement
        # The first metre beside the pavement is level with it.
        height = height + self._bank * np.clip((off - 1) / 7, 0, 1) ** 1.5
        height = height - self._ditch * np.exp(-(((off - 2.0) / 0.8) ** 2))
        zone = np.where(beside <= 0, 0, np.where(off <= 0, 1, 2))
        bumps = np.array([COVERS[name].bumps for name in self.covers])[zone]
        return height + self._rough * bumps * np.where(
            zone == 2, np.clip(off, 0, 1), 1
        ) * self._bumps(x, y)

    def solid(self) -> Solid:
        """The ground as triangles: finer near the origin, with edges along the kerbs."""
        spread = np.linspace(-1, 1, 261)
        lines = EXTENT * np.sinh(2.6 * spread) / np.sinh(2.6)
        edges = [self.half_width + step for step in (0.0, 0.015)]
        if self.pavement:
            edges += [self.half_width + self.pavement + step for step in (0.0, 0.03)]
        across = np.unique(np.concatenate([lines, edges, np.negative(edges)]))
        along = [lines]
        for place, half_width in self.crosses:
            reach = half_width + np.array([0.0, 0.015, self.pavement, self.pavement + 0.03])
            along += [place + reach, place - reach]
        along_x = np.unique(np.concatenate(along))
        x = np.broadcast_to(along_x[:, None], (len(along_x), len(across)))
        y = across[None] + self.middle(x)
        points = np.stack([x, y, self.height(x, y)], -1)
        cells = [points[:-1, :-1], points[1:, :-1], points[1:, 1:], points[:-1, 1:]]
        corners = np.stack(cells, 2).reshape(-1, 4, 3)
        center = corners.mean(1)
        zone = self.zones(center[:, 0], center[:, 1])
        parts = []
        for number, name in enumerate(self.covers):
            cover = COVERS[name]
            paint = Paint("ground", cover.color, cover.reflectance, roughness=cover.roughness)
            parts.append(quads(corners[zone == number], paint))
        return join(parts)

    def _beside(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Metres from the edge of the nearest road, negative on it."""
        beside = np.abs(y - self.middle(x)) - self.half_width
        for place, half_width in self.crosses:
            beside = np.minimum(beside, np.abs(x - place) - half_width)
        return beside


class _Waves:
    """A sum of sine waves in random directions, ``amplitude`` high in the mean."""

    def __init__(self, rng, count: int, lengths: tuple[float, float], amplitude: float):
        turn = rng.uniform(0, 2 * np.pi, count)
        number = 2 * np.pi / np.exp(rng.uniform(*np.log(lengths), count))
        self._wave = np.stack([np.cos(turn), np.sin(turn)]) * number
        self._phase = rng.uniform(0, 2 * np.pi, count)
        self._amplitude = amplitude * np.sqrt(2 / count)

    def __call__(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        total = np.zeros(np.broadcast(x, y).shape)
        for (first, second), phase in zip(self._wave.T, self._phase, strict=True):
            total += np.sin(first * x + second * y + phase)
        return self._amplitude * total
