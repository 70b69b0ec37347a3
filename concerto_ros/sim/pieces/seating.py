# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Chairs, benches, armchairs and sofas of many builds.

Builders follow the convention of :mod:`concerto_ros.sim.pieces.furniture`. A seat for one person
on legs is a chair, with arm rests or not; one whose upholstered sides reach down to the floor is a
sofa, as are stools for the feet that go with it.
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
from concerto_ros.sim.pieces.finishes import any_color, metal, upholstery
from concerto_ros.sim.pieces.furniture import BLACK, METAL, Rng, cloth, pick, wooden


@named("chair")
@or_from_library("chair")
def slat_chair(rng: Rng) -> Mesh:
    """A wooden chair with upright or level slats, with arms one time in three."""
    wood, seat, rise = wooden(rng), rng.uniform(0.42, 0.48), rng.uniform(0.36, 0.62)
    width, depth, thick = rng.uniform(0.38, 0.5), rng.uniform(0.38, 0.48), rng.uniform(0.025, 0.04)
    half, pad = width / 2 - thick / 2, upholstery(rng) if rng.random() < 0.4 else wood
    parts = [box((width, depth, 0.03), (0, depth / 2, seat - 0.015), wood, "chair")]
    if pad is not wood:
        parts.append(
            cushion((width - 0.04, depth - 0.05, 0.05), (0, depth / 2, seat + 0.02), pad, "chair")
        )
    lean = rng.uniform(0.02, 0.12)
    for x in (-half, half):
        parts.append(box((thick, thick, seat), (x, depth - thick / 2, seat / 2), wood, "chair"))
        parts.append(rod((x, 0.02, 0), (x, 0.02, seat), thick / 2, wood, "chair", 6))
        top = (x, 0.02 - lean, seat + rise)
        parts.append(rod((x, 0.02, seat), top, thick / 2, wood, "chair", 6))
        if rng.random() < 0.6:
            parts.append(box((0.018, depth - thick, 0.03), (x, depth / 2, 0.2), wood, "chair"))
    count = int(rng.integers(2, 7))
    if rng.random() < 0.5:
        for part in np.linspace(0.15, 0.97, count):
            at = (0, 0.02 - lean * part, seat + rise * part)
            parts.append(box((2 * half, 0.018, rise / count * 0.55), at, wood, "chair"))
    else:
        for x in np.linspace(-half, half, count + 2)[1:-1]:
            end = (x, 0.02 - lean, seat + rise)
            parts.append(rod((x, 0.02, seat), end, rng.uniform(0.008, 0.02), wood, "chair", 6))
        at = (0, 0.02 - lean, seat + rise)
        parts.append(box((width, 0.03, rng.uniform(0.04, 0.12)), at, wood, "chair"))
    if rng.random() < 0.33:
        parts.append(_arms(rng, width, depth, seat, wood))
    return join(*parts)


def _arms(rng: Rng, width: float, depth: float, seat: float, finish: Finish) -> Mesh:
    """Arm rests on posts, to both sides of a seat."""
    high, wide = seat + rng.uniform(0.17, 0.25), rng.uniform(0.03, 0.07)
    parts = []
    for x in (-width / 2, width / 2):
        parts.append(box((wide, depth * 0.95, 0.03), (x, depth * 0.46, high), finish, "chair"))
        post = (x, depth * 0.85, seat - 0.03)
        parts.append(rod(post, (x, depth * 0.85, high), 0.014, finish, "chair", 6))
    return join(*parts)


@named("chair")
@or_from_library("chair")
def shell_chair(rng: Rng) -> Mesh:
    """A moulded seat in one piece on four legs, on runners or on a column."""
    skin = pick(rng, (any_color(rng), wooden(rng), cloth(rng), BLACK))
    seat, rise = rng.uniform(0.41, 0.47), rng.uniform(0.28, 0.48)
    width, depth = rng.uniform(0.4, 0.56), rng.uniform(0.4, 0.48)
    profile = np.array(
        [(depth, seat - 0.03), (depth * 0.9, seat), (depth * 0.5, seat - 0.01),
         (depth * 0.15, seat - 0.01), (0.06, seat + 0.05), (0.02, seat + rise * 0.5),
         (-0.03, seat + rise)]
    )  # fmt: skip
    across = np.linspace(-1, 1, 9)
    bend = rng.uniform(0.02, 0.16) * across**2
    points = np.zeros((len(profile), 9, 3))
    # A round outline: narrower at the front edge and at the top.
    outline = np.array([0.85, 0.97, 1.0, 1.0, 1.0, 0.98, 0.8])
    points[..., 0] = outline[:, None] * across * width / 2
    upright = np.linspace(0, 1, len(profile))[:, None] ** 2
    points[..., 1] = profile[:, :1] + bend * upright
    points[..., 2] = profile[:, 1:] + 0.5 * bend * (1 - upright)
    parts = [sheet(points[::-1], skin, "chair"), sheet(points - (0, 0.012, 0.012), skin, "chair")]
    frame, half = pick(rng, (METAL, BLACK, wooden(rng))), width / 2 - 0.06
    style = rng.integers(3)
    if style == 2:
        parts.append(_star(rng, (0.0, depth / 2), seat - 0.02, frame))
    else:
        for x in (-half, half):
            for y in (0.08, depth - 0.06):
                out = 0.05 * np.sign(y - depth / 2)
                foot = (x * 1.25, y + out, 0.01)
                parts.append(rod(foot, (x, y, seat - 0.02), 0.013, frame, "chair", 6))
            if style == 1:
                front, rear = (x * 1.25, depth - 0.01, 0.012), (x * 1.25, 0.03, 0.012)
                parts.append(rod(rear, front, 0.013, frame, "chair", 6))
    if rng.random() < 0.25:
        parts.append(_arms(rng, width, depth, seat, frame))
    return join(*parts)


