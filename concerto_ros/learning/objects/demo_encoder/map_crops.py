# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Map crops: objects as the node passes them to an encoder, segmented in a map of voxels.

An object stands on a table or on the floor, sometimes with another beside it. A depth camera sees
it from one to four places whose poses err a little, the map keeps one mean per voxel, and
``concerto_ros.objects.finding.instances`` segments it. So its foot stays in the table, a neighbour
may be attached to it, and a part may be missing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from concerto_ros.learning.objects.data.views import picture, scene_of
from concerto_ros.objects.finding.class_roles import ClassRoles
from concerto_ros.objects.finding.instances import LabelledCloud, find_instances
from concerto_ros.sim.mesh import Mesh, join
from concerto_ros.sim.pieces.furniture import Rng

#: Labels of the floor (also of other background), of a table's top, and of objects.
FLOOR, TABLE, THING = 0, 1, 2

ROLES = ClassRoles(
    things=frozenset({TABLE, THING}), supports=frozenset({TABLE}), background=frozenset({FLOOR})
)

#: Fewest voxels of an object, as in the node.
MIN_VOXELS = 20

#: Objects up to this size stand on tables four times in five, metres.
TABLE_SIZED = 0.75

#: Width of the table or floor that is seen around an object, metres.
AROUND = 0.3

#: Standard deviations of the height of a table's readings and of a camera's position, metres.
ROUGH, POSE = 0.004, 0.004

#: Width and height of an image in pixels: enough for a map without holes.
PIXELS = 200

#: Share of the cases in which a part of the object has a background label.
MISLABELLED = 0.2


@dataclass(frozen=True, eq=False)
class MapCrop:
    """An object as the node segments it.

    Attributes:
        points: (N, 3) float64, metres, z up, mean of each voxel.
        purity: Share of its voxels that belong to the object.
        whole: Share of the object's visible voxels that it contains.
    """

    points: np.ndarray
    purity: float
    whole: float


def crop_from_map(
    mesh: Mesh, voxel: float, rng: Rng, *, neighbour: Mesh | None = None, apart: float = 0.03
) -> MapCrop | None:
    """Segment ``mesh``, which stands on z = 0, in a simulated map.

    Args:
        mesh: The object, metres.
        voxel: Size of the map's voxels, metres.
        rng: Source of all randomness.
        neighbour: Another object, which stands beside it.
        apart: Distance of the neighbour's box, metres.

    Returns:
        The crop with the most voxels of the object; None if no crop has any.
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
    visible = own & ((points[:, 2] > 0.75 * voxel) | (ground == FLOOR))
    seen = max(1, int(np.count_nonzero(visible)))
    best = 0
    for instance in find_instances(cloud, ROLES, MIN_VOXELS):
        count = int(np.count_nonzero(own[instance.rows]))
        if count > best:
            best, rows = count, instance.rows
    return MapCrop(points[rows], best / len(rows), best / seen) if best else None


def _beside(mesh: Mesh, neighbour: Mesh, apart: float, rng: Rng) -> Mesh:
    """Move the neighbour in a random direction, its box ``apart`` metres from that of ``mesh``."""
    (low, high), (lowest, highest) = mesh.bounds(), neighbour.bounds()
    angle = rng.uniform(0, 2 * np.pi)
    direction = np.array([np.cos(angle), np.sin(angle)])
    reach = ((high - low + highest - lowest)[:2] / 2 + apart) / np.maximum(np.abs(direction), 1e-6)
    middle = (low + high - lowest - highest)[:2] / 2
    return neighbour.transformed(np.eye(3), (*(middle + reach.min() * direction), 0.0))


def _seen(meshes: list[Mesh], rng: Rng) -> tuple[np.ndarray, np.ndarray]:
    """Return (N, 3) readings of one to four cameras, and (N,) the number of their mesh from 1."""
    scene = scene_of(*meshes)
    # Half of the time the image contains the object alone, else also its neighbour.
    bounds = meshes[0].bounds() if rng.random() < 0.5 else join(*meshes).bounds()
    yaw, clouds, parts = rng.uniform(0, 2 * np.pi), [], []
    for turn in [0.0, *rng.uniform(-1.2, 1.2, int(rng.integers(4)))]:
        points, part = picture(scene, bounds, yaw + turn, rng, PIXELS)
        clouds.append(points + rng.normal(0, POSE, 3))
        parts.append(part + 1)
    return np.concatenate(clouds), np.concatenate(parts)


def _with_ground(
    points: np.ndarray, part: np.ndarray, mesh: Mesh, voxel: float, rng: Rng
) -> tuple[np.ndarray, np.ndarray]:
    """Add the readings of what the object stands on, part 0."""
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
    """Average readings by voxel, on a lattice with a random offset.

    Args:
        points: (N, 3) metres.
        part: (N,) the part of each reading, 0 to 2.
        voxel: Size of a voxel, metres.
        rng: Source of all randomness.

    Returns:
        (V, 3) lattice indices, (V, 3) means and (V,) the part of most readings.
    """
    index = np.floor((points + rng.uniform(0, voxel, 3)) / voxel).astype(np.int64)
    index, row = np.unique(index, axis=0, return_inverse=True)
    row = row.reshape(-1)
    count = np.bincount(row)
    means = np.stack([np.bincount(row, points[:, axis]) / count for axis in range(3)], axis=1)
    votes = np.bincount(row * 3 + part, minlength=3 * len(index)).reshape(-1, 3)
    return index.astype(np.int32), means, votes.argmax(1)


def beyond_plane(points: np.ndarray, chosen: np.ndarray, share: float, rng: Rng) -> np.ndarray:
    """Select those of (V, D) points beyond a plane that has a ``share`` of the chosen before it.

    Returns:
        (V,) bool.
    """
    if not chosen.any():
        return chosen
    direction = rng.normal(size=points.shape[1])
    along = points @ direction
    return along > np.quantile(along[chosen], share)
