# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Toilets, basins, tubs and showers: all of it other, but shower curtains and panes are wall.

Builders follow the convention of :mod:`concerto_ros.sim.pieces.furniture`.
"""

from __future__ import annotations

import numpy as np

from concerto_ros.sim.library.in_rooms import or_from_library
from concerto_ros.sim.mesh import Finish, Mesh, blob, box, cushion, join, lathe, patch, rod
from concerto_ros.sim.names import named
from concerto_ros.sim.pieces.beds import drape
from concerto_ros.sim.pieces.cabinets import fronts
from concerto_ros.sim.pieces.clothes import garment
from concerto_ros.sim.pieces.finishes import any_color, lacquer, linen
from concerto_ros.sim.pieces.furniture import METAL, Rng, pick

CERAMIC = Finish((0.94, 0.94, 0.93))


@named("toilet")
@or_from_library("toilet")
def toilet(rng: Rng) -> Mesh:
    """A toilet with a cistern, or hung from the wall; its lid is up or down."""
    seat, wide, deep = rng.uniform(0.38, 0.44), rng.uniform(0.34, 0.4), rng.uniform(0.5, 0.58)
    cistern, start = rng.random() < 0.65, 0.02
    parts = []
    if cistern:
        start = 0.18
        tall = rng.uniform(0.3, 0.4)
        size = (rng.uniform(0.36, 0.46), 0.17, tall)
        parts.append(cushion(size, (0, 0.09, seat + tall / 2), CERAMIC, "other", 0.03))
    bowl = (wide, deep, 0.3)
    low = 0.0 if cistern else 0.12
    parts.append(blob(bowl, (0, start + deep / 2, seat - 0.14), CERAMIC, "other", 0.7))
    if low == 0.0:
        at = (0, start + deep * 0.42, seat * 0.4)
        parts.append(cushion((wide * 0.6, deep * 0.75, seat * 0.8), at, CERAMIC, "other", 0.05))
    lid = pick(rng, (CERAMIC, CERAMIC, any_color(rng)))
    if rng.random() < 0.7:
        at = (0, start + deep / 2, seat + 0.02)
        parts.append(blob((wide, deep, 0.05), at, lid, "other", 0.7))
    else:
        at = (0, start + 0.04, seat + 0.2)
        parts.append(blob((wide, 0.05, 0.42), at, lid, "other", 0.7))
    return join(*parts)


@named("washbasin")
@or_from_library("washbasin")
def basin(rng: Rng) -> Mesh:
    """A basin on a column or on a cabinet, with a tap."""
    top, wide, deep = rng.uniform(0.8, 0.9), rng.uniform(0.42, 1.1), rng.uniform(0.38, 0.52)
    parts = []
    if rng.random() < 0.55:
        finish, columns = lacquer(rng), max(1, round(wide / 0.5))
        low = pick(rng, (0.02, 0.02, 0.35))
        body = (wide, deep - 0.02, top - 0.15 - low)
        parts.append(box(body, (0, deep / 2, low + body[2] / 2), finish, "cabinet"))
        field = fronts(rng, wide - 0.02, low + 0.02, top - 0.16, columns, 1, finish)
        parts.append(field.placed(0, deep - 0.01))
    else:
        wide = min(wide, 0.65)
        parts.append(rod((0, deep / 2, 0), (0, deep / 2, top - 0.13), 0.08, CERAMIC, "other", 12))
    rim = [(box((wide, 0.05, 0.14), (0, y, top - 0.07), CERAMIC, "other")) for y in (0.04, deep)]
    rim += [
        box((0.05, deep, 0.14), (x, deep / 2 + 0.02, top - 0.07), CERAMIC, "other")
        for x in (-wide / 2 + 0.025, wide / 2 - 0.025)
    ]
    parts += [*rim, box((wide, deep, 0.02), (0, deep / 2, top - 0.13), CERAMIC, "other")]
    parts.append(rod((0, 0.05, top), (0, 0.05, top + 0.14), 0.014, METAL, "other", 6))
    parts.append(rod((0, 0.05, top + 0.14), (0, 0.18, top + 0.12), 0.012, METAL, "other", 6))
    if rng.random() < 0.7:  # a mirror on the wall above is wall, as a picture is
        tone, high = rng.uniform(0.45, 0.8), rng.uniform(0.5, 0.9)
        mirror = Finish((tone, tone * 1.02, tone * 1.03))
        across = wide * rng.uniform(0.6, 1.0)
        corner = (across / 2, 0.012, top + 0.3)
        glass = patch(corner, (-across, 0, 0), (0, 0, high), mirror, "wall")
        parts.append(glass.called("mirror"))
    return join(*parts)


@named("bathtub")
@or_from_library("bath")
def bathtub(rng: Rng) -> Mesh:
    """A tub along the wall, one time in three with a shower curtain."""
    long, wide, tall = rng.uniform(1.5, 1.8), rng.uniform(0.68, 0.8), rng.uniform(0.45, 0.6)
    rim = rng.uniform(0.05, 0.09)
    parts = [box((long - 2 * rim, wide - 2 * rim, 0.03), (0, wide / 2, 0.12), CERAMIC, "other")]
    for y in (rim / 2, wide - rim / 2):
        parts.append(box((long, rim, tall), (0, y, tall / 2), CERAMIC, "other"))
    for x in (-(long - rim) / 2, (long - rim) / 2):
        parts.append(box((rim, wide, tall), (x, wide / 2, tall / 2), CERAMIC, "other"))
    x = pick(rng, (-1, 1)) * (long / 2 - 0.1)
    parts.append(rod((x, 0.05, tall), (x, 0.05, tall + 0.2), 0.014, METAL, "other", 6))
    if rng.random() < 0.35:
        parts += _curtain(rng, long, wide, 0.15)
    return join(*parts)


def _curtain(rng: Rng, long: float, wide: float, low: float) -> list[Mesh]:
    cloth = pick(rng, (linen(rng), any_color(rng, "pattern"), any_color(rng)))
    across, high = long * rng.uniform(0.2, 1.0), rng.uniform(1.85, 2.05)
    x = pick(rng, (-1, 1)) * (long - across) / 2
    hung = drape(rng, across, high - low, cloth, "wall")
    ends = ((-long / 2, wide, high), (long / 2, wide, high))
    rail = rod(*ends, 0.014, METAL, "wall", 6)
    return [part.called("shower curtain") for part in (hung.placed(x, wide, low), rail)]


@named("shower")
def shower(rng: Rng) -> Mesh:
    """A tray with a head on a rail, behind panes of glass or a curtain."""
    wide, deep = rng.uniform(0.75, 1.2), rng.uniform(0.75, 0.95)
    tone, high = rng.uniform(0.55, 0.85), rng.uniform(1.85, 2.05)
    glass = Finish((tone, tone * 1.03, tone * 1.04))
    parts = [
        box((wide, deep, 0.08), (0, deep / 2, 0.04), CERAMIC, "other"),
        rod((0.1, 0.05, 0.9), (0.1, 0.05, 2.0), 0.012, METAL, "other", 6),
        lathe([(0.0, 0), (0.09, 0.0), (0.09, 0.02), (0, 0.03)], (0.1, 0.25, 1.97), METAL, "other"),
        rod((0.1, 0.05, 2.0), (0.1, 0.25, 1.99), 0.01, METAL, "other", 6),
    ]
    if rng.random() < 0.35:
        return join(*parts, *_curtain(rng, wide, deep, 0.1))
    for x in (-wide / 2, wide / 2):
        parts.append(box((0.012, deep, high), (x, deep / 2, high / 2), glass, "wall"))
        parts.append(box((0.03, 0.03, high), (x, deep, high / 2), METAL, "wall"))
    if rng.random() < 0.6:
        at = (-wide / 4, deep, high / 2 + 0.04)
        parts.append(box((wide / 2, 0.012, high - 0.08), at, glass, "wall"))
    return join(*parts)


@named("towel")
def towel_rail(rng: Rng) -> Mesh:
    """A rail with towels, to be hung on a wall; the rail is at z = 0."""
    wide = rng.uniform(0.4, 0.8)
    towels = [
        garment(rng).placed(x, 0.03)
        for x in np.linspace(-wide / 3, wide / 3, int(rng.integers(1, 4)))
    ]
    return join(rod((-wide / 2, 0.06, 0), (wide / 2, 0.06, 0), 0.012, METAL, "other", 6), *towels)