def _star(rng: Rng, middle, seat: float, finish: Finish) -> Mesh:
    """A column on a star of four or five feet, with or without castors."""
    feet, reach = int(rng.choice([4, 5, 5])), rng.uniform(0.26, 0.36)
    castors = rng.random() < 0.7
    low = 0.07 if castors else 0.02
    parts = [rod((*middle, low + 0.03), (*middle, seat), 0.03, finish, "chair")]
    for angle in np.arange(feet) * 2 * np.pi / feet + rng.uniform(0, 1):
        tip = (middle[0] + reach * np.cos(angle), middle[1] + reach * np.sin(angle))
        parts.append(rod((*middle, low + 0.05), (*tip, low), 0.02, finish, "chair", 6))
        if castors:
            parts.append(box((0.05, 0.05, 0.06), (*tip, 0.03), BLACK, "chair"))
    return join(*parts)


@named("office chair")
@or_from_library("office chair")
def task_chair(rng: Rng) -> Mesh:
    """A swivel chair with a curved back, often with arm loops and a head rest."""
    pad = pick(rng, (BLACK, BLACK, upholstery(rng), upholstery(rng), any_color(rng, "fabric")))
    seat, rise = rng.uniform(0.42, 0.54), rng.uniform(0.4, 0.78)
    width, depth = rng.uniform(0.44, 0.54), rng.uniform(0.42, 0.52)
    middle = (0.0, 0.08 + depth / 2)
    parts = [
        _star(rng, middle, seat - 0.02, metal(rng)),
        cushion((width, depth, 0.09), (*middle, seat + 0.03), pad, "chair", 0.04),
        box((0.2, 0.2, 0.05), (*middle, seat - 0.03), BLACK, "chair"),
    ]
    across, up = np.linspace(-1, 1, 9), np.linspace(0, 1, 9)[:, None]
    low, hollow, lean = rng.uniform(0.02, 0.2), rng.uniform(0.02, 0.09), rng.uniform(0.0, 0.18)
    points = np.zeros((9, 9, 3))
    points[..., 0] = across * width / 2 * (0.8 + 0.2 * np.sin(np.pi * up))
    points[..., 1] = 0.05 + hollow * across**2 - lean * up + 0.04 * np.sin(np.pi * up)
    points[..., 2] = seat + low + (rise - low) * up
    thick = rng.uniform(0.02, 0.08)
    back = [sheet(points[:, ::-1], pad, "chair"), sheet(points - (0, thick, 0), pad, "chair")]
    for edge in (points[:, :1], points[:, -1:]):
        back.append(sheet(np.concatenate([edge, edge - (0, thick, 0)], axis=1), pad, "chair"))
    top = points[-1:]
    back.append(sheet(np.concatenate([top, top - (0, thick, 0)]), pad, "chair"))
    parts += back
    parts.append(rod((0, 0.12, seat - 0.02), (0, 0.0, seat + 0.25), 0.025, BLACK, "chair"))
    if rng.random() < 0.25:
        at = (0, -lean + 0.01, seat + rise + 0.12)
        parts.append(cushion((0.28, 0.07, 0.14), at, pad, "chair", 0.03))
        parts.append(box((0.05, 0.03, 0.2), (0, -lean, seat + rise), BLACK, "chair"))
    if rng.random() < 0.7:
        high = seat + rng.uniform(0.17, 0.27)
        for side in (-1, 1):
            x = side * (width / 2 + 0.03)
            post = (x, middle[1] - 0.02, seat - 0.02)
            parts.append(box((0.08, 0.26, 0.03), (x, middle[1], high), BLACK, "chair"))
            parts.append(rod(post, (x, middle[1] - 0.02, high), 0.018, BLACK, "chair", 6))
            parts.append(rod((0, *post[1:]), post, 0.016, BLACK, "chair", 6))
    return join(*parts)


