# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Trees, bushes, hedges and tall grass: loose leaves between which beams pass."""

from __future__ import annotations

import numpy as np

from concerto_ros.sim.streets.pieces.models import drawn_model
from concerto_ros.sim.streets.shapes import Paint, Solid, blades, join, leaves, tubes

_GREENS = (
    (66, 96, 44),
    (84, 112, 52),
    (104, 124, 60),
    (52, 78, 44),
    (128, 120, 58),
    (150, 92, 40),
)


def tree(rng: np.random.Generator, kind: str | None = None) -> Solid:
    """A tree of 2.5 to 18 m: ``broad``, ``column``, ``conifer``, ``young`` or ``bare``."""
    model = drawn_model(rng, "tree", share=0.15) if kind is None else None
    if model is not None:
        return model
    kinds = ["broad", "column", "conifer", "young", "bare"]
    kind = kind or str(rng.choice(kinds, p=[0.42, 0.1, 0.16, 0.16, 0.16]))
    bark = Paint("vegetation", tuple(rng.uniform([70, 56, 44], [120, 104, 90])), 0.3)
    height = {
        "broad": rng.uniform(5, 16),
        "column": rng.uniform(5, 14),
        "conifer": rng.uniform(3, 18),
        "young": rng.uniform(2.5, 5),
        "bare": rng.uniform(5, 14),
    }[kind]
    radius = height * rng.uniform(0.014, 0.028) + 0.03
    clear = height * (rng.uniform(0.02, 0.12) if kind == "conifer" else rng.uniform(0.15, 0.4))
    top = np.array([*rng.normal(0, 0.03 * height, 2), height * 0.9])
    trunk = tubes((0, 0, -0.4), top, radius, bark, radius * 0.25, sides=7)
    if kind == "bare":
        return join([trunk, _branches(rng, height, clear, radius, bark, 60)])
    if kind == "conifer":
        return join([trunk, _cone(rng, height, clear)])
    width = height * {"broad": 0.34, "column": 0.13, "young": 0.22}[kind] * rng.uniform(0.75, 1.25)
    tall = (height - clear) / 2
    count = int(rng.integers(4, 9))
    blob = rng.normal(0, 1, (count, 3))
    blob /= np.linalg.norm(blob, axis=1, keepdims=True)
    places = blob * [width * 0.55, width * 0.55, tall * 0.6] + [0, 0, clear + tall]
    sizes = rng.uniform(0.45, 0.75, (count, 1)) * [width, width, min(tall, width * 1.2)]
    points = _in_blobs(rng, places, sizes, int(min(3600, 330 * width * tall + 350)))
    size = rng.uniform(0.16, 0.32) + 0.02 * width
    parts = [trunk, leaves(points, size * rng.uniform(0.6, 1.4, len(points)), _leaf(rng), rng)]
    if kind == "broad":
        parts.append(_branches(rng, height, clear, radius, bark, 14))
    return join(parts)


def bush(rng: np.random.Generator) -> Solid:
    """A bush of 0.4 to 3 m, down to the ground."""
    model = drawn_model(rng, "bush", share=0.3)
    if model is not None:
        return model
    height = np.exp(rng.uniform(np.log(0.4), np.log(3)))
    count = int(rng.integers(1, 5))
    spread = height * rng.uniform(0.3, 0.9)
    places = np.column_stack(
        [rng.normal(0, 0.5 * spread, (count, 2)), np.full(count, height * 0.42)]
    )
    sizes = rng.uniform(0.7, 1.1, (count, 1)) * [spread, spread, height * 0.55]
    points = _in_blobs(rng, places, sizes, int(300 + 330 * height * spread))
    points = points[points[:, 2] > 0]
    return leaves(points, rng.uniform(0.09, 0.22), _leaf(rng), rng)


