# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Parametric everyday objects, each one different: the shapes of the synthetic benchmark.

A builder takes a random generator and returns a mesh that stands on z = 0, in metres. Shapes that
the simulated rooms already have (chairs, tables, plants, ...) are taken from there and varied
more.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from concerto_ros.sim.mesh import (
    Finish,
    Mesh,
    blob,
    box,
    cushion,
    join,
    lathe,
    rod,
    rotation_about,
)
from concerto_ros.sim.pieces import furniture
from concerto_ros.sim.pieces import small_objects as clutter
from concerto_ros.sim.pieces.furniture import Rng, pick

FINISH, LABEL = Finish((0.6, 0.6, 0.6)), "other"


def mug(rng: Rng) -> Mesh:
    """Build a cup with a handle."""
    radius, tall = rng.uniform(0.035, 0.05), rng.uniform(0.07, 0.12)
    foot, wall = radius * rng.uniform(0.7, 1.0), 0.004
    body = [
        (0, 0),
        (foot, 0),
        (radius, tall),
        (radius - wall, tall),
        (foot - wall, wall),
        (0, wall),
    ]
    reach, middle = rng.uniform(0.02, 0.035), tall * rng.uniform(0.45, 0.6)
    handle = _arc((radius * 0.93, 0, middle), reach, tall * rng.uniform(0.22, 0.36), 0.006)
    return join(_turned(body), handle)


def bottle(rng: Rng) -> Mesh:
    """Build a bottle with a neck, slim or stout, some with a cap."""
    radius, tall = rng.uniform(0.03, 0.05), rng.uniform(0.18, 0.34)
    neck, shoulder = radius * rng.uniform(0.25, 0.5), tall * rng.uniform(0.5, 0.75)
    end = shoulder + (tall - shoulder) * rng.uniform(0.2, 0.7)
    profile = [(0, 0), (radius, 0), (radius, shoulder), (neck, end), (neck, tall), (0, tall)]
    parts = [_turned(profile)]
    if rng.random() < 0.5:
        parts.append(rod((0, 0, tall), (0, 0, tall + 0.02), neck * 1.25, FINISH, LABEL))
    return join(*parts)


def bowl(rng: Rng) -> Mesh:
    """Build an open bowl, flat like a plate or deep."""
    radius, foot = rng.uniform(0.07, 0.14), rng.uniform(0.3, 0.5)
    tall, bend = radius * rng.uniform(0.35, 0.8), rng.uniform(0.35, 0.8)
    outside = [(foot * radius, 0), (radius * (0.6 + 0.3 * bend), tall * 0.45), (radius, tall)]
    inside = [(max(r - 0.006, 0.001), max(z, 0.008)) for r, z in reversed(outside)]
    return _turned([(0, 0), *outside, *inside, (0, 0.008)])


def chair(rng: Rng) -> Mesh:
    """Build a chair with four legs or a swivel chair."""
    return pick(rng, (furniture.chair, furniture.chair, furniture.office_chair))(rng)


def stool(rng: Rng) -> Mesh:
    """Build a round or square seat without a back, on three or four legs."""
    seat, radius = rng.uniform(0.4, 0.75), rng.uniform(0.15, 0.2)
    thick, legs = rng.uniform(0.03, 0.07), int(rng.integers(3, 5))
    if rng.random() < 0.6:
        top = _turned([(0, seat - thick), (radius, seat - thick), (radius, seat), (0, seat)])
    else:
        top = cushion(
            (2 * radius, 2 * radius, thick), (0, 0, seat - thick / 2), FINISH, LABEL, 0.02
        )
    out, slim, parts = rng.uniform(1.0, 1.25), rng.uniform(0.012, 0.022), [top]
    ring = seat * rng.uniform(0.25, 0.45) if rng.random() < 0.6 else None
    angles = (np.arange(legs) + 0.5) * 2 * np.pi / legs
    places = 0.8 * radius * np.stack([np.cos(angles), np.sin(angles)], 1)
    share = 1 if ring is None else out + (1 - out) * ring / seat
    for this, following in zip(places, np.roll(places, -1, 0), strict=True):
        parts.append(rod((*(out * this), 0), (*this, seat - thick), slim, FINISH, LABEL, 6))
        if ring is not None:
            ends = ((*(share * this), ring), (*(share * following), ring))
            parts.append(rod(*ends, 0.7 * slim, FINISH, LABEL, 6))
    return join(*parts)


