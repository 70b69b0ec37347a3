# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Background crops: what a node segments in a map that belongs to no class of the benchmark.

Pieces of walls and tables that a model labels wrong, corners, several objects in one, small parts
of one object, furniture of other types. An encoder learns from them to answer "none of these".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from concerto_ros.learning.objects.data.shapes import BUILDERS, build
from concerto_ros.learning.objects.demo_encoder.map_crops import (
    MIN_VOXELS,
    beyond_plane,
    crop_from_map,
    voxel_means_of,
)
from concerto_ros.sim.mesh import Mesh, rotation_about
from concerto_ros.sim.pieces import furniture
from concerto_ros.sim.pieces import small_objects as clutter
from concerto_ros.sim.pieces.furniture import Rng, pick

#: Of several objects in one crop, none has a larger share.
NO_OWNER = 0.7

#: Share of an object's voxels in a small part, too few to show what object it is.
PART = (0.1, 0.3)

#: Attempts at one crop.
TRIES = 40

#: Other furniture to train on; objects that only the test contains.
OTHER_KINDS = (furniture.cupboard, furniture.bookshelf)
UNSEEN_KINDS = (furniture.bed, clutter.person)


def piece(voxel: float, rng: Rng) -> np.ndarray | None:
    """Make a piece of a wall or of a horizontal top, with a ragged outline."""
    return _in_map(_sheet(rng, upright=rng.random() < 0.6), voxel, rng)


def corner(voxel: float, rng: Rng) -> np.ndarray | None:
    """Make two or three such pieces that meet at right angles."""
    turns = [np.eye(3), rotation_about("z", np.pi / 2), rotation_about("x", np.pi / 2)]
    sheets = [_sheet(rng, upright=True) @ turn.T for turn in turns[: int(rng.integers(2, 4))]]
    return _in_map(np.concatenate(sheets), voxel, rng)


def several(voxel: float, rng: Rng) -> np.ndarray | None:
    """Make two or three objects that the map does not separate, none of them most of it."""
    names = rng.permutation(list(BUILDERS))[: int(rng.integers(2, 4))]
    attempts = [crop_from_map(build(name, rng), voxel, rng) for name in names]
    clouds = [crop.points for crop in attempts if crop is not None]
    if len(clouds) < len(attempts):
        return None
    counts = [len(cloud) for cloud in clouds]
    if max(counts) > NO_OWNER * sum(counts):
        return None
    joined = clouds[0]
    for cloud in clouds[1:]:
        angle = rng.uniform(0, 2 * np.pi)
        joined = np.concatenate([joined, _touching(joined, cloud, angle)])
    return joined


def part(voxel: float, rng: Rng) -> np.ndarray | None:
    """Make a small part of an object, cut off anywhere."""
    crop = crop_from_map(build(pick(rng, list(BUILDERS)), rng), voxel, rng)
    if crop is None:
        return None
    whole = np.ones(len(crop.points), bool)
    return crop.points[beyond_plane(crop.points, whole, 1 - rng.uniform(*PART), rng)]


def other_thing(voxel: float, rng: Rng) -> np.ndarray | None:
    """Make furniture of none of the classes."""
    return _thing(OTHER_KINDS, voxel, rng)


def unseen_thing(voxel: float, rng: Rng) -> np.ndarray | None:
    """Make what no training contains: beds and people."""
    return _thing(UNSEEN_KINDS, voxel, rng)


BACKGROUND_CROPS = {
    "piece": piece,
    "corner": corner,
    "several": several,
    "part": part,
    "other thing": other_thing,
    "unseen thing": unseen_thing,
}

#: Those to train on.
TRAINED = tuple(name for name in BACKGROUND_CROPS if name != "unseen thing")


def background_crop(name: str, voxel: float, rng: Rng) -> np.ndarray:
    """Make one of :data:`BACKGROUND_CROPS`: (N, 3) metres, z up.

    Args:
        name: A key of :data:`BACKGROUND_CROPS`.
        voxel: Size of the map's voxels, metres.
        rng: Source of all randomness.

    Raises:
        RuntimeError: If no attempt gives enough voxels.
    """
    for _ in range(TRIES):
        points = BACKGROUND_CROPS[name](voxel, rng)
        if points is not None and len(points) >= MIN_VOXELS:
            return points
        voxel *= 0.9
    raise RuntimeError(
        f"no {name} in {TRIES} attempts, expected one of at least {MIN_VOXELS} voxels"
    )


def _touching(points: np.ndarray, others: np.ndarray, angle: float) -> np.ndarray:
    """Move (M, 3) ``others`` over the ground until they touch ``points`` on one side."""
    direction = np.array([np.cos(angle), np.sin(angle)])
    middles = [cloud[:, :2].mean(0) for cloud in (points, others)]
    reach = ((points[:, :2] - middles[0]) @ direction).max()
    reach -= ((others[:, :2] - middles[1]) @ direction).min()
    moved = others.copy()
    moved[:, :2] += middles[0] - middles[1] + reach * direction
    return moved


def _thing(builders: Sequence[Callable[[Rng], Mesh]], voxel: float, rng: Rng) -> np.ndarray | None:
    mesh = pick(rng, builders)(rng).placed(0, 0, 0, rng.uniform(0, 2 * np.pi))
    crop = crop_from_map(mesh, voxel, rng)
    return None if crop is None else crop.points


def _sheet(rng: Rng, *, upright: bool) -> np.ndarray:
    """Make (N, 3) readings of a flat piece: joined discs, holes, some readings missing."""
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
