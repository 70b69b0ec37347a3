# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Rows of books on the boards of shelves; they count as the shelf that they stand in."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from concerto_ros.sim.mesh import Finish, Mesh, join, patch

Rng = np.random.Generator


def stocked(shelf: Mesh, rng: Rng) -> Mesh:
    """Put rows of books on most boards of a shelf that is open at the front.

    Boards are where much of the outline faces up at one height, with space above.
    """
    low, high = shelf.bounds()
    width, depth, _ = (high - low).tolist()
    edge = shelf.corners[:, 1:] - shelf.corners[:, :1]
    up = np.cross(edge[:, 0], edge[:, 1])[:, 2] / 2
    rows = (shelf.corners[..., 2].max(1) // 0.02).astype(int)
    area = np.bincount(rows[up > 0], up[up > 0], minlength=rows.max() + 1)
    boards = 0.02 * (np.flatnonzero(area > 0.35 * width * depth) + 1)
    parts = [shelf]
    for board, above in pairwise([*boards.tolist(), float(high[2])]):
        if 0.15 < above - board < 0.6 and rng.random() < 0.75:
            start, end = sorted(rng.uniform(low[0] + 0.04, high[0] - 0.04, 2).tolist())
            parts += row_of_books(rng, start, end, board, above - board - 0.02, 0.9 * depth)
    return join(*parts)


def row_of_books(
    rng: Rng, x: float, end: float, z: float, pitch: float, depth: float
) -> list[Mesh]:
    """Stand books in a row from ``x`` to ``end`` at height ``z``, in a space ``pitch`` high."""
    books = []
    while x < end - 0.06:
        thick, tall = rng.uniform(0.015, 0.05), pitch * rng.uniform(0.55, 0.85)
        deep = depth * rng.uniform(0.55, 0.8)
        place = (x + thick / 2, 0.02 + deep / 2, z + tall / 2)
        cover = Finish(tuple(rng.uniform(0.15, 0.85, 3)))
        # A book is a box in a row of boxes: its back, top and the rows' ends are what shows.
        books.append(_book(thick, deep, tall, place, cover))
        x += thick + 0.002
    return books


def _book(thick: float, deep: float, tall: float, center, cover: Finish) -> Mesh:
    x, y, z = center
    front = (x + thick / 2, y + deep / 2, z - tall / 2)
    top = (x - thick / 2, y - deep / 2, z + tall / 2)
    right = (x + thick / 2, y - deep / 2, z - tall / 2)
    return join(
        patch(front, (-thick, 0, 0), (0, 0, tall), cover, "cabinet", 1.0),
        patch(top, (thick, 0, 0), (0, deep, 0), Finish((0.9, 0.88, 0.8)), "cabinet", 1.0),
        patch(right, (0, deep, 0), (0, 0, tall), cover, "cabinet", 1.0),
    )
