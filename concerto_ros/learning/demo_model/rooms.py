# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Data set of the bundled demo model: scans of simulated rooms, made once and kept on disk."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from concerto_ros.files.atomic_write import replacing
from concerto_ros.files.numpy_file import read_npz
from concerto_ros.labels.label_set import UNLABELLED, LabelSet
from concerto_ros.learning.data.batch import Batch, make_batch
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.learning.data.lazy_sequence import LazySequence
from concerto_ros.learning.data.spawn_map import spawn_map
from concerto_ros.learning.demo_model.simulated_scans import SCANS, SPACING, scans_of
from concerto_ros.mapping.voxel_grid import voxel_keys
from concerto_ros.segmentation.convention import Convention
from concerto_ros.sensors.normals import unit_vectors
from concerto_ros.sim.mesh import rotation_about

log = logging.getLogger(__name__)

#: Seeds of the rooms for training, validation and test; they are disjoint. The live demo uses
#: room 0, a test room.
TRAINING_SEEDS = range(10_000, 10_282)
VALIDATION_SEEDS = range(9_000, 9_008)
TEST_SEEDS = range(0, 40)

#: For most of the training a batch has two crops with this number of voxels together; the smaller
#: one has at least the minimum. Small crops show more rooms in the same time.
PAIR_VOXELS, MIN_CROP_VOXELS = 5_400, 1_000
#: At the end of the training a batch has one crop of this number of voxels: a model that was
#: trained on small crops only labels whole scans worse than crops of them (compare Touvron et al.,
#: NeurIPS 2019, on the size of images).
LARGE_CROP_VOXELS = 7_000
#: Probability that the centre of a crop is a point of a random class instead of any point, as
#: floor and walls are most of the points.
CROP_CLASS_PROBABILITY = 0.7
#: Relative frequency of a class as the centre of a crop, 1 if not listed. Doors are the hardest
#: class: a leaf is as flat and as upright as the wall that it is in.
CROP_CLASS_WEIGHTS = {"door": 3.0}


class DemoRooms(LazySequence[Scan]):
    """The scans of simulated rooms, five of each, in a folder with one file per room.

    Files of rooms that do not exist yet are made first. They have millimetres as int16 and normals
    as int8; a room takes about 2 MB.

    Args:
        folder: Folder of the files; created if it does not exist.
        seeds: Seeds of the rooms.
        processes: Number of processes that simulate rooms; None: one per core.
    """

    def __init__(self, folder: Path, seeds: Sequence[int], processes: int | None = None):
        self.folder, self.seeds = Path(folder), list(seeds)
        self.classes = LabelSet.load("demo")
        self.folder.mkdir(parents=True, exist_ok=True)
        missing = [(self.folder, seed) for seed in self.seeds if not self._path(seed).is_file()]
        if missing:
            log.info("simulating %d rooms into %s", len(missing), self.folder)
            spawn_map(_make, missing, processes, unit="room")

    def __len__(self) -> int:
        return SCANS * len(self.seeds)

    def read_item(self, index: int) -> Scan:
        """Read a scan; all have normals, those of LiDARs no colours."""
        room, number = divmod(index, SCANS)
        names = ("name", "points", "labels", "colors", "normals")
        file = read_npz(self._path(self.seeds[room]), [f"{name}{number}" for name in names])
        value = {name: file[f"{name}{number}"] for name in names}
        return Scan(
            str(value["name"]),
            value["points"].astype(np.float32) / 1000,
            value["labels"],
            value["colors"] if len(value["colors"]) else None,
            unit_vectors(value["normals"].astype(np.float32)),
        )

    def _path(self, seed: int) -> Path:
        return _path(self.folder, seed)


def _path(folder: Path, seed: int) -> Path:
    return folder / f"room{seed:05d}.npz"


