# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Beds with head- and footboards, bunks, four-posters, cots and mattresses, made or not.

Builders follow the convention of :mod:`concerto_ros.sim.pieces.furniture`: the head end is at the
back. Frame, mattress, pillows, blankets and the cloth of a canopy are all bed.
"""

from __future__ import annotations

import numpy as np

from concerto_ros.sim.library.in_rooms import or_from_library
from concerto_ros.sim.mesh import Finish, Mesh, blob, box, cushion, join, rod, sheet
from concerto_ros.sim.names import named
from concerto_ros.sim.pieces.finishes import any_color, lacquer, linen, metal, upholstery
from concerto_ros.sim.pieces.furniture import Rng, pick, wooden


@named("bed")
@or_from_library("bed")
def framed_bed(rng: Rng) -> Mesh:
    """A bed of 0.8 to 2 m with a head board, a foot board three times in five, and a cover."""
    width, length = pick(rng, (0.85, 0.95, 1.2, 1.4, 1.6, 1.85)), rng.uniform(1.95, 2.15)
    width += rng.uniform(-0.05, 0.08)
    finish = pick(rng, (lacquer(rng), lacquer(rng), upholstery(rng), metal(rng)))
    top, low = rng.uniform(0.36, 0.68), rng.uniform(0.02, 0.2)
    parts = [
        box((width + 0.06, length, 0.18), (0, length / 2, low + 0.11), finish, "bed"),
        _mattress(rng, width, length, top),
    ]
    for x in (-width / 2, width / 2):
        for y in (0.06, length - 0.06):
            leg = (0.06, 0.06, low + 0.05)
            parts.append(box(leg, (x * 0.95, y, leg[2] / 2), finish, "bed"))
    if rng.random() < 0.85:
        parts.append(_board(rng, width + rng.uniform(0.04, 0.3), rng.uniform(0.7, 1.4), finish))
    if rng.random() < 0.6:
        foot = _board(rng, width + 0.08, rng.uniform(max(0.4, top - 0.1), 1.0), finish)
        parts.append(foot.placed(0, length + 0.04))
    if rng.random() < 0.15:  # drawers below
        for y in (length * 0.3, length * 0.7):
            front = (width + 0.1, length * 0.36, 0.2)
            parts.append(box(front, (0, y, 0.12), finish, "bed"))
    return join(*parts, *_bedding(rng, width, length, top))


def _mattress(rng: Rng, width: float, length: float, top: float) -> Mesh:
    thick = top - 0.01 if top < 0.26 else rng.uniform(0.16, 0.3)
    size, at = (width, length - 0.06, thick), (0, length / 2, top - thick / 2)
    return cushion(size, at, linen(rng), "bed", 0.05)


def _board(rng: Rng, width: float, tall: float, finish: Finish) -> Mesh:
    """A head or foot board at y = 0: a panel, a padded one, slats, bars or a curved top."""
    style = str(rng.choice(("panel", "padded", "slats", "bars", "curved")))
    half = width / 2
    if style == "panel":
        return box((width, rng.uniform(0.03, 0.07), tall), (0, 0.02, tall / 2), finish, "bed")
    if style == "padded":
        thick, cover = rng.uniform(0.08, 0.14), upholstery(rng)
        return cushion((width, thick, tall - 0.05), (0, 0.03, tall / 2), cover, "bed", 0.04)
    thick = rng.uniform(0.025, 0.07)
    parts = [
        box((thick, thick, tall), (x, 0.02, tall / 2), finish, "bed")
        for x in (-half + thick / 2, half - thick / 2)
    ]
    if style == "curved":
        x = np.linspace(-half, half, 15)[:, None]
        up = np.array([0.15, 0.55, 1.0])
        crown = tall * (0.82 + 0.18 * np.cos(np.pi * x / width))
        points = np.stack(np.broadcast_arrays(x, 0.03 + 0 * up, crown * up), axis=-1)
        return join(
            *parts,
            sheet(points[::-1], finish, "bed"),
            sheet(points - (0, 0.03, 0), finish, "bed"),
        )
    rails = (0.35, 0.97) if style == "bars" else np.linspace(0.4, 0.97, int(rng.integers(2, 6)))
    parts += [box((width, thick, 0.07), (0, 0.02, tall * z), finish, "bed") for z in rails]
    if style == "bars":
        for x in np.linspace(-half, half, max(4, int(width / rng.uniform(0.08, 0.16))))[1:-1]:
            parts.append(
                rod((x, 0.02, 0.35 * tall), (x, 0.02, 0.97 * tall), 0.01, finish, "bed", 6)
            )
    return join(*parts)


def _bedding(rng: Rng, width: float, length: float, top: float) -> list[Mesh]:
    """Pillows, a cover that hangs over the sides or lies in folds, now and then a throw."""
    parts = []
    pillow, rows = linen(rng), int(rng.choice([0, 1, 1, 2]))
    for row in range(rows):
        for x in (-width / 4, width / 4) if width > 1.15 else (0.0,):
            size = (rng.uniform(0.5, 0.75), rng.uniform(0.36, 0.5), rng.uniform(0.12, 0.2))
            one = blob(
                size, (0, 0, 0), pillow if row == 0 else any_color(rng, "fabric"), "bed", 0.5
            )
            at = (x + rng.normal(0, 0.03), 0.3 + 0.25 * row, top + 0.07 + 0.03 * row)
            parts.append(one.placed(*at, rng.normal(0, 0.15)))
    cover = pick(
        rng, (linen(rng), linen(rng), any_color(rng, "pattern"), any_color(rng, "fabric"))
    )
    style = rng.random()
    if style < 0.65:
        start = length * (rng.uniform(0.15, 0.45) if rows else 0.01)
        hang = rng.uniform(0.05, top)
        parts.append(_spread(rng, width, (start, length + 0.03), top, hang, cover))
    elif style < 0.9:  # thrown back
        folded = (width * rng.uniform(0.5, 0.95), length * rng.uniform(0.3, 0.6))
        middle = (rng.uniform(-0.5, 0.5) * (width - folded[0]), length * rng.uniform(0.4, 0.7))
        parts.append(heap(rng, folded, rng.uniform(0.08, 0.25), cover, "bed").placed(*middle, top))
    if rng.random() < 0.2:
        end = length - rng.uniform(0.05, 0.3)
        throw = any_color(rng, pick(rng, ("fabric", "stripes", "pattern")))
        span = (end - rng.uniform(0.3, 0.6), end)
        parts.append(_spread(rng, width + 0.02, span, top + 0.025, rng.uniform(0.1, top), throw))
    return parts


def _spread(
    rng: Rng, width: float, span: tuple[float, float], top: float, hang: float, finish: Finish
) -> Mesh:
    """A cover over the width of a bed that hangs down ``hang`` metres in waves at both sides."""
    half, thick = width / 2, rng.uniform(0.015, 0.06)
    side = np.linspace(0, hang, max(2, int(hang / 0.12) + 1))
    across = np.concatenate(
        [-half - 0.02 - 0 * side, np.linspace(-half, half, 9), half + 0.02 + 0 * side]
    )
    down = np.concatenate([side[::-1], np.zeros(9), side])
    along = np.linspace(span[0], span[1], max(4, int((span[1] - span[0]) / 0.12)))
    points = np.empty((len(across), len(along), 3))
    swing = np.sin(along * rng.uniform(6, 14) + rng.uniform(0, 6)) * rng.uniform(0.0, 0.03)
    out = np.sign(across) * down / max(hang, 1e-3)
    points[..., 0] = across[:, None] + out[:, None] * (0.03 + swing)
    points[..., 1] = along
    points[..., 2] = top + thick - down[:, None]
    puff = rng.uniform(0.0, 0.03)
    points[..., 2] += puff * np.sin(across * 7 / width)[:, None] * np.cos(along * 3)
    foot = points[:, -1:].copy()
    foot[..., 2] = np.minimum(foot[..., 2], top + thick - min(hang, 0.25))
    return sheet(np.concatenate([points, foot], axis=1), finish, "bed")


def heap(rng: Rng, size, tall: float, finish: Finish, label: str) -> Mesh:
    """A heap of crumpled cloth on z = 0, its middle at the origin, ``size`` (2,) metres wide."""
    n = 12
    u, v = np.meshgrid(np.linspace(-1, 1, n), np.linspace(-1, 1, n), indexing="ij")
    height = np.zeros((n, n))
    for _ in range(5):
        fx, fy, shift = rng.uniform(-5, 5), rng.uniform(-5, 5), rng.uniform(0, 6)
        height += np.sin(fx * u + fy * v + shift)
    edge = np.clip(1.15 - np.maximum(np.abs(u), np.abs(v)), 0, 0.5) * 2
    wobble = 1 + 0.12 * np.sin(4 * np.arctan2(v, u) + rng.uniform(0, 6))
    points = np.stack(
        [u * wobble * size[0] / 2, v * wobble * size[1] / 2, tall * edge * (0.55 + 0.09 * height)],
        axis=-1,
    )
    points[..., 2] = np.maximum(points[..., 2], 0.004)
    skirt = points[[0, *range(n), n - 1]][:, [0, *range(n), n - 1]]
    skirt[[0, -1], :, 2] = skirt[:, [0, -1], 2] = 0.0
    return sheet(skirt, finish, label)


@named("bunk bed")
@or_from_library("high bed")
def bunk_bed(rng: Rng) -> Mesh:
    """Two beds, one above the other, with rails and a ladder; or a loft with nothing below."""
    finish = pick(rng, (wooden(rng), lacquer(rng), metal(rng)))
    width, length = rng.uniform(0.85, 1.05), rng.uniform(1.95, 2.1)
    tall, thick = rng.uniform(1.55, 1.9), rng.uniform(0.04, 0.08)
    low, high = rng.uniform(0.25, 0.45), tall - rng.uniform(0.25, 0.4)
    parts = []
    # Long side at the wall: the bed's length runs along x.
    ends = (-length / 2, length / 2)
    for x in ends:
        for y in (0.03, width):
            parts.append(box((thick, thick, tall), (x, y, tall / 2), finish, "bed"))
    levels = (high,) if rng.random() < 0.2 else (low, high)
    for z in levels:
        parts.append(box((length, width, 0.05), (0, width / 2, z - 0.03), finish, "bed"))
        for y in (0.02, width):
            parts.append(box((length, 0.03, 0.14), (0, y, z), finish, "bed"))
        size = (length - 0.08, width - 0.08, 0.16)
        parts.append(cushion(size, (0, width / 2, z + 0.1), linen(rng), "bed", 0.04))
        pillow = blob(
            (0.4, 0.6, 0.14), (-length / 2 + 0.32, width / 2, z + 0.24), linen(rng), "bed", 0.5
        )
        parts.append(pillow)
        blanket = heap(rng, (length * 0.6, width * 0.85), 0.14, linen(rng), "bed")
        parts.append(blanket.placed(0.25, width / 2, z + 0.18))
        for x in ends:
            parts.append(box((thick, width, 0.12), (x, width / 2, z + 0.25), finish, "bed"))
    for z in np.linspace(high + 0.14, tall - 0.03, 2):
        for y in (0.02, width):
            parts.append(
                box((length if y < 0.1 else length * 0.7, 0.025, 0.07), (0, y, z), finish, "bed")
            )
    x = length * 0.42
    for side in (x - 0.18, x + 0.12):
        parts.append(
            rod((side, width + 0.12, 0), (side, width + 0.02, tall), 0.018, finish, "bed", 6)
        )
    for z in np.arange(0.25, high, 0.28):
        y = width + 0.12 - 0.1 * z / tall
        parts.append(rod((x - 0.18, y, z), (x + 0.12, y, z), 0.016, finish, "bed", 6))
    return join(*parts)


@named("canopy bed")
def canopy_bed(rng: Rng) -> Mesh:
    """A four-poster, half of them with cloth at the corners or above."""
    bed = framed_bed(rng)
    (x0, y0, _), (x1, y1, _) = bed.bounds()
    finish, tall = lacquer(rng), rng.uniform(1.9, 2.2)
    x0, x1, y0 = x0 - 0.03, x1 + 0.03, max(float(y0), 0.02)
    parts = [bed]
    for x in (x0, x1):
        parts.append(box((0.05, y1 - y0, 0.05), (x, (y0 + y1) / 2, tall), finish, "bed"))
        for y in (y0, y1):
            parts.append(box((0.06, 0.06, tall), (x, y, tall / 2), finish, "bed"))
    for y in (y0, y1):
        parts.append(box((x1 - x0, 0.05, 0.05), ((x0 + x1) / 2, y, tall), finish, "bed"))
    cloth = linen(rng)
    if rng.random() < 0.5:
        for x in (x0, x1):
            for y in (y0, y1):
                parts.append(
                    drape(rng, 0.3, tall - 0.1, cloth, "bed").placed(x, y, 0.08, np.pi / 2)
                )
    return join(*parts)


def drape(rng: Rng, width: float, tall: float, finish: Finish, label: str) -> Mesh:
    """Cloth in folds that hangs from z = ``tall`` to z = 0 in the plane y = 0, x centred."""
    folds, deep = max(2.0, width / rng.uniform(0.09, 0.2)), rng.uniform(0.012, 0.05)
    x = np.linspace(-width / 2, width / 2, max(8, min(60, int(folds * 6))))[:, None]
    up = np.linspace(0, tall, max(3, int(tall / 0.25)))
    wave = np.sin(2 * np.pi * folds * x / width + rng.uniform(0, 6))
    y = deep * wave * (1.15 - 0.4 * up / tall)
    return sheet(np.stack(np.broadcast_arrays(x, y, up), axis=-1)[::-1], finish, label)


@named("crib")
@or_from_library("cot")
def cot(rng: Rng) -> Mesh:
    """A child's bed between bars."""
    finish, width, length = lacquer(rng), rng.uniform(0.62, 0.75), rng.uniform(1.2, 1.45)
    tall, top = rng.uniform(0.8, 1.0), rng.uniform(0.3, 0.55)
    parts = [cushion((length - 0.05, width - 0.05, 0.12), (0, width / 2, top), linen(rng), "bed")]
    parts.append(
        heap(rng, (length * 0.6, width * 0.7), 0.1, linen(rng), "bed").placed(
            0.1, width / 2, top + 0.06
        )
    )
    for x in (-length / 2, length / 2):
        for y in (0.02, width):
            parts.append(box((0.04, 0.04, tall), (x, y, tall / 2), finish, "bed"))
        parts.append(
            box((0.025, width, tall - 0.25), (x, width / 2, tall / 2 + 0.1), finish, "bed")
        )
    for y in (0.02, width):
        for z in (0.22, tall - 0.03):
            parts.append(box((length, 0.025, 0.05), (0, y, z), finish, "bed"))
        for x in np.linspace(-length / 2, length / 2, 14)[1:-1]:
            parts.append(box((0.016, 0.016, tall - 0.25), (x, y, tall / 2 + 0.1), finish, "bed"))
    return join(*parts)


@named("mattress")
def mattress(rng: Rng) -> Mesh:
    """A mattress on the floor or on a low box."""
    width, length = rng.uniform(0.8, 1.7), rng.uniform(1.9, 2.05)
    top = rng.uniform(0.15, 0.25) if rng.random() < 0.5 else rng.uniform(0.34, 0.45)
    parts = [_mattress(rng, width, length, top), *_bedding(rng, width, length, top)]
    if top > 0.3:
        parts.append(box((width, length, 0.18), (0, length / 2, 0.1), upholstery(rng), "bed"))
    return join(*parts)


#: All builds, by how often they are seen.
BEDS = (framed_bed, framed_bed, framed_bed, framed_bed, bunk_bed, canopy_bed, cot, mattress)