@named("lounge chair")
@or_from_library("easy chair")
def lounge_chair(rng: Rng) -> Mesh:
    """A low armchair on legs, with arms of wood or tube, or padded ones."""
    pad, wood = upholstery(rng), pick(rng, (wooden(rng), wooden(rng), METAL, BLACK))
    seat, rise = rng.uniform(0.36, 0.44), rng.uniform(0.4, 0.65)
    width, depth = rng.uniform(0.52, 0.66), rng.uniform(0.52, 0.64)
    parts = [
        cushion((width, depth, 0.13), (0, 0.1 + depth / 2, seat), pad, "chair"),
        cushion((width, 0.13, rise), (0, 0, rise / 2), pad, "chair").transformed(
            rotation_about("x", rng.uniform(0.1, 0.4)), (0, 0.12, seat - 0.03)
        ),
    ]
    high, padded = seat + rng.uniform(0.15, 0.22), rng.random() < 0.35
    for x in (-width / 2 - 0.03, width / 2 + 0.03):
        if padded:
            size = (0.09, depth, high - seat + 0.2)
            parts.append(cushion(size, (x, depth / 2 + 0.06, high - size[2] / 2), pad, "chair"))
        else:
            parts.append(
                box((0.06, depth + 0.06, 0.03), (x, depth / 2 + 0.05, high), wood, "chair")
            )
        for y in (0.06, depth + 0.05):
            parts.append(rod((x, y, 0), (x * 0.98, y, high), 0.018, wood, "chair", 6))
        side = (0.03, depth, 0.05)
        parts.append(box(side, (x, depth / 2 + 0.05, seat - 0.08), wood, "chair"))
    return join(*parts)


@named("bench")
@or_from_library("bench")
def bench(rng: Rng) -> Mesh:
    """A bench of wood or with a padded seat, with or without a back."""
    wood, seat = wooden(rng), rng.uniform(0.4, 0.48)
    width, depth = rng.uniform(0.9, 1.9), rng.uniform(0.32, 0.45)
    pad = upholstery(rng) if rng.random() < 0.4 else wood
    parts = [box((width, depth, 0.04), (0, depth / 2, seat - 0.02), wood, "chair")]
    if pad is not wood:
        parts.append(
            cushion((width, depth, 0.08), (0, depth / 2, seat + 0.03), pad, "chair", 0.03)
        )
    for x in (-width / 2 + 0.08, width / 2 - 0.08):
        if rng.random() < 0.5:
            size = (0.05, depth - 0.04, seat - 0.04)
            parts.append(box(size, (x, depth / 2, size[2] / 2), wood, "chair"))
        else:
            for y in (0.05, depth - 0.05):
                parts.append(
                    box((0.05, 0.05, seat - 0.04), (x, y, seat / 2 - 0.02), wood, "chair")
                )
    if rng.random() < 0.45:
        rise = rng.uniform(0.3, 0.5)
        for x in (-width / 2 + 0.05, width / 2 - 0.05):
            parts.append(box((0.05, 0.04, rise), (x, 0.02, seat + rise / 2), wood, "chair"))
        for part in np.linspace(0.35, 0.92, int(rng.integers(1, 4))):
            parts.append(box((width, 0.025, 0.08), (0, 0.03, seat + rise * part), wood, "chair"))
    return join(*parts)


@named("footstool")
@or_from_library("pouf")
def footstool(rng: Rng) -> Mesh:
    """An upholstered block or drum for the feet."""
    pad, tall = upholstery(rng), rng.uniform(0.34, 0.48)
    if rng.random() < 0.3:
        across = rng.uniform(0.42, 0.7)
        return blob((across, across, tall), (0, across / 2, tall / 2), pad, "sofa", 0.6)
    width, depth = rng.uniform(0.45, 1.0), rng.uniform(0.42, 0.7)
    low = pick(rng, (0.02, 0.1))
    body = cushion((width, depth, tall - low), (0, depth / 2, (tall + low) / 2), pad, "sofa", 0.05)
    feet = [
        box((0.05, 0.05, low), (x, y, low / 2), BLACK, "sofa")
        for x in (-width / 2 + 0.06, width / 2 - 0.06)
        for y in (0.06, depth - 0.06)
    ]
    return join(body, *feet)


#: Seats for one person at a table, at a desk and in a lounge.
SIDE_CHAIRS = (slat_chair, shell_chair, slat_chair)
DESK_CHAIRS = (task_chair, task_chair, shell_chair)
EASY_CHAIRS = (lounge_chair, lounge_chair, bench)