def _make(job: tuple[Path, int]) -> int:
    """Write the file of one room."""
    folder, seed = job
    content: dict[str, Any] = {}
    for number, scan in enumerate(scans_of(seed)):
        assert scan.normals is not None  # of simulated scans
        colors = np.zeros((0, 3), np.uint8) if scan.colors is None else scan.colors
        content |= {
            f"name{number}": np.array(scan.name),
            f"points{number}": np.rint(scan.points * 1000).clip(-32000, 32000).astype(np.int16),
            f"labels{number}": scan.labels,
            f"colors{number}": colors,
            f"normals{number}": np.rint(scan.normals * 127).astype(np.int8),
        }
    with replacing(_path(folder, seed)) as partial, partial.open("wb") as file:
        np.savez(file, **content)
    return seed


@dataclass(frozen=True)
class RoomCollate:
    """Grid-samples scans; with a generator, for training, it crops and augments them first.

    Training batches have about the same number of voxels, so that processes that compute one batch
    each do not wait for each other.

    Attributes:
        convention: Scale and centre of the coordinates.
        voxel_size: Metres.
        large: Whether a batch is one crop of ``LARGE_CROP_VOXELS`` voxels, of the first scan,
            instead of two crops with ``PAIR_VOXELS`` voxels together.
    """

    convention: Convention
    voxel_size: float
    large: bool = False

    def __call__(self, scans: Sequence[Scan], generator: np.random.Generator | None) -> Batch:
        """The batch of ``scans``; without a generator they are neither cropped nor augmented."""
        if generator is not None:
            sizes = (LARGE_CROP_VOXELS,) if self.large else _two_sizes(generator)
            scans = [
                augment(crop(scan, size, self.voxel_size, generator), generator)
                for scan, size in zip(scans, sizes, strict=False)
            ]
        return make_batch(scans, self.convention, self.voxel_size)