def hedge(rng: np.random.Generator, length: float, height: float, width: float) -> Solid:
    """A cut hedge along x, round the origin; denser at its surface."""
    count = int(min(6000, 240 * length * (height + 0.5 * width)))
    place = rng.uniform(-0.5, 0.5, (count, 3))
    side = rng.random(count)
    place[:, 1] = np.where(side < 0.6, np.sign(place[:, 1]) * 0.5, place[:, 1])
    place[:, 2] = np.where(side > 0.8, 0.5, place[:, 2])
    points = (place + [0, 0, 0.5]) * [length, width, height] + rng.normal(0, 0.05, (count, 3))
    core = rng.uniform(-0.5, 0.5, (count // 6, 3)) + [0, 0, 0.5]
    points = np.concatenate([points, core * [length, width, height]])
    return leaves(points, rng.uniform(0.12, 0.22), _leaf(rng), rng)


def tall_grass(rng: np.random.Generator, points: np.ndarray, height: float) -> Solid:
    """Grass, reeds or crops of about ``height`` metres at ``points`` (N, 3) on the ground."""
    color = tuple(rng.uniform([90, 100, 40], [180, 160, 90]))
    tall = height * rng.uniform(0.5, 1.3, len(points))
    width = rng.uniform(0.03, 0.1)
    return blades(points, tall, width, Paint("vegetation", color, 0.4), rng)


def ivy(rng: np.random.Generator, length: float, height: float) -> Solid:
    """Leaves on a wall in the plane y = 0, from the origin along x and up; it is at y > 0."""
    count = int(min(2500, 60 * length * height))
    x, z = rng.uniform(0, length, count), height * rng.random(count) ** 1.3
    points = np.column_stack([x, np.abs(rng.normal(0.08, 0.06, count)), z])
    return leaves(points, 0.15, _leaf(rng), rng)


def log_pile(rng: np.random.Generator) -> Solid:
    """Fallen or stacked trunks."""
    count = int(rng.integers(3, 12))
    z = rng.uniform(0.12, 0.8, count)
    y = rng.uniform(-0.7, 0.7, count) * (1 - 0.7 * z)
    half = rng.uniform(0.8, 2.0)
    starts = np.column_stack([np.full(count, -half), y, z])
    bark = Paint("vegetation", (112, 88, 64), 0.3)
    return tubes(starts, starts * [-1, 1, 1], rng.uniform(0.09, 0.2, count), bark)


def _leaf(rng: np.random.Generator) -> Paint:
    color = np.array(_GREENS[rng.integers(len(_GREENS))]) * rng.uniform(0.8, 1.2)
    return Paint("vegetation", tuple(color), rng.uniform(0.35, 0.6), gaps=rng.uniform(0.0, 0.3))


def _in_blobs(rng, places: np.ndarray, sizes: np.ndarray, count: int) -> np.ndarray:
    """Random points in ellipsoids with centres ``places`` and half axes ``sizes``, (count, 3)."""
    volume = sizes.prod(1)
    which = rng.choice(len(places), count, p=volume / volume.sum())
    direction = rng.normal(0, 1, (count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    radius = rng.random((count, 1)) ** 0.42
    return places[which] + direction * radius * sizes[which]


def _cone(rng, height: float, clear: float) -> Solid:
    wide = height * rng.uniform(0.12, 0.26)
    count = int(min(3600, 400 + 220 * wide * height))
    up = 1 - np.sqrt(rng.random(count))
    turn, inward = rng.uniform(0, 2 * np.pi, count), rng.random(count) ** 0.4
    radius = wide * (1 - up) * inward
    points = np.column_stack(
        [radius * np.cos(turn), radius * np.sin(turn), clear + up * (height - clear)]
    )
    return leaves(points, 0.16 + 0.2 * rng.random(count), _leaf(rng), rng)


def _branches(rng, height: float, clear: float, radius: float, bark: Paint, count: int) -> Solid:
    z = rng.uniform(clear, height * 0.85, count)
    turn = rng.uniform(0, 2 * np.pi, count)
    length = (height - z) * rng.uniform(0.35, 0.75, count)
    out = np.column_stack([np.cos(turn), np.sin(turn), rng.uniform(0.4, 1.4, count)])
    starts = np.column_stack([np.zeros((count, 2)), z])
    ends = starts + out * length[:, None] * 0.7
    thick = radius * 0.45 * (1 - z / height) + 0.012
    parts = [tubes(starts, ends, thick, bark, thick * 0.4, sides=5)]
    # Twigs from along the branches.
    share = rng.uniform(0.3, 1.0, (3 * count, 1))
    which = rng.integers(0, count, 3 * count)
    base = starts[which] + share * (ends - starts)[which]
    twig = base + rng.normal(0, 0.28, (3 * count, 3)) * length[which, None] + [0, 0, 0.2]
    parts.append(tubes(base, twig, 0.018, bark, 0.008, sides=3))
    return join(parts)
