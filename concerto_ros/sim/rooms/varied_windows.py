# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Windows with one to four panes, curtains in folds, blinds; and walls of glass. All are wall."""

from __future__ import annotations

import numpy as np

from concerto_ros.sim.mesh import Finish, Mesh, box, join, patch, rod, sheet
from concerto_ros.sim.pieces.beds import drape
from concerto_ros.sim.pieces.finishes import any_color, linen
from concerto_ros.sim.pieces.furniture import BLACK, METAL, Rng, cloth, pick, wooden
from concerto_ros.sim.rooms.openings import FRAME, Opening, casing, lining, window


def varied_window(hole: Opening, rng: Rng) -> Mesh:
    """Build a window in a hole of a wall, in the wall's frame: x along it, y into the room."""
    if hole.low > 0 and rng.random() < 0.3:
        return window(hole, rng)  # its curtains hang below the sill
    deep = rng.uniform(0.06, 0.3)
    frame = pick(rng, (FRAME, FRAME, wooden(rng), BLACK, METAL))
    parts = [_panes(hole, rng, deep, frame), lining(hole, deep, FRAME, "wall")]
    if rng.random() < 0.6:
        parts.append(casing(hole, "wall", hole.low > 0 and rng.random() < 0.7, frame, 0.06, 0.02))
    if rng.random() < 0.3:
        parts.append(_blind(hole, rng, deep).called("blind"))
    if rng.random() < 0.5:
        parts.append(_curtains(hole, rng).called("curtain"))
    return join(*parts).called("window")


def _panes(hole: Opening, rng: Rng, deep: float, frame: Finish) -> Mesh:
    """Glass with what is outside, in one to four columns and one to three rows."""
    wide, tall = hole.end - hole.start, hole.high - hole.low
    mid, up = (hole.start + hole.end) / 2, (hole.low + hole.high) / 2
    glow, tone = rng.uniform(0.7, 1.2), rng.uniform((0.6, 0.7, 0.7), (0.95, 0.98, 1.0))
    outside = Finish(tuple(tone), pick(rng, ("plain", "plain", "picture")), glow=glow)
    if rng.random() < 0.2:  # at night
        outside = Finish((0.06, 0.07, 0.09))
    parts = [patch((hole.end, -deep, hole.low), (-wide, 0, 0), (0, 0, tall), outside, "wall")]
    bar, y = rng.uniform(0.03, 0.07), -deep + 0.02
    columns, rows = (
        int(rng.integers(1, max(2, min(5, int(wide / 0.45))))),
        int(rng.choice([1, 1, 2, 3])),
    )
    for x in np.linspace(hole.start + bar / 2, hole.end - bar / 2, columns + 1):
        parts.append(box((bar, 0.05, tall), (x, y, up), frame, "wall"))
    for z in np.linspace(hole.low + bar / 2, hole.high - bar / 2, rows + 1):
        parts.append(box((wide, 0.05, bar), (mid, y, z), frame, "wall"))
    return join(*parts)


def _blind(hole: Opening, rng: Rng, deep: float) -> Mesh:
    """A roller blind or slats, level or upright, in the hole or before it, more or less drawn."""
    wide, tall = hole.end - hole.start, hole.high - hole.low
    mid, y = (hole.start + hole.end) / 2, pick(rng, (-deep * 0.4, 0.035))
    finish = pick(rng, (Finish((0.9, 0.9, 0.88)), linen(rng), cloth(rng), any_color(rng)))
    drop = tall * rng.uniform(0.2, 1.0)
    top, style = hole.high - 0.02, rng.integers(3)
    head = box((wide - 0.02, 0.05, 0.05), (mid, y, top), finish, "wall")
    if style == 0:
        corner = (hole.end - 0.01, y, top - drop)
        cloth_ = patch(corner, (0.02 - wide, 0, 0), (0, 0, drop), finish, "wall")
        return join(head, cloth_)
    if style == 1:  # level slats: a zigzag, with a row of points for each edge of a slat
        rows = max(4, int(drop / 0.045)) * 2
        z = np.linspace(top - drop, top, rows)
        points = np.empty((int(wide / 0.3) + 2, rows, 3))
        points[..., 0] = np.linspace(hole.end - 0.01, hole.start + 0.01, len(points))[:, None]
        points[..., 1] = y + 0.012 * (-1.0) ** np.arange(rows)
        points[..., 2] = z
        return join(head, sheet(points, finish, "wall"))
    columns = max(4, int(wide / 0.09)) * 2
    points = np.empty((columns, 6, 3))
    points[..., 0] = np.linspace(hole.end - 0.01, hole.start + 0.01, columns)[:, None]
    points[..., 1] = y + 0.025 * (-1.0) ** np.arange(columns)[:, None]
    points[..., 2] = np.linspace(hole.low + 0.01, top, 6)
    return join(head, sheet(points, finish, "wall"))


def _curtains(hole: Opening, rng: Rng) -> Mesh:
    """Curtains in folds on a rail, drawn aside or closed, to the sill or to the floor."""
    finish = pick(rng, (linen(rng), cloth(rng), cloth(rng), any_color(rng, "pattern")))
    high = hole.high + rng.uniform(0.05, 0.25)
    low = 0.02 if rng.random() < 0.6 else max(0.02, hole.low - rng.uniform(0.05, 0.3))
    beside = rng.uniform(0.08, 0.3)
    start, end = hole.start - beside, hole.end + beside
    y, closed = rng.uniform(0.06, 0.13), rng.random() < 0.25
    share = 0.5 if closed else rng.uniform(0.1, 0.3)
    parts = [rod((start, y, high + 0.01), (end, y, high + 0.01), 0.012, METAL, "wall", 6)]
    across = (end - start) * share
    for middle in (start + across / 2, end - across / 2)[: 1 + int(rng.random() < 0.85)]:
        hung = drape(rng, across, high - low, finish, "wall")
        parts.append(hung.placed(middle, y, low))
    return join(*parts)


def glass_wall(length: float, height: float, holes: list[Opening], rng: Rng) -> Mesh:
    """Build a wall of panes between posts, floor to ceiling, in its frame, round its holes."""
    tone = rng.uniform(0.35, 0.85)
    glass = Finish((tone, tone * 1.03, tone * 1.05), pick(rng, ("plain", "plain", "stripes")))
    post, size = pick(rng, (METAL, BLACK, FRAME, wooden(rng))), rng.uniform(0.03, 0.08)
    stretches, at = [], 0.0
    for hole in [*holes, None]:
        stretches.append((at, hole.start if hole else length, 0.0, height))
        if hole:
            stretches.append((hole.start, hole.end, hole.high, height))
            at = hole.end
    rail = rng.uniform(0.9, 1.1) if rng.random() < 0.4 else None
    parts = []
    for start, end, low, high in stretches:
        if end - start < 0.02 or high - low < 0.02:
            continue
        mid, wide = (start + end) / 2, end - start
        parts.append(patch((end, 0.0, low), (-wide, 0, 0), (0, 0, high - low), glass, "wall"))
        for x in np.linspace(start + size / 2, end - size / 2, max(2, round(wide / 1.1) + 1)):
            up = (low + high) / 2
            parts.append(box((size, 0.06, high - low), (x, 0.01, up), post, "wall"))
        levels = [low + size / 2, high - size / 2]
        if rail and low < rail < high:
            levels.append(rail)
        for z in levels:
            parts.append(box((wide, 0.05, size), (mid, 0.01, z), post, "wall"))
    return join(*parts).called("glass wall")