def _two_sizes(rng: np.random.Generator) -> tuple[int, int]:
    """Numbers of voxels of two crops, the smaller one log-uniform."""
    size = int(np.exp(rng.uniform(np.log(MIN_CROP_VOXELS), np.log(PAIR_VOXELS // 2))))
    return size, PAIR_VOXELS - size


def crop(scan: Scan, size: int, voxel_size: float, rng: np.random.Generator) -> Scan:
    """Keep the points in a vertical cylinder of about ``size`` voxels, sometimes thinned out.

    The axis goes mostly through a point of a random class. The edge is sharp, like that of a
    rolling map, from which everything beyond a distance is removed.
    """
    rows = np.arange(len(scan))
    if rng.random() < 0.25:
        rows = rows[rng.random(len(rows)) < rng.uniform(0.08, 0.7)]
    if not len(rows):
        return scan
    points = scan.points[rows]
    # By the column of the voxel, so that voxels are kept or removed as a whole.
    column = np.floor(points[:, :2] / np.float32(voxel_size))
    distance = _squared(column - column[_center(scan.labels[rows], rng)])
    _, first = np.unique(voxel_keys(points, voxel_size), return_index=True)
    if len(first) > size:
        rows = rows[distance <= np.partition(distance[first], size)[size]]
    colors = None if scan.colors is None else scan.colors[rows]
    normals = None if scan.normals is None else scan.normals[rows]
    return Scan(scan.name, scan.points[rows], scan.labels[rows], colors, normals)


def augment(scan: Scan, rng: np.random.Generator) -> Scan:
    """Augment a scan, which has to have normals.

    Rotation, reflection, a little tilt and scaling; jitter; holes; a few flying points (which
    shift the bounding box by which the coordinates are centred); other light; colours and normals
    are dropped at random.
    """
    points, labels, colors, normals = scan.points, scan.labels, scan.colors, scan.normals
    if normals is None:
        raise ValueError(f"{scan.name}: has no normals, expected them for this augmentation")
    keep = _without_holes(points, rng)
    points, labels, normals = points[keep], labels[keep], normals[keep]
    colors = None if colors is None else colors[keep]

    angle = rng.uniform(0, 2 * np.pi)
    c, s = np.cos(angle), np.sin(angle)
    matrix = np.array([(c, -s, 0), (s, c, 0), (0, 0, 1)])
    matrix[:2, 0] *= rng.choice([-1, 1])
    if rng.random() < 0.3:
        for axis in "xy":
            matrix = rotation_about(axis, rng.normal(0, 0.05)) @ matrix
    matrix = matrix.astype(np.float32)
    points = (points @ matrix.T) * rng.uniform(0.9, 1.1, 3).astype(np.float32)
    points += rng.normal(0, rng.choice([0.0, 0.003, 0.008]), points.shape).astype(np.float32)
    points += rng.uniform(-0.5, 0.5, 3).astype(np.float32)
    normals = normals @ matrix.T
    if rng.random() < 0.15:  # as for a cloud whose sensor position is not known
        inward = (points.min(0) + points.max(0)) / 2 - points
        normals = normals * np.where((normals * inward).sum(1, keepdims=True) < 0, -1, 1)
        normals = normals.astype(np.float32)
    blurred = rng.choice([0.0, 0.05, 0.15])
    if blurred:
        normals = unit_vectors(normals + rng.normal(0, blurred, normals.shape).astype(np.float32))

    flying = int(rng.choice([0, 3, 20]))
    if flying:
        # Some are far away: on a robot the origin of the coordinates may be metres from the centre
        # of the map as well, because it stays fixed while the map grows.
        reach = np.array([*rng.choice([0.4, 4.0], 2), rng.choice([0.1, 0.4, 1.0])])
        low, high = points.min(0) - reach, points.max(0) + reach
        points = np.concatenate([points, rng.uniform(low, high, (flying, 3))]).astype(np.float32)
        labels = np.concatenate([labels, np.full(flying, UNLABELLED, np.uint8)])
        normals = np.concatenate([normals, np.zeros((flying, 3), np.float32)])
    if colors is not None:
        colors = _relit(colors, rng)
        colors = np.concatenate([colors, rng.integers(0, 256, (flying, 3), np.uint8)])
    if rng.random() < 0.2:
        colors = None
    without_normals = rng.random() < 0.15
    return Scan(scan.name, points, labels, colors, None if without_normals else normals)


def _without_holes(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(N,) bool: the points outside up to three random balls; all if fewer than 50 remain."""
    keep = np.ones(len(points), bool)
    for _ in range(int(rng.integers(0, 4))):
        distance = _squared(points - points[rng.integers(len(points))])
        keep &= distance > rng.uniform(0.05, 0.35) ** 2
    return keep if keep.sum() >= 50 else np.ones(len(points), bool)


def _center(labels: np.ndarray, rng: np.random.Generator) -> int:
    """Row of the centre of a crop: a point of a random class, or any point."""
    present = np.unique(labels[labels != UNLABELLED])
    if len(present) and rng.random() < CROP_CLASS_PROBABILITY:
        weights = _crop_class_weights()[present]
        label = rng.choice(present, p=weights / weights.sum())
        return int(rng.choice(np.flatnonzero(labels == label)))
    return int(rng.integers(len(labels)))


@cache
def _crop_class_weights() -> np.ndarray:
    """Relative frequency of each class as the centre of a crop, (K,)."""
    classes = LabelSet.load("demo").classes
    return np.array([CROP_CLASS_WEIGHTS.get(c.name, 1.0) for c in classes])


def _relit(colors: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Change exposure, contrast and white balance, sometimes to grey; (N, 3) uint8."""
    value = colors.astype(np.float32) / 255
    if rng.random() < 0.15:
        value = np.repeat(value.mean(1, keepdims=True), 3, 1)
    middle = value.mean()
    value = (value - middle) * rng.uniform(0.6, 1.4) + middle
    value = value * rng.uniform(0.75, 1.25) * rng.uniform(0.9, 1.1, 3).astype(np.float32)
    value += rng.normal(0, 0.03, value.shape).astype(np.float32)
    return (value.clip(0, 1) * 255).astype(np.uint8)


def _squared(vectors: np.ndarray) -> np.ndarray:
    """Squared lengths (N,) of vectors (N, D)."""
    return np.einsum("nd,nd->n", vectors, vectors)


def thinned(scan: Scan, seed: int = 0) -> Scan:
    """A tenth of the points without colour: as sparse as the scan of a small LiDAR."""
    rng = np.random.default_rng(seed)
    rows = np.flatnonzero(rng.random(len(scan)) < 5 * SPACING)
    normals = None if scan.normals is None else scan.normals[rows]
    return Scan(scan.name, scan.points[rows], scan.labels[rows], None, normals)
