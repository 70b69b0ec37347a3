# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What stands in the varied rooms: for each purpose one of many builds, with things on it."""

from __future__ import annotations

import numpy as np

from concerto_ros.sim.mesh import Finish, Mesh, join
from concerto_ros.sim.pieces import (
    beds,
    cabinets,
    clothes,
    furniture,
    seating,
    small_objects,
    sofas,
    storage,
)
from concerto_ros.sim.pieces import office_furniture as office
from concerto_ros.sim.pieces.furniture import Rng, pick
from concerto_ros.sim.rooms.layout import things_on
from concerto_ros.sim.rooms.wall_surfaces import paint


def sofa(rng: Rng) -> Mesh:
    """A sofa of any build, one time in eight with clothes or a bag on it."""
    piece = pick(rng, (furniture.sofa, furniture.sofa, *sofas.SOFAS))(rng)
    return littered(rng, piece, 0.12, clothes.ON_SEATS, 0.6)


def bed(rng: Rng) -> Mesh:
    """A bed of any build, one time in four with clothes or bags on it."""
    piece = pick(rng, (furniture.bed, furniture.bed, *beds.BEDS))(rng)
    return littered(rng, piece, 0.25, clothes.ON_SEATS, 0.7)


def side_chair(rng: Rng) -> Mesh:
    """A chair for a table or for visitors."""
    builds = (furniture.chair, office.visitor_chair, *seating.SIDE_CHAIRS)
    return littered(rng, pick(rng, builds)(rng), 0.05, clothes.ON_SEATS, 0.5)


def desk_chair(rng: Rng) -> Mesh:
    """A chair for a desk, two times in three one on castors."""
    builds = (furniture.office_chair, office.visitor_chair, furniture.chair, *seating.DESK_CHAIRS)
    return littered(rng, pick(rng, builds)(rng), 0.08, clothes.ON_SEATS, 0.5)


def easy_chair(rng: Rng) -> Mesh:
    """A low armchair, a bench, a recliner, or a stool for the feet."""
    return pick(rng, (*seating.EASY_CHAIRS, sofas.recliner, seating.footstool))(rng)


def low_cabinet(rng: Rng) -> Mesh:
    """A cabinet below breast height, with up to four things on it."""
    piece = pick(rng, (office.pedestal, *cabinets.LOW_CABINETS))(rng)
    (x0, y0, _), (x1, y1, top) = piece.bounds()
    things = (*small_objects.ON_TABLE, office.printer, clothes.folded_clothes)
    count = int(rng.integers(0, 5))
    return join(piece, *things_on(rng, (x0, y0, x1, y1), float(top), count, things))


def high_cabinet(rng: Rng) -> Mesh:
    """A wardrobe or a shelf."""
    builds = (furniture.cupboard, furniture.bookshelf, storage.full_shelf, storage.full_shelf,
              office.open_rack)  # fmt: skip
    return pick(rng, (*builds, *cabinets.HIGH_CABINETS))(rng)


def closet(rng: Rng, height: float, longest: float) -> Mesh:
    """A closet up to a ceiling of that height, at most ``longest`` metres wide."""
    width = rng.uniform(0.6, max(0.7, min(3.5, longest)))
    return cabinets.closet(rng, width, height - 0.01, Finish(paint(rng)))


def littered(rng: Rng, piece: Mesh, chance: float, things, reach: float) -> Mesh:
    """With a chance, lay one or two things on a seat or bed, within ``reach`` of its outline.

    A thing lies on the highest point below it, so that it never floats.
    """
    if rng.random() > chance:
        return piece
    parts = [piece]
    (x0, y0, _), (x1, y1, _) = piece.bounds()
    for _ in range(int(rng.integers(1, 3))):
        thing = pick(rng, things)(rng)
        low, high = thing.bounds()
        middle = (low + high) / 2
        x = (x0 + x1) / 2 + rng.uniform(-0.5, 0.5) * reach * (x1 - x0) * 0.7
        y = (y0 + y1) / 2 + rng.uniform(0.0, 0.5) * reach * (y1 - y0) * 0.7
        z = resting_height(piece, x, y, min(0.15, float(high[0] - low[0]) / 2))
        parts.append(thing.placed(x - middle[0], y - middle[1], z - 0.01))
    return join(*parts)


def resting_height(piece: Mesh, x: float, y: float, radius: float) -> float:
    """Return the height, metres, of the highest corner within ``radius`` of (x, y), else 0."""
    points = piece.corners.reshape(-1, 3)
    near = np.hypot(points[:, 0] - x, points[:, 1] - y) < radius
    return float(points[near, 2].max()) if near.any() else 0.0
