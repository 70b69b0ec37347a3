# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A piece of ground on which things are placed without standing in each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from concerto_ros.sim.streets.shapes import Solid
from concerto_ros.sim.streets.terrain import EXTENT, Terrain

#: Edge of the cells in which it is kept what stands where, metres.
_CELL = 0.4


#: A point of the ground, x and y in metres.
Place = tuple[float, float] | np.ndarray


@dataclass(frozen=True, eq=False)
class Mover:
    """Something that moves: its ``solid`` at time zero, and its ``velocity`` (3,) in m/s."""

    solid: Solid
    velocity: np.ndarray


class Site:
    """Ground, the solids on it and the places they take.

    Attributes:
        terrain: the ground.
        solids: what stands, placed.
        movers: what moves.
        reach: sensors stand at most so far from the origin along x, metres.
    """

    def __init__(self, terrain: Terrain):
        self.terrain = terrain
        self.reach = 45.0
        self.solids: list[Solid] = []
        self.movers: list[Mover] = []
        self._taken = np.zeros((int(2 * EXTENT / _CELL) + 1,) * 2, bool)

    def claim(
        self, place: Place, yaw: float, length: float, width: float, *, on_road: bool = False
    ) -> bool:
        """Take a rectangle for something; False, and nothing is taken, if it is not free.

        Args:
            place: its middle.
            yaw: of its length, radians from the x axis.
            length: metres.
            width: metres.
            on_road: whether it may be on a road.
        """
        spots = self._spots(place, yaw, length, width)
        column, row = self._cells(*spots)
        if not (np.abs(spots).max() < EXTENT - 1) or self._taken[column, row].any():
            return False
        if not on_road and (self.terrain.zones(*spots) == 0).any():
            return False
        self._taken[column, row] = True
        return True

    def enclose(self, half_length: float, half_width: float) -> None:
        """Leave only a rectangle round the origin free, along x and y, metres."""
        center = (np.arange(len(self._taken)) + 0.5) * _CELL - EXTENT
        inside = (np.abs(center) < half_length)[:, None] & (np.abs(center) < half_width)[None]
        self._taken |= ~inside
        self.reach = min(self.reach, half_length - 0.7)

    def free(self, place: Place, radius: float) -> bool:
        """Whether nothing stands within ``radius`` metres of a point."""
        spots = self._spots(place, 0.0, 2 * radius, 2 * radius)
        return not self._taken[self._cells(*spots)].any()

    def put(self, solid: Solid, place: Place, yaw: float = 0.0) -> None:
        """Place a solid on the ground."""
        self.solids.append(
            solid.placed(place[0], place[1], float(self.terrain.height(*place)), yaw)
        )

    def put_vehicle(
        self, solid: Solid, place: Place, yaw: float, speed: float | None = None
    ) -> None:
        """Place a vehicle along the slope of the ground; with a ``speed`` in m/s it moves."""
        ahead = np.array([np.cos(yaw), np.sin(yaw)])
        front, back = (float(self.terrain.height(*(place + s * ahead))) for s in (1.3, -1.3))
        pitch = (front - back) / 2.6
        tilted = np.array([[1, 0, 0], [0, 1, 0], [pitch, 0, 1]])
        placed = solid.turned(tilted).placed(place[0], place[1], (front + back) / 2, yaw)
        if speed is None:
            self.solids.append(placed)
        else:
            self.movers.append(Mover(placed, speed * np.array([*ahead, pitch])))

    def on_ground(self, points: np.ndarray) -> np.ndarray:
        """Points (N, 2) or (N, 3) moved up or down onto the ground, (N, 3)."""
        x, y = points[:, 0], points[:, 1]
        return np.column_stack([x, y, self.terrain.height(x, y)])

    def _spots(
        self, place: Place, yaw: float, length: float, width: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Points all over a rectangle, at most a cell apart."""
        along, across = (
            np.linspace(-size / 2, size / 2, int(size / _CELL) + 2) for size in (length, width)
        )
        u, v = (grid.ravel() for grid in np.meshgrid(along, across))
        x, y = place
        return x + u * np.cos(yaw) - v * np.sin(yaw), y + u * np.sin(yaw) + v * np.cos(yaw)

    def _cells(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        column, row = (
            np.clip(((v + EXTENT) / _CELL).astype(int), 0, len(self._taken) - 1) for v in (x, y)
        )
        return column, row