def lamp(rng: Rng) -> Mesh:
    """Build a floor lamp, a desk lamp with arms, or a table lamp with a shade on a turned foot."""
    kind = rng.integers(3)
    if kind < 2:
        return (clutter.floor_lamp, clutter.desk_lamp)[kind](rng)
    tall, wide = rng.uniform(0.25, 0.45), rng.uniform(0.09, 0.16)
    belly = rng.uniform(0.02, 0.07)
    foot = [
        (0, 0),
        (0.07, 0),
        (0.06, 0.02),
        (belly, 0.3 * tall),
        (0.012, 0.6 * tall),
        (0.01, tall),
    ]
    rise, top = rng.uniform(0.12, 0.2), wide * rng.uniform(0.4, 1.0)
    shade = [(wide, tall - 0.05), (top, tall + rise - 0.05), (0.01, tall + rise - 0.06)]
    return join(_turned(foot), _turned(shade))


def carton(rng: Rng) -> Mesh:
    """Build a closed box, or an open one with flaps."""
    x, y, z = rng.uniform(0.12, 0.45, 3)
    if rng.random() < 0.6:
        return _block(x, y, z, 0, 0, z / 2)
    wall, parts = 0.005, [_block(x, y, 0.005, 0, 0, 0.0025)]
    for side in (-1, 1):
        parts += [
            _block(wall, y, z, side * x / 2, 0, z / 2),
            _block(x, wall, z, 0, side * y / 2, z / 2),
        ]
        flap = _block(x / 2, y, wall, side * x / 4, 0, 0)
        turn = rotation_about("y", side * rng.uniform(0.3, 1.3))
        parts.append(flap.transformed(turn, (side * x / 2, 0, z)))
    return join(*parts)


def book(rng: Rng) -> Mesh:
    """Build a closed book lying or standing, an open one, or a stack."""
    kind = rng.integers(4)
    if kind == 3:
        return clutter.books(rng)
    wide, tall, thick = rng.uniform(0.12, 0.2), rng.uniform(0.19, 0.28), rng.uniform(0.012, 0.045)
    if kind == 0:
        return _block(wide, tall, thick, 0, 0, thick / 2)
    if kind == 1:
        upright = _block(wide, thick, tall, 0, 0, tall / 2)
        return upright.transformed(rotation_about("x", rng.uniform(-0.2, 0.2)), (0, 0, 0))
    pages = []
    for side in (-1, 1):
        page = _block(wide, tall, thick / 2, side * wide / 2, 0, thick / 4)
        pages.append(
            page.transformed(rotation_about("y", -side * rng.uniform(0.05, 0.35)), (0, 0, 0))
        )
    return join(*pages)


def monitor(rng: Rng) -> Mesh:
    """Build a screen on a stand or on two feet."""
    return pick(rng, (clutter.monitor, clutter.monitor, clutter.television))(rng)


def keyboard(rng: Rng) -> Mesh:
    """Build a flat case with rows of keys, tilted a little."""
    wide, deep, thick = rng.uniform(0.28, 0.46), rng.uniform(0.11, 0.16), rng.uniform(0.012, 0.025)
    rows, parts = int(rng.integers(4, 7)), [_block(wide, deep, thick, 0, 0, thick / 2)]
    for place in (np.arange(rows) + 0.5) / rows - 0.5:
        parts.append(_block(0.95 * wide, 0.7 * deep / rows, 0.008, 0, 0.92 * place * deep, thick))
    tilt = rotation_about("x", rng.uniform(0.0, 0.12))
    return join(*parts).transformed(tilt, (0, 0, 0))


def plant(rng: Rng) -> Mesh:
    """Build leaves, or a ball of them on stems, in a pot."""
    if rng.random() < 0.6:
        return clutter.plant(rng)
    foot, rim, tall = rng.uniform(0.04, 0.07), rng.uniform(0.07, 0.1), rng.uniform(0.08, 0.14)
    parts = [_turned([(0, 0), (foot, 0), (rim, tall), (rim - 0.01, tall), (0, tall - 0.02)])]
    crown = tall + rng.uniform(0.06, 0.25)
    parts.append(rod((0, 0, tall - 0.02), (0, 0, crown), 0.008, FINISH, LABEL, 6))
    for _ in range(int(rng.integers(4, 10))):
        place = rng.normal(0, 0.05, 3) + (0, 0, crown + 0.03)
        parts.append(blob(rng.uniform(0.06, 0.13, 3), place, FINISH, LABEL, 1.0))
    return join(*parts)


