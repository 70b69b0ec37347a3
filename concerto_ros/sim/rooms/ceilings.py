# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Floors and ceilings of any outline: flat, sloped under a roof, stepped, or missing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from concerto_ros.sim.mesh import STEP, Finish, Mesh, box, join, patch, sheet
from concerto_ros.sim.pieces.furniture import Rng, pick, wooden
from concerto_ros.sim.rooms.floor_plan import on_wall
from concerto_ros.sim.rooms.polygon_plan import PolygonPlan
from concerto_ros.sim.rooms.wall_surfaces import paint


def trapezoids(outline: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Cut a simple polygon (n, 2) into strips: a left and a right side, (2, 2) corners each."""
    edges = list(zip(outline, np.roll(outline, -1, axis=0), strict=True))
    levels = np.unique(np.round(outline[:, 1], 6))
    pieces = []
    for low, high in zip(levels[:-1], levels[1:], strict=True):
        if high - low < 1e-5:
            continue
        middle, sides = (low + high) / 2, []
        for a, b in edges:
            if (a[1] > middle) != (b[1] > middle):
                x = [a[0] + (y - a[1]) / (b[1] - a[1]) * (b[0] - a[0]) for y in (low, high)]
                sides.append(np.array([(x[0], low), (x[1], high)]))
        sides.sort(key=lambda side: side[:, 0].sum())
        pieces += list(zip(sides[::2], sides[1::2], strict=True))
    return pieces


def flat_surface(
    outline: np.ndarray,
    height: float | Callable[[np.ndarray], np.ndarray],
    finish: Finish,
    label: str,
) -> Mesh:
    """Cover a polygon (n, 2): at one height, facing up, or at that of each point, facing down."""
    parts = []
    for left, right in trapezoids(outline):
        rows = int(np.ceil((left[1, 1] - left[0, 1]) / STEP)) + 1
        columns = int(np.ceil(max(right[:, 0] - left[:, 0]) / STEP)) + 1
        v = np.linspace(0, 1, rows)[:, None, None]
        u = np.linspace(0, 1, columns)[:, None]
        flat = (1 - u) * ((1 - v) * left[0] + v * left[1]) + u * (
            (1 - v) * right[0] + v * right[1]
        )
        if callable(height):
            z = height(flat.reshape(-1, 2)).reshape(rows, columns, 1)
            points = np.concatenate([flat, z], axis=-1)
        else:
            points = np.concatenate([flat, np.full((rows, columns, 1), height)], axis=-1)
            points = points.transpose(1, 0, 2)
        mesh = sheet(points, finish, label)
        # The texture lies as seen from above, the same in all strips.
        uv = np.ascontiguousarray(mesh.corners[..., :2])
        parts.append(Mesh(**{**vars(mesh), "texture_uv": uv}))
    return join(*parts)


def build_ceiling(plan: PolygonPlan, rng: Rng) -> list[Mesh]:
    """Build the ceiling and what is below it: lamp panels, beams, ducts, lowered edges."""
    if plan.open_above:
        return []
    above = Finish(paint(rng), pick(rng, ("plain", "plaster", "plaster", "tiles", "boards")))
    parts = [flat_surface(plan.corners, plan.headroom, above, "ceiling")]
    if plan.slopes:
        return parts
    if rng.random() < 0.4:
        parts += _panels(plan, rng)
    if rng.random() < 0.15:
        parts += _lowered_edges(plan, rng, above)
    if rng.random() < 0.2 and len(plan.outline) == 4:
        corners = plan.corners
        if np.ptp(corners[:, 0]) * np.ptp(corners[:, 1]) < 1.001 * _area(corners):
            parts += _beams(plan, rng)
    return parts


def _area(corners: np.ndarray) -> float:
    x, y = corners.T
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)


def _panels(plan: PolygonPlan, rng: Rng) -> list[Mesh]:
    """Rows of lamps."""
    glow, parts = Finish((0.97, 0.97, 0.95), glow=1.05), []
    for x in np.arange(-plan.width / 2 + 0.9, plan.width / 2 - 0.6, rng.uniform(1.5, 2.6)):
        for y in np.arange(-plan.depth / 2 + 0.8, plan.depth / 2 - 0.5, rng.uniform(1.5, 2.4)):
            if plan.contains(x - 0.7, y - 0.3, x + 0.7, y + 0.3):
                at = (x, y, plan.height - 0.025)
                parts.append(box((1.2, 0.3, 0.05), at, glow, "ceiling").called("ceiling lamp"))
    return parts


def _beams(plan: PolygonPlan, rng: Rng) -> list[Mesh]:
    """Beams across a rectangular room."""
    parts = []
    for x in np.arange(-plan.width / 2 + 1.2, plan.width / 2 - 0.8, rng.uniform(1.5, 3.0)):
        size = (rng.uniform(0.12, 0.3), plan.depth - 0.01, rng.uniform(0.1, 0.25))
        beam = box(size, (x, 0, plan.height - size[2] / 2), wooden(rng), "ceiling")
        parts.append(beam.called("beam"))
    return parts


def _lowered_edges(plan: PolygonPlan, rng: Rng, finish: Finish) -> list[Mesh]:
    """A part of the ceiling along some walls that is lower: ducts, boxes, stepped ceilings."""
    parts, deep, drop = [], rng.uniform(0.25, 1.2), rng.uniform(0.12, 0.45)
    low = plan.height - drop
    if low < 2.2:
        return []
    for number, wall in enumerate(plan.walls):
        highest = max((o.high for o in plan.openings if o.wall == number), default=0.0)
        if highest > low - 0.1 or rng.random() < 0.4:
            continue
        far = (wall.length, deep, low)
        below = patch(far, (-wall.length, 0, 0), (0, -deep, 0), finish, "ceiling")
        face = patch(far, (-wall.length, 0, 0), (0, 0, drop), finish, "ceiling")
        ends = np.array([wall.point(0.02, deep), wall.point(wall.length - 0.02, deep)])
        if plan.inside(ends).all():
            parts.append(on_wall(wall, join(below, face)))
    return parts
