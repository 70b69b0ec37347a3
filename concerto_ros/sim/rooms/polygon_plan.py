# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Floor plans with walls at any angle, cut corners, bays and chimney breasts, and roof slopes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from concerto_ros.sim.pieces.furniture import Rng, pick
from concerto_ros.sim.rooms.floor_plan import FloorPlan


@dataclass(frozen=True)
class Slope:
    """A sloped ceiling: it meets wall number ``wall`` at ``low`` metres and rises from there.

    Attributes:
        wall: number of the wall.
        low: height at that wall, metres.
        rise: metres up for each metre into the room.
    """

    wall: int
    low: float
    rise: float


@dataclass(frozen=True)
class PolygonPlan(FloorPlan):
    """A room whose outline is any simple polygon, its bounding rectangle centred on the origin.

    Attributes:
        outline: corners, metres, counter-clockwise.
        slopes: sloped parts of the ceiling.
        open_above: whether there is no ceiling at all.
        lamp: where the ceiling lamp hangs, metres.
    """

    outline: tuple[tuple[float, float], ...] = ()
    slopes: tuple[Slope, ...] = ()
    open_above: bool = False
    lamp: tuple[float, float] = (0.0, 0.0)

    @property
    def corners(self) -> np.ndarray:
        """Corners of the outline, (n, 2) metres, counter-clockwise."""
        return np.array(self.outline)

    @property
    def middle(self) -> tuple[float, float]:
        """A point well inside, metres."""
        return self.lamp

    def inside(self, points: np.ndarray) -> np.ndarray:
        """Return whether points (n, 2), metres, lie inside the outline, (n,) bool."""
        x, y = np.asarray(points, np.float64).T[:, :, None]
        x0, y0 = self.corners.T
        x1, y1 = np.roll(x0, -1), np.roll(y0, -1)
        spans = (y0 > y) != (y1 > y)
        with np.errstate(divide="ignore", invalid="ignore"):
            crossing = x0 + (y - y0) / (y1 - y0) * (x1 - x0)
        return (spans & (x < crossing)).sum(1) % 2 == 1

    def contains(self, x0: float, y0: float, x1: float, y1: float) -> bool:
        """Return whether an axis-aligned rectangle lies inside; metres.

        Slits of the outline that are narrower than the rectangle are not seen; no plan has any.
        """
        slack = 1e-3
        a, b, c, d = (
            x0 + slack,
            y0 + slack,
            max(x1 - slack, x0 + slack),
            max(y1 - slack, y0 + slack),
        )
        edges = np.array([(a, b), (c, b), (c, d), (a, d), ((a + c) / 2, (b + d) / 2)])
        x, y = self.corners.T
        within = (x > a) & (x < c) & (y > b) & (y < d)
        return bool(self.inside(edges).all()) and not within.any()

    def headroom(self, points: np.ndarray) -> np.ndarray:
        """Return the height of the ceiling above points (n, 2), (n,) metres."""
        points = np.asarray(points, np.float64)
        height = np.full(len(points), self.height)
        for slope in self.slopes:
            wall = self.walls[slope.wall]
            inward = np.array([-np.sin(wall.yaw), np.cos(wall.yaw)])
            height = np.minimum(height, slope.low + slope.rise * (points - wall.start) @ inward)
        return height


def polygon_plan(plan: FloorPlan, rng: Rng, bends: int) -> PolygonPlan:
    """Return a rectangular or L-shaped plan with its outline changed in ``bends`` places."""
    corners = [tuple(corner) for corner in plan.corners]
    for _ in range(bends):
        change = pick(rng, (_cut_corner, _cut_corner, _skew, _bay, _bay))
        changed = change(corners, rng)
        if changed is not None:
            corners = changed
    outline = np.array(corners)
    low, high = outline.min(axis=0), outline.max(axis=0)
    middle = (low + high) / 2
    lamp = np.array(plan.middle) - middle
    return PolygonPlan(
        float(high[0] - low[0]),
        float(high[1] - low[1]),
        plan.height,
        outline=tuple((float(x), float(y)) for x, y in outline - middle),
        lamp=(float(lamp[0]), float(lamp[1])),
    )


def _around(corners, i: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The corner before, corner i and the one after."""
    n = len(corners)
    before, here, after = (np.array(corners[k % n]) for k in (i - 1, i, i + 1))
    return before, here, after


def _cut_corner(corners, rng: Rng):
    """Replace a corner by a short oblique wall."""
    i = int(rng.integers(len(corners)))
    before, here, after = _around(corners, i)
    back, on = before - here, after - here
    if back[0] * on[1] - back[1] * on[0] > 0:  # a corner that points into the room
        return None
    most = 0.4 * min(float(np.linalg.norm(back)), float(np.linalg.norm(on)))
    if most < 0.5:
        return None
    one, other = rng.uniform(0.4, min(most, 1.6), 2)
    first = here + back / np.linalg.norm(back) * one
    second = here + on / np.linalg.norm(on) * other
    return [*corners[:i], tuple(first), tuple(second), *corners[i + 1 :]]


def _skew(corners, rng: Rng):
    """Move a corner along one of its walls, so that the other stands at an angle."""
    i = int(rng.integers(len(corners)))
    before, here, after = _around(corners, i)
    back, on = before - here, after - here
    if back[0] * on[1] - back[1] * on[0] > 0:
        return None
    way = pick(rng, (back, on))
    shift = min(0.28 * float(np.linalg.norm(way)), 1.3) * rng.uniform(0.3, 1.0)
    moved = here + way / np.linalg.norm(way) * shift
    return [*corners[:i], tuple(moved), *corners[i + 1 :]]


def _bay(corners, rng: Rng):
    """Push a part of a wall out, with square or oblique sides, or in like a chimney breast."""
    i = int(rng.integers(len(corners)))
    _, here, after = _around(corners, i)
    along = after - here
    length = float(np.linalg.norm(along))
    if length < 2.6:
        return None
    along = along / length
    outward = np.array([along[1], -along[0]])
    wide = rng.uniform(1.0, min(2.6, length - 1.0))
    start = rng.uniform(0.4, length - wide - 0.4)
    deep = rng.uniform(0.35, 0.9) if rng.random() < 0.65 else -rng.uniform(0.25, 0.5)
    side = pick(rng, (0.0, 0.0, 0.3)) * wide
    new = [
        here + along * start,
        here + along * (start + side) + outward * deep,
        here + along * (start + wide - side) + outward * deep,
        here + along * (start + wide),
    ]
    return [*corners[: i + 1], *(tuple(p) for p in new), *corners[i + 1 :]]


def add_slopes(plan: PolygonPlan, rng: Rng) -> PolygonPlan:
    """Return the plan under a roof: one long wall is low, or two that face each other."""
    walls = plan.walls
    order = sorted(range(len(walls)), key=lambda i: -walls[i].length)
    first = order[int(rng.integers(2))]
    chosen = [first]
    if rng.random() < 0.45:
        across = [i for i in order if np.cos(walls[i].yaw - walls[first].yaw) < -0.97]
        chosen += across[:1]
    slopes: list[Slope] = []
    low, rise = rng.uniform(0.6, 1.7), rng.uniform(0.6, 1.7)
    for number in chosen:
        one = Slope(number, low, rise)
        headroom = replace(plan, slopes=(one,)).headroom(np.array([plan.middle]))[0]
        if headroom > 2.05:
            slopes.append(one)
    return replace(plan, slopes=tuple(slopes))