def bag(rng: Rng) -> Mesh:
    """Build a backpack with a pocket, or a handbag with a handle."""
    if rng.random() < 0.5:
        return clutter.backpack(rng)
    wide, deep, tall = rng.uniform(0.25, 0.4), rng.uniform(0.08, 0.16), rng.uniform(0.2, 0.32)
    body = blob((wide, deep, tall), (0, 0, tall / 2), FINISH, LABEL, rng.uniform(0.2, 0.4))
    turn = rotation_about("y", -np.pi / 2)
    parts = [body]
    for y in (-deep / 4, deep / 4):
        handle = _arc((0, 0, 0), rng.uniform(0.08, 0.16), wide * rng.uniform(0.2, 0.3), 0.008)
        parts.append(handle.transformed(turn, (0, y, tall * 0.93)))
    return join(*parts)


def table(rng: Rng) -> Mesh:
    """Build a dining table, a desk or a low table."""
    makers = (furniture.dining_table, furniture.desk, furniture.coffee_table)
    return pick(rng, makers)(rng)


def teapot(rng: Rng) -> Mesh:
    """Build a teapot or a kettle: a belly with a spout, a handle and a lid."""
    radius, tall = rng.uniform(0.06, 0.09), rng.uniform(0.09, 0.17)
    foot, rim = radius * rng.uniform(0.6, 1.0), radius * rng.uniform(0.35, 0.6)
    body = [(0, 0), (foot, 0), (radius, 0.45 * tall), (rim, tall), (0, tall * 1.06)]
    knob = blob((0.025,) * 3, (0, 0, tall * 1.06 + 0.01), FINISH, LABEL, 1.0)
    start, tip = (-radius * 0.8, 0, 0.35 * tall), (-radius * rng.uniform(1.5, 1.9), 0, 0.95 * tall)
    spout = rod(start, tip, rng.uniform(0.009, 0.016), FINISH, LABEL)
    handle = _arc((radius * 0.85, 0, 0.5 * tall), rng.uniform(0.04, 0.06), 0.35 * tall, 0.007)
    if rng.random() < 0.35:  # a kettle's handle is above
        handle = _arc((0, 0, 0), rng.uniform(0.06, 0.1), 0.8 * radius, 0.008)
        handle = handle.transformed(rotation_about("y", -np.pi / 2), (0, 0, 0.8 * tall))
    return join(_turned(body), knob, spout, handle)


def shoe(rng: Rng) -> Mesh:
    """Build a shoe: a sole, a toe and a shaft, low or high."""
    long, wide = rng.uniform(0.22, 0.31), rng.uniform(0.08, 0.11)
    sole = cushion((wide, long, 0.03), (0, 0, 0.015), FINISH, LABEL, 0.014)
    toe = blob(
        (0.95 * wide, 0.6 * long, rng.uniform(0.08, 0.11)),
        (0, 0.19 * long, 0.045),
        FINISH,
        LABEL,
        0.8,
    )
    high, back = rng.uniform(0.08, 0.2), -0.24 * long
    half = (0.42 * wide, 0.2 * long)
    wall = [(1.0, 0.02), (0.95, high), (0.85, high), (0.85, 0.03), (0, 0.03)]
    shaft = lathe(wall, (0, 0, 0), FINISH, LABEL)
    return join(sole, toe, shaft.transformed(np.diag((*half, 1.0)), (0, back, 0)))


def laptop(rng: Rng) -> Mesh:
    """Build an open laptop, the lid at any angle."""
    wide, deep, thick = rng.uniform(0.28, 0.38), rng.uniform(0.2, 0.26), rng.uniform(0.012, 0.022)
    lid = _block(wide, 0.008, deep, 0, 0, deep / 2)
    lean = rotation_about("x", rng.uniform(-0.1, 0.7))
    keys = _block(0.85 * wide, 0.4 * deep, 0.003, 0, -0.35 * deep, thick)
    base = _block(wide, deep, thick, 0, -deep / 2, thick / 2)
    return join(base, keys, lid.transformed(rotation_about("z", np.pi) @ lean, (0, 0, thick)))


