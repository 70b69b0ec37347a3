# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Holes in walls, the boards round them, and windows."""

from __future__ import annotations

from dataclasses import dataclass

from concerto_ros.sim.mesh import Finish, Mesh, box, join, patch
from concerto_ros.sim.pieces.furniture import METAL, Rng, cloth

FRAME = Finish((0.93, 0.93, 0.91))


@dataclass(frozen=True)
class Opening:
    """A hole in wall number ``wall``: ``start`` to ``end`` along it, ``low`` to ``high`` up it."""

    wall: int
    start: float
    end: float
    low: float
    high: float
    kind: str


def casing(
    hole: Opening,
    label: str,
    with_sill: bool,
    finish: Finish = FRAME,
    width: float = 0.07,
    proud: float = 0.03,
) -> Mesh:
    """Boards ``width`` wide on the wall round a hole, ``proud`` metres thick."""
    wide, tall, mid = hole.end - hole.start, hole.high - hole.low, (hole.start + hole.end) / 2
    half, y = width / 2, proud / 2
    head = (wide + 2 * width, proud, width)
    parts = [box(head, (mid, y, hole.high + half), finish, label)]
    for x in (hole.start - half, hole.end + half):
        parts.append(box((width, proud, tall), (x, y, hole.low + tall / 2), finish, label))
    if with_sill:
        parts.append(box((wide + 0.2, 0.14, 0.03), (mid, 0.05, hole.low - 0.015), finish, label))
    return join(*parts)


def lining(hole: Opening, depth: float, finish: Finish, label: str) -> Mesh:
    """The inner faces of a hole that goes ``depth`` into the wall."""
    wide, tall = hole.end - hole.start, hole.high - hole.low
    low_left, low_right = (hole.start, -depth, hole.low), (hole.end, -depth, hole.low)
    top_left = (hole.start, -depth, hole.high)
    return join(
        patch(low_left, (0, depth, 0), (0, 0, tall), finish, label),
        patch(low_right, (0, 0, tall), (0, depth, 0), finish, label),
        patch(top_left, (0, depth, 0), (wide, 0, 0), finish, label),
        patch(low_left, (wide, 0, 0), (0, depth, 0), finish, label),
    )


def window(hole: Opening, rng: Rng) -> Mesh:
    """A bright pane with a cross bar, a sill, and curtains one time in two; it counts as wall."""
    wide, tall = hole.end - hole.start, hole.high - hole.low
    mid, up = (hole.start + hole.end) / 2, (hole.low + hole.high) / 2
    pane = Finish((0.86, 0.92, 0.98), "plain", glow=1.15)
    corner = (hole.end, -0.14, hole.low)
    parts = [
        patch(corner, (-wide, 0, 0), (0, 0, tall), pane, "wall"),
        box((0.05, 0.05, tall), (mid, -0.12, up), FRAME, "wall"),
        box((wide, 0.05, 0.05), (mid, -0.12, hole.low + 0.025), FRAME, "wall"),
        box((wide, 0.05, 0.05), (mid, -0.12, hole.high - 0.025), FRAME, "wall"),
        lining(hole, 0.14, FRAME, "wall"),
        casing(hole, "wall", hole.low > 0),
    ]
    parts = [part.called("window") for part in parts]
    if rng.random() < 0.5:
        finish, drop = (
            cloth(rng),
            hole.high + 0.1 - (0.05 if rng.random() < 0.5 else hole.low - 0.1),
        )
        for side in (-1, 1):
            for fold in range(4):
                x = mid + side * (wide / 2 + 0.12 - 0.07 * fold)
                middle = (x, 0.08 + 0.025 * (fold % 2), hole.high + 0.1 - drop / 2)
                parts.append(box((0.07, 0.03, drop), middle, finish, "wall"))
        rail = (mid, 0.09, hole.high + 0.11)
        parts.append(box((wide + 0.5, 0.025, 0.025), rail, METAL, "wall"))
    return join(*parts).called("curtain")
