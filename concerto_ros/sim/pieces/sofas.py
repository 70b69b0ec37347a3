# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Sofas: straight, around a corner, reclining; with cushions and blankets.

Builders follow the convention of :mod:`concerto_ros.sim.pieces.furniture`.
"""

from __future__ import annotations

import numpy as np

from concerto_ros.sim.library.in_rooms import or_from_library
from concerto_ros.sim.mesh import (
    Finish,
    Mesh,
    blob,
    box,
    cushion,
    join,
    rod,
    rotation_about,
    sheet,
)
from concerto_ros.sim.names import named
from concerto_ros.sim.pieces.finishes import any_color, upholstery
from concerto_ros.sim.pieces.furniture import BLACK, METAL, Rng, pick, wooden


@or_from_library("sofa")
def couch(rng: Rng, seats: int | None = None) -> Mesh:
    """A sofa of one to four seats; its arms are slim, broad, rolled or missing."""
    cover = upholstery(rng)
    seats = int(rng.choice([1, 2, 3, 3, 4])) if seats is None else seats
    pitch, depth = rng.uniform(0.55, 0.75), rng.uniform(0.78, 1.05)
    seat, back = rng.uniform(0.36, 0.47), rng.uniform(0.66, 1.02)
    low, width = pick(rng, (0.02, 0.06, 0.14)), seats * pitch
    arm = pick(rng, (0.0, rng.uniform(0.06, 0.12), rng.uniform(0.18, 0.3)))
    full, base = width + 2 * arm, seat - rng.uniform(0.1, 0.18)
    parts = [
        box((full, depth, base - low), (0, depth / 2, (base + low) / 2), cover, "sofa"),
        _feet(rng, full, depth, low),
        _back(rng, seats, pitch, full, seat, back, low, cover),
    ]
    one = rng.random() < 0.25  # a single pad over all seats
    count, across = (1, width) if one else (seats, pitch)
    for i in range(count):
        x, deep = (i - (count - 1) / 2) * across, depth - 0.16
        size = (across - 0.01, deep, seat - base + 0.02)
        parts.append(cushion(size, (x, 0.16 + deep / 2, (seat + base) / 2), cover, "sofa", 0.05))
    if arm:
        parts.append(_arm_rests(rng, width, arm, depth, seat, low, cover))
    parts += _loose_pillows(rng, width, seat, back)
    if rng.random() < 0.2:
        parts.append(_throw(rng, width, depth, seat, back))
    return join(*parts).called("armchair" if seats == 1 else "sofa")


def _feet(rng: Rng, width: float, depth: float, tall: float) -> Mesh:
    finish = pick(rng, (BLACK, METAL, wooden(rng)))
    return join(
        *(
            box((0.05, 0.05, tall), (x, y, tall / 2), finish, "sofa")
            for x in (-width / 2 + 0.08, width / 2 - 0.08)
            for y in (0.08, depth - 0.08)
        )
    )


def _back(rng: Rng, seats, pitch, full, seat, back, low, cover: Finish) -> Mesh:
    """A solid back with or without a loose cushion for each seat."""
    solid = back - rng.uniform(0.0, 0.16)
    parts = [cushion((full, 0.2, solid - low), (0, 0.1, (solid + low) / 2), cover, "sofa", 0.05)]
    if rng.random() < 0.75:
        lean = rotation_about("x", rng.uniform(0.1, 0.3))
        tall, square = back - seat + rng.uniform(0.0, 0.06), rng.uniform(0.25, 0.6)
        for i in range(seats):
            x = (i - (seats - 1) / 2) * pitch
            rest = blob((pitch * 0.97, 0.2, tall), (0, 0, 0), cover, "sofa", square)
            parts.append(rest.transformed(lean, (x, 0.25, seat + tall / 2)))
    return join(*parts)


def _arm_rests(rng: Rng, width, arm, depth, seat, low, cover: Finish) -> Mesh:
    tall, rolled = seat + rng.uniform(0.08, 0.28), rng.random() < 0.25
    parts = []
    for x in (-(width + arm) / 2, (width + arm) / 2):
        size = (arm, depth, tall - low)
        parts.append(cushion(size, (x, depth / 2, (tall + low) / 2), cover, "sofa", 0.04))
        if rolled:
            radius = max(0.07, arm * 0.6)
            parts.append(rod((x, 0.02, tall), (x, depth, tall), radius, cover, "sofa", 14))
    return join(*parts)


def _loose_pillows(rng: Rng, width: float, seat: float, back: float) -> list[Mesh]:
    pillows = []
    for _ in range(int(rng.choice([0, 0, 1, 2, 3]))):
        size = rng.uniform(0.34, 0.52)
        finish = pick(rng, (upholstery(rng), any_color(rng, "fabric"), any_color(rng, "pattern")))
        one = blob((size, 0.15, size), (0, 0, 0), finish, "sofa", 0.55)
        turn = rotation_about("z", rng.normal(0, 0.4)) @ rotation_about("x", rng.uniform(0.2, 0.5))
        x = rng.uniform(-0.5, 0.5) * max(0.0, width - size)
        pillows.append(one.transformed(turn, (x, 0.42, min(seat + size / 2 + 0.02, back))))
    return pillows


def _throw(rng: Rng, width: float, depth: float, seat: float, back: float) -> Mesh:
    """A blanket over the back that lies on the seat and hangs down in front."""
    wide = min(rng.uniform(0.5, 1.0), width)
    x = rng.uniform(-0.5, 0.5) * (width - wide)
    side = np.array([(-0.02, back * 0.6), (-0.02, back + 0.02), (0.2, back + 0.03),
                     (0.4, seat + 0.08), (depth - 0.05, seat + 0.05), (depth + 0.02, seat),
                     (depth + 0.02, seat - rng.uniform(0.1, 0.3))])  # fmt: skip
    across = np.linspace(0, 1, 8)
    points = np.empty((8, len(side), 3))
    points[..., 0] = x + wide * (across[:, None] - 0.5)
    points[..., 1:] = side
    points[..., 2] += 0.008 * np.sin(9 * across + rng.uniform(0, 6))[:, None]
    return sheet(points, any_color(rng, pick(rng, ("fabric", "stripes", "pattern"))), "sofa")


@named("corner sofa")
@or_from_library("sofa")
def corner_sofa(rng: Rng) -> Mesh:
    """A sofa around a corner, or one with a long seat at one end."""
    cover, seats = upholstery(rng), int(rng.integers(2, 4))
    pitch, depth = rng.uniform(0.6, 0.75), rng.uniform(0.85, 1.0)
    seat, back, low = rng.uniform(0.38, 0.46), rng.uniform(0.66, 0.9), pick(rng, (0.02, 0.08))
    width, reach = seats * pitch, rng.uniform(0.6, 1.3)
    with_back = rng.random() < 0.55
    x = width / 2 - depth / 2
    parts = [
        cushion((width, depth, seat - low), (0, depth / 2, (seat + low) / 2), cover, "sofa", 0.05),
        cushion(
            (depth, reach, seat - low),
            (x, depth + reach / 2, (seat + low) / 2),
            cover,
            "sofa",
            0.05,
        ),
        cushion((width, 0.2, back - low), (0, 0.1, (back + low) / 2), cover, "sofa", 0.05),
        _feet(rng, width, depth, low),
        _feet(rng, depth, reach, low).placed(x, depth),
    ]
    if with_back:
        long = depth + reach
        size = (0.2, long, back - low)
        parts.append(
            cushion(size, (width / 2 - 0.1, long / 2, (back + low) / 2), cover, "sofa", 0.05)
        )
    if rng.random() < 0.7:
        tall = seat + rng.uniform(0.1, 0.25)
        size = (0.18, depth, tall - low)
        at = (-width / 2 - 0.08, depth / 2, (tall + low) / 2)
        parts.append(cushion(size, at, cover, "sofa", 0.05))
    parts += _loose_pillows(rng, width, seat, back)
    return join(*parts)


@named("recliner")
@or_from_library("armchair")
def recliner(rng: Rng) -> Mesh:
    """A bulky seat for one; one time in three it is laid back with its foot rest out."""
    cover, width, depth = upholstery(rng), rng.uniform(0.5, 0.6), rng.uniform(0.8, 0.95)
    seat, rise, arm = rng.uniform(0.42, 0.48), rng.uniform(0.55, 0.7), rng.uniform(0.14, 0.22)
    laid = rng.random() < 0.33
    lean = rng.uniform(0.5, 0.9) if laid else rng.uniform(0.1, 0.25)
    start = 0.2 + rise * np.sin(lean) if laid else 0.22
    parts = [
        box(
            (width, depth - 0.2, seat - 0.16),
            (0, start + depth / 2 - 0.1, seat / 2),
            cover,
            "sofa",
        ),
        cushion(
            (width, depth - 0.2, 0.18), (0, start + depth / 2 - 0.1, seat - 0.04), cover, "sofa"
        ),
        cushion((width, 0.2, rise + 0.2), (0, 0, rise / 2 - 0.05), cover, "sofa").transformed(
            rotation_about("x", lean), (0, start, seat)
        ),
        blob((width * 0.9, 0.2, 0.25), (0, 0.06, rise - 0.05), cover, "sofa", 0.5).transformed(
            rotation_about("x", lean), (0, start, seat)
        ),
    ]
    for x in (-(width + arm) / 2, (width + arm) / 2):
        tall = seat + 0.17
        parts.append(
            cushion(
                (arm, depth, tall - 0.02),
                (x, start + depth / 2 - 0.15, tall / 2 + 0.01),
                cover,
                "sofa",
                0.07,
            )  # fmt: skip
        )
    if laid:
        at = (0, start + depth + 0.05, seat - 0.06)
        parts.append(cushion((width, 0.45, 0.12), at, cover, "sofa"))
        post = (0, start + depth - 0.25, 0.2)
        parts.append(rod(post, (0, at[1], at[2] - 0.05), 0.02, METAL, "sofa", 6))
    return join(*parts)


#: All builds.
SOFAS = (couch, couch, couch, corner_sofa, recliner)