def roll(rng: Rng) -> Mesh:
    """Build a roll of paper or of tape: a cylinder with a hole."""
    outer, tall = rng.uniform(0.04, 0.07), rng.uniform(0.05, 0.26)
    inner = outer * rng.uniform(0.3, 0.6)
    return _turned([(inner, 0), (outer, 0), (outer, tall), (inner, tall), (inner, 0)])


def waste_bin(rng: Rng) -> Mesh:
    """Build a bin, open or under a lid."""
    foot, rim, tall = rng.uniform(0.09, 0.14), rng.uniform(0.13, 0.18), rng.uniform(0.25, 0.5)
    if rng.random() < 0.5:
        inside = [(rim - 0.008, tall), (foot - 0.008, 0.01), (0, 0.01)]
        return _turned([(0, 0), (foot, 0), (rim, tall), *inside])
    lid = [(rim * 1.04, tall), (rim * 1.04, tall + 0.02), (0, tall + rng.uniform(0.04, 0.14))]
    return _turned([(0, 0), (foot, 0), (rim, tall), *lid])


#: The classes in label order.
BUILDERS: dict[str, Callable[[Rng], Mesh]] = {
    "mug": mug,
    "bottle": bottle,
    "bowl": bowl,
    "chair": chair,
    "stool": stool,
    "lamp": lamp,
    "box": carton,
    "book": book,
    "monitor": monitor,
    "keyboard": keyboard,
    "ball": clutter.ball,
    "plant": plant,
    "bag": bag,
    "table": table,
    "teapot": teapot,
    "shoe": shoe,
    "laptop": laptop,
    "roll": roll,
    "bin": waste_bin,
    "sofa": furniture.sofa,
}

#: Classes of which some objects lie on their side.
TOPPLED = ("mug", "bottle", "roll", "shoe")


def build(name: str, rng: Rng) -> Mesh:
    """Build a random object of a class, see :func:`posed`."""
    return posed(BUILDERS[name](rng), name, rng)


def posed(mesh: Mesh, name: str, rng: Rng, stretch: float = 0.15) -> Mesh:
    """Turn an object of class ``name`` about z and stretch it.

    Its middle is then on the z axis and it stands on z = 0. One in eight of :data:`TOPPLED` lies
    on its side.

    Args:
        mesh: The object, upright.
        name: Its class.
        rng: Source of all randomness.
        stretch: By how much at most, as a share of its size, each way.
    """
    scale = np.diag(rng.uniform(1 - stretch, 1 + stretch, 3))
    turn = rotation_about("z", rng.uniform(0, 2 * np.pi))
    if name in TOPPLED and rng.random() < 1 / 8:
        turn = turn @ rotation_about("x", np.pi / 2) @ rotation_about("z", rng.uniform(0, 7))
    return stood(mesh.transformed(turn @ scale, (0, 0, 0)))


def stood(mesh: Mesh) -> Mesh:
    """Move a mesh so that its middle is on the z axis and it stands on z = 0."""
    low, high = mesh.bounds()
    return mesh.transformed(np.eye(3), (*(-(low + high)[:2] / 2), -low[2]))


def _block(x: float, y: float, z: float, *center: float) -> Mesh:
    return box((x, y, z), center, FINISH, LABEL)


def _turned(profile: list[tuple[float, float]]) -> Mesh:
    return lathe(profile, (0, 0, 0), FINISH, LABEL, 20)


def _arc(
    center: tuple[float, float, float], reach: float, half: float, thick: float, pieces: int = 6
) -> Mesh:
    """Build a bent rod in xz: from ``half`` above ``center`` out to x + ``reach`` and back."""
    angle = np.linspace(np.pi / 2, -np.pi / 2, pieces + 1)
    path = np.stack([reach * np.cos(angle), 0 * angle, half * np.sin(angle)], 1) + center
    return join(
        *(rod(*ends, thick, FINISH, LABEL, 6) for ends in zip(path[:-1], path[1:], strict=True))
    )
