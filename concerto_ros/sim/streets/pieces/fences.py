# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Fences, walls and rails along paths."""

from __future__ import annotations

import numpy as np

from concerto_ros.sim.streets.shapes import (
    Paint,
    Solid,
    boxes,
    join,
    quads,
    tubes,
)


def fence(rng: np.random.Generator, path: np.ndarray, kind: str | None = None) -> Solid:
    """A fence along ``path`` (N, 3), points on the ground at most some metres apart.

    Args:
        rng: for height and spacing.
        path: metres.
        kind: ``mesh``, ``pickets``, ``boards``, ``bars``, ``wall``, ``rail`` (a guard rail),
            ``barrier`` (of concrete) or ``wires`` (of a pasture).
    """
    kinds = ["mesh", "pickets", "boards", "bars", "wall", "wires"]
    kind = kind or str(rng.choice(kinds, p=[0.25, 0.2, 0.15, 0.15, 0.18, 0.07]))
    color = tuple(rng.uniform([60, 60, 50], [230, 225, 215]))
    solid = Paint("fence", color, rng.uniform(0.2, 0.6))
    height = {"wires": 1.2, "rail": 0.75, "barrier": 0.85}.get(kind, rng.uniform(0.7, 2.1))
    start, end = path[:-1], path[1:]
    if kind == "mesh":
        wire = Paint("fence", color, 0.4, gaps=rng.uniform(0.55, 0.85))
        return join(
            [_panels(start, end, 0.05, height, wire), _posts(path, 2.4, height, 0.03, solid)]
        )
    if kind == "boards":
        return join(
            [_panels(start, end, 0.03, height, solid), _posts(path, 2.0, height, 0.06, solid)]
        )
    if kind in ("wall", "barrier"):
        thick = rng.uniform(0.12, 0.4)
        return _strips(start, end, -0.8, height, thick, solid)
    if kind == "rail":
        parts = [_strips(start, end, z, z + 0.12, 0.06, solid) for z in (0.45, 0.62)]
        parts.append(_panels(start, end, 0.42, 0.74, solid))
        return join([*parts, _posts(path, rng.uniform(1.5, 4), 0.7, 0.06, solid)])
    if kind == "wires":
        parts = [_strips(start, end, z, z + 0.02, 0.02, solid) for z in (0.4, 0.8, 1.1)]
        return join([*parts, _posts(path, 3.0, height, 0.05, solid)])
    gap = rng.uniform(0.1, 0.2)
    width = 0.02 if kind == "bars" else gap * rng.uniform(0.4, 0.8)
    bars = _along(path, gap)
    upright = boxes(bars + [0, 0, height / 2 + 0.04], (width, width, height), solid)
    rails = [_strips(start, end, z, z + 0.05, 0.03, solid) for z in (0.2, height * 0.85)]
    return join([upright, *rails, _posts(path, 2.2, height, 0.05, solid)])


def _along(path: np.ndarray, gap: float) -> np.ndarray:
    """Points along a path every ``gap`` metres, (N, 3)."""
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(path[:, :2], axis=0), axis=1))])
    at = np.arange(0, length[-1], gap)
    return np.column_stack([np.interp(at, length, path[:, i]) for i in range(3)])


def _posts(path, gap: float, height: float, radius: float, paint: Paint) -> Solid:
    feet = _along(path, gap)
    return tubes(feet - [0, 0, 0.3], feet + [0, 0, height + 0.05], radius, paint)


def _panels(start, end, low: float, high: float, paint: Paint) -> Solid:
    up = np.array([0, 0, 1.0])
    return quads(
        np.stack([start + low * up, end + low * up, end + high * up, start + high * up], 1), paint
    )


def _strips(start, end, low: float, high: float, thick: float, paint: Paint) -> Solid:
    """Walls of some thickness between points of the ground."""
    along = end - start
    side = np.stack([-along[:, 1], along[:, 0], 0 * along[:, 0]], 1)
    side *= thick / 2 / (np.linalg.norm(side, axis=1, keepdims=True) + 1e-9)
    up = np.array([0, 0, 1.0])
    left = _panels(start + side, end + side, low, high, paint)
    right = _panels(start - side, end - side, low, high, paint)
    top = np.stack([start + side, end + side, end - side, start - side], 1) + high * up
    ends = [
        np.stack(
            [p + side + low * up, p - side + low * up, p - side + high * up, p + side + high * up],
            1,
        )
        for p in (start, end)
    ]
    return join([left, right, quads(top, paint), quads(np.concatenate(ends), paint)])
