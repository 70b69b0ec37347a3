# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a node cuts out of a map that is none of the benchmark's things: scraps, and other things.

Pieces of walls and tables that a model labels wrong, corners, several things in one, small parts
of one thing, furniture of other kinds. An encoder learns from them to say that it knows nothing.
"""

from __future__ import annotations

import numpy as np

from concerto_ros.learning.objects.data.shapes import BUILDERS, build
from concerto_ros.learning.objects.demo_encoder.map_crops import (
    MIN_VOXELS,
    beyond_plane,
    cut_out,
    voxel_means_of,
)
from concerto_ros.sim import furniture
from concerto_ros.sim import small_objects as clutter
from concerto_ros.sim.furniture import Rng, pick
from concerto_ros.sim.mesh import rotation_about

#: Of several things in one, none has a larger share.
NO_OWNER = 0.7

#: A part of a thing with a smaller share of its voxels does not tell what it is of.
PART = (0.1, 0.3)

#: Attempts at one scrap.
TRIES = 40

#: Other furniture to learn from; what is only met in the test.
OTHER_KINDS = (furniture.cupboard, furniture.bookshelf)
UNSEEN_KINDS = (furniture.bed, clutter.person)


def piece(voxel: float, rng: Rng) -> np.ndarray | None:
    """A piece of a wall or of a level top, with a ragged outline."""
    return _in_map(_sheet(rng, upright=rng.random() < 0.6), voxel, rng)


def corner(voxel: float, rng: Rng) -> np.ndarray | None:
    """Two or three such pieces that meet at right angles."""
    turns = [np.eye(3), rotation_about("z", np.pi / 2), rotation_about("x", np.pi / 2)]
    sheets = [_sheet(rng, upright=True) @ turn.T for turn in turns[: int(rng.integers(2, 4))]]
    return _in_map(np.concatenate(sheets), voxel, rng)


def several(voxel: float, rng: Rng) -> np.ndarray | None:
    """Two or three things that the map does not keep apart, none of them most of it."""
    names = rng.permutation(list(BUILDERS))[: int(rng.integers(2, 4))]
    found = [cut_out(build(name, rng), voxel, rng) for name in names]
    if None in found:
        return None
    counts = [len(one.points) for one in found]
    if max(counts) > NO_OWNER * sum(counts):
        return None
    joined = found[0].points
    for one in found[1:]:
        angle = rng.uniform(0, 2 * np.pi)
        joined = np.concatenate([joined, _touching(joined, one.points, angle)])
    return joined


def part(voxel: float, rng: Rng) -> np.ndarray | None:
    """A small part of a thing, cut off anywhere."""
    found = cut_out(build(pick(rng, list(BUILDERS)), rng), voxel, rng)
    if found is None:
        return None
    whole = np.ones(len(found.points), bool)
    return found.points[beyond_plane(found.points, whole, 1 - rng.uniform(*PART), rng)]


def other_thing(voxel: float, rng: Rng) -> np.ndarray | None:
    """Furniture that is none of the classes."""
    return _thing(OTHER_KINDS, voxel, rng)


def unseen_thing(voxel: float, rng: Rng) -> np.ndarray | None:
    """What no training has: beds and people."""
    return _thing(UNSEEN_KINDS, voxel, rng)


SCRAPS = {
    "piece": piece,
    "corner": corner,
    "several": several,
    "part": part,
    "other thing": other_thing,
    "unseen thing": unseen_thing,
}

#: Those to learn from.
TRAINED = tuple(name for name in SCRAPS if name != "unseen thing")


def scrap(name: str, voxel: float, rng: Rng) -> np.ndarray:
    """(N, 3) metres, z up: one of :data:`SCRAPS` in a map with voxels of ``voxel`` metres."""
    for _ in range(TRIES):
        points = SCRAPS[name](voxel, rng)
        if points is not None and len(points) >= MIN_VOXELS:
            return points
        voxel *= 0.9
    raise RuntimeError(f"no {name} came of {TRIES} attempts")


def _touching(points: np.ndarray, others: np.ndarray, angle: float) -> np.ndarray:
    """(M, 3) ``others`` moved over the ground until they touch ``points`` on one side."""
    direction = np.array([np.cos(angle), np.sin(angle)])
    middles = [cloud[:, :2].mean(0) for cloud in (points, others)]
    reach = ((points[:, :2] - middles[0]) @ direction).max()
    reach -= ((others[:, :2] - middles[1]) @ direction).min()
    moved = others.copy()
    moved[:, :2] += middles[0] - middles[1] + reach * direction
    return moved


def _thing(kinds, voxel: float, rng: Rng) -> np.ndarray | None:
    mesh = pick(rng, kinds)(rng).placed(0, 0, 0, rng.uniform(0, 2 * np.pi))
    found = cut_out(mesh, voxel, rng)
    return None if found is None else found.points


def _sheet(rng: Rng, *, upright: bool) -> np.ndarray:
    """(N, 3) readings of a flat piece: discs joined, others taken away, some readings missing."""
    size = np.exp(rng.uniform(np.log(0.12), np.log(1.5)))
    ground = size * rng.uniform(-1, 1, (20_000, 2)) * (1, rng.uniform(0.25, 1))
    kept = np.zeros(len(ground), bool)
    for _ in range(int(rng.integers(1, 4))):
        kept |= _disc(ground, size, rng)
    if rng.random() < 0.5:
        kept &= ~_disc(ground, size, rng)
    if rng.random() < 0.3:  # a straight edge
        kept &= ~beyond_plane(ground, kept, rng.uniform(0.5, 0.9), rng)
    kept &= rng.random(len(ground)) < rng.uniform(0.2, 1)
    flat = np.concatenate([ground, rng.normal(0, rng.uniform(0.002, 0.012), (20_000, 1))], axis=1)
    tilt = rotation_about("x", rng.normal(0, 0.05) + (np.pi / 2 if upright else 0))
    return flat[kept] @ tilt.T


def _disc(ground: np.ndarray, size: float, rng: Rng) -> np.ndarray:
    middle, radius = rng.uniform(-0.7, 0.7, 2) * size, size * rng.uniform(0.25, 0.9)
    return np.hypot(*(ground - middle).T) < radius


def _in_map(points: np.ndarray, voxel: float, rng: Rng) -> np.ndarray:
    turned = points @ rotation_about("z", rng.uniform(0, 2 * np.pi)).T
    return voxel_means_of(turned, np.zeros(len(turned), np.int64), voxel, rng)[1]
