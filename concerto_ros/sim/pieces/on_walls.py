# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What hangs on walls: mirrors, posters, boards, rows of pictures, switches, clocks, pipes.

Builders make pieces whose back is the plane y = 0 and whose middle is at z = 0. What is flat is
wall, as a picture is; pipes and boxes are other.
"""

from __future__ import annotations

import numpy as np

from concerto_ros.sim.mesh import Finish, Mesh, box, join, lathe, patch, rod
from concerto_ros.sim.names import named
from concerto_ros.sim.pieces.finishes import WHITE, any_color
from concerto_ros.sim.pieces.furniture import BLACK, METAL, Rng, pick, wooden
from concerto_ros.sim.pieces.small_objects import picture


@named("mirror")
def mirror(rng: Rng) -> Mesh:
    """A mirror, of a head's or a person's height, with or without a frame."""
    wide, tall = rng.uniform(0.35, 1.2), rng.uniform(0.4, 1.5)
    tone = rng.uniform(0.4, 0.85)
    glass = Finish((tone, tone * 1.02, tone * 1.03))
    corner = (wide / 2, 0.022, -tall / 2)
    parts = [patch(corner, (-wide, 0, 0), (0, 0, tall), glass, "wall")]
    if rng.random() < 0.7:
        edge, finish = rng.uniform(0.03, 0.08), pick(rng, (wooden(rng), METAL, BLACK, WHITE))
        size = (wide + 2 * edge, 0.02, tall + 2 * edge)
        parts.append(box(size, (0, 0.01, 0), finish, "wall"))
    return join(*parts)


@named("poster")
def poster(rng: Rng) -> Mesh:
    """A sheet without a frame: a poster, a map, a calendar, a notice."""
    wide, tall = rng.uniform(0.2, 1.2), rng.uniform(0.28, 1.0)
    face = Finish(any_color(rng).color, pick(rng, ("picture", "text", "plain")))
    corner = (wide / 2, 0.006, -tall / 2)
    return patch(corner, (-wide, 0, 0), (0, 0, tall), face, "wall")


def gallery(rng: Rng) -> Mesh:
    """Two to six pictures side by side and one above the other."""
    pitch = rng.uniform(0.5, 0.8)
    columns, rows = int(rng.integers(1, 4)), int(rng.integers(1, 3))
    parts = []
    for i in range(columns):
        for j in range(rows):
            one = picture(rng).transformed(np.diag((0.75, 1.0, 0.75)), (0, 0, 0))
            parts.append(
                one.placed((i - (columns - 1) / 2) * pitch, 0, (j - (rows - 1) / 2) * pitch)
            )
    return join(*parts)


@named("notice board")
def notice_board(rng: Rng) -> Mesh:
    """A board with papers pinned to it."""
    wide, tall = rng.uniform(0.6, 1.8), rng.uniform(0.5, 1.2)
    felt = pick(rng, (Finish((0.66, 0.50, 0.34)), any_color(rng, "fabric")))
    parts = [box((wide, 0.02, tall), (0, 0.01, 0), felt, "wall")]
    for _ in range(int(rng.integers(2, 10))):
        size = rng.uniform(0.1, 0.3, 2)
        x, z = rng.uniform(-0.5, 0.5, 2) * (wide - size[0], tall - size[1])
        paper = Finish(pick(rng, ((0.95, 0.95, 0.93), any_color(rng).color)), "text")
        corner = (x + size[0] / 2, 0.023 + 0.001 * len(parts), z - size[1] / 2)
        parts.append(patch(corner, (-size[0], 0, 0), (0, 0, size[1]), paper, "wall"))
    return join(*parts)


@named("clock")
def clock(rng: Rng) -> Mesh:
    """A round clock."""
    radius, rim = rng.uniform(0.1, 0.22), pick(rng, (BLACK, METAL, WHITE, any_color(rng)))
    face = lathe([(radius, 0), (radius, 0.04), (0, 0.04)], (0, 0, 0), rim, "wall", 20)
    turn = np.array([[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]])
    return face.transformed(turn, (0, 0, 0))


def fittings(rng: Rng) -> Mesh:
    """A few switches and sockets, or a fuse box or a dispenser."""
    if rng.random() < 0.5:
        plate = [
            box((0.08, 0.012, 0.08), (0.09 * i, 0.006, -0.3), WHITE, "wall")
            for i in range(int(rng.integers(1, 4)))
        ]
        return join(*plate).called("light switch")
    size = rng.uniform((0.2, 0.08, 0.25), (0.6, 0.18, 0.7))
    finish = pick(rng, (WHITE, METAL, any_color(rng)))
    return box(size, (0, size[1] / 2, 0), finish, "other").called("fuse box")


@named("pipe")
def pipes(rng: Rng, height: float) -> Mesh:
    """One to four pipes from floor to ceiling before a wall."""
    finish = pick(rng, (WHITE, METAL, any_color(rng)))
    high, parts, x = height - 0.01, [], 0.0
    for _ in range(int(rng.integers(1, 5))):
        radius = rng.uniform(0.012, 0.06)
        parts.append(rod((x, 0.07, 0.0), (x, 0.07, high), radius, finish, "other", 10))
        x += 2 * radius + rng.uniform(0.04, 0.15)
    return join(*parts)


#: What hangs on walls, by how often.
ON_WALLS = (picture, picture, gallery, poster, poster, mirror, notice_board, clock, fittings)
