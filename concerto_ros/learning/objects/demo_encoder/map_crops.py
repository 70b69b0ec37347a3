# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Objects as the node hands them to an encoder: cut out of a labelled map of voxels.

A thing stands on a table or on the floor, sometimes with another beside it. A depth camera sees it
from one to four places whose poses err a little, the map keeps one mean per voxel, and
``concerto_ros.objects.finding.instances`` cuts. So its foot stays in the table, a neighbour may
hang on to it, and a part may be missing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from concerto_ros.learning.objects.data.views import picture, scene_of
from concerto_ros.objects.finding.class_roles import ClassRoles
from concerto_ros.objects.finding.instances import LabelledCloud, find_instances
from concerto_ros.sim.furniture import Rng
from concerto_ros.sim.mesh import Mesh, join

#: Labels of what a thing stands on (or of what is no thing), of a table's top, and of things.
FLOOR, TABLE, THING = 0, 1, 2

ROLES = ClassRoles(
    things=frozenset({TABLE, THING}), supports=frozenset({TABLE}), background=frozenset({FLOOR})
)

#: Fewest voxels of an object, as in the node.
MIN_VOXELS = 20

#: Things that are no larger stand on tables four times in five, metres.
TABLE_SIZED = 0.75

#: How much of a table or a floor is seen round a thing, metres.
AROUND = 0.3

#: Standard deviations of the height of a table's readings and of a camera's place, metres.
ROUGH, POSE = 0.004, 0.004

#: Pixels of a picture each way: enough for a map without holes.
PIXELS = 200

#: Share of the cases with a part of the thing under a label that is none.
MISLABELLED = 0.2


@dataclass(frozen=True, eq=False)
class CutOut:
    """What the node makes of a thing.

    Attributes:
        points: (N, 3) float64, metres, z up, mean of each voxel.
        purity: Share of its voxels that are of the thing.
        whole: Share of the thing's seen voxels that it has.
    """

    points: np.ndarray
    purity: float
    whole: float


def cut_out(
    mesh: Mesh, voxel: float, rng: Rng, *, neighbour: Mesh | None = None, apart: float = 0.03
) -> CutOut | None:
    """``mesh``, which stands on z = 0, cut out of a map with voxels of ``voxel`` metres.

    Args:
        neighbour: Stands ``apart`` metres beside it. None where no object has a voxel of the
            thing.
    """
    size = float(np.ptp(np.stack(mesh.bounds()), axis=0).max())
    ground = TABLE if size <= TABLE_SIZED and rng.random() < 0.8 else FLOOR
    meshes = [mesh] if neighbour is None else [mesh, _beside(mesh, neighbour, apart, rng)]
    points, part = _seen(meshes, rng)
    points, part = _with_ground(points, part, mesh, voxel, rng)
    index, points, part = voxel_means_of(points, part, voxel, rng)
    label = np.where(part == 0, ground, THING).astype(np.uint8)
    if rng.random() < MISLABELLED:
        label[(part == 1) & beyond_plane(points, part == 1, rng.uniform(0.6, 0.95), rng)] = ground
    cloud = LabelledCloud(
        index, points.astype(np.float32), label, np.ones(len(label), np.float32), voxel
    )
    own = part == 1
    seen = max(1, np.count_nonzero(own & ((points[:, 2] > 0.75 * voxel) | (ground == FLOOR))))
    best = None
    for instance in find_instances(cloud, ROLES, MIN_VOXELS):
        count = np.count_nonzero(own[instance.rows])
        if count and (best is None or count > best[0]):
            best = count, instance.rows
    if best is None:
        return None
    count, rows = best
    return CutOut(points[rows], count / len(rows), count / seen)


def _beside(mesh: Mesh, neighbour: Mesh, apart: float, rng: Rng) -> Mesh:
    """The neighbour in a random direction, its box ``apart`` metres from that of ``mesh``."""
    (low, high), (lowest, highest) = mesh.bounds(), neighbour.bounds()
    angle = rng.uniform(0, 2 * np.pi)
    direction = np.array([np.cos(angle), np.sin(angle)])
    reach = ((high - low + highest - lowest)[:2] / 2 + apart) / np.maximum(np.abs(direction), 1e-6)
    middle = (low + high - lowest - highest)[:2] / 2
    return neighbour.transformed(np.eye(3), (*(middle + reach.min() * direction), 0.0))


def _seen(meshes: list[Mesh], rng: Rng) -> tuple[np.ndarray, np.ndarray]:
    """(N, 3) readings of one to four cameras, and (N,) 1 for the first mesh, 2 for the second."""
    scene = scene_of(*meshes)
    # One camera is turned to the thing, another takes in all of it and its neighbour.
    bounds = meshes[0].bounds() if rng.random() < 0.5 else join(*meshes).bounds()
    yaw, found = rng.uniform(0, 2 * np.pi), []
    for turn in [0.0, *rng.uniform(-1.2, 1.2, int(rng.integers(4)))]:
        points, part = picture(scene, bounds, yaw + turn, rng, PIXELS)
        found.append((points + rng.normal(0, POSE, 3), part + 1))
    return tuple(np.concatenate(column) for column in zip(*found, strict=True))


def _with_ground(
    points: np.ndarray, part: np.ndarray, mesh: Mesh, voxel: float, rng: Rng
) -> tuple[np.ndarray, np.ndarray]:
    """Also the readings of what the thing stands on, part 0."""
    low, high = mesh.bounds()
    low, high = low[:2] - AROUND, high[:2] + AROUND
    count = int(4 * np.prod((high - low) / voxel))
    flat = np.concatenate(
        [rng.uniform(low, high, (count, 2)), rng.normal(0, ROUGH, (count, 1))], axis=1
    )
    return np.concatenate([points, flat]), np.concatenate([part, np.zeros(count, np.int64)])


def voxel_means_of(
    points: np.ndarray, part: np.ndarray, voxel: float, rng: Rng
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(V, 3) lattice indices, (V, 3) means and (V,) the part that most readings are of."""
    index = np.floor((points + rng.uniform(0, voxel, 3)) / voxel).astype(np.int64)
    index, place = np.unique(index, axis=0, return_inverse=True)
    place = place.reshape(-1)
    count = np.bincount(place)
    means = np.stack([np.bincount(place, points[:, axis]) / count for axis in range(3)], axis=1)
    votes = np.bincount(place * 3 + part, minlength=3 * len(index)).reshape(-1, 3)
    return index.astype(np.int32), means, votes.argmax(1)


def beyond_plane(points: np.ndarray, chosen: np.ndarray, share: float, rng: Rng) -> np.ndarray:
    """(V,) bool: which of (V, D) lie beyond a plane with a ``share`` of the chosen before it."""
    if not chosen.any():
        return chosen
    direction = rng.normal(size=points.shape[1])
    along = points @ direction
    return along > np.quantile(along[chosen], share)
