# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The data set of the model in the box: scans of simulated rooms, made once and kept on disk."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from concerto_ros.files.atomic_write import replacing
from concerto_ros.labels.label_set import UNLABELLED, LabelSet
from concerto_ros.learning.data.batch import Batch, make_batch
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.learning.data.spawn_map import spawn_map
from concerto_ros.learning.demo_model.simulated_scans import SCANS, SPACING, scans_of
from concerto_ros.mapping.voxel_grid import voxel_keys
from concerto_ros.segmentation.convention import Convention
from concerto_ros.sensors.normals import unit_vectors
from concerto_ros.sim.mesh import rotation_about

log = logging.getLogger(__name__)

#: Rooms to learn from, to choose weights by, and to report on. No seed is in two of them; the
#: demonstration drives through room 0, which belongs to the last.
TRAINING_SEEDS = range(10_000, 10_282)
VALIDATION_SEEDS = range(9_000, 9_008)
TEST_SEEDS = range(0, 40)

#: First, batches are two cuts that have so many voxels together, the smaller no fewer than the
#: smallest: more rooms are seen in the same time, as next to a piece of wall there is little new
#: to learn from more wall.
TWO_CUTS, SMALLEST_CUT = 5_400, 1_000
#: In the end they are one of so many. A model that has seen small cuts alone labels whole scans
#: worse than cuts of them (compare Touvron et al., NeurIPS 2019, on the size of pictures).
ONE_CUT = 7_000
#: How often the middle of a cut is a point of a class drawn among those of the scan: else floor
#: and walls would be nearly all there is.
CUT_BY_CLASS = 0.7
#: How often a class is drawn where others are drawn once. Doors are learned last: a leaf is as
#: flat and as upright as the wall that it is in.
CHANCES = {"door": 3.0}


class DemoRooms(Sequence[Scan]):
    """The scans of the rooms of some seeds, five of each, in a folder of one file per room.

    Rooms that are not there yet are made, in ``processes`` processes (None: one per core). Files
    hold millimetres as int16, normals as int8: a room is about 2 MB.
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

    def __getitem__(self, index: int) -> Scan:
        room, place = divmod(range(len(self))[index], SCANS)
        with np.load(self._path(self.seeds[room])) as file:
            value = {
                name: file[f"{name}{place}"]
                for name in ("name", "points", "labels", "colors", "normals")
            }
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
    content = {}
    for place, scan in enumerate(scans_of(seed)):
        colors = np.zeros((0, 3), np.uint8) if scan.colors is None else scan.colors
        content |= {
            f"name{place}": np.array(scan.name),
            f"points{place}": np.rint(scan.points * 1000).clip(-32000, 32000).astype(np.int16),
            f"labels{place}": scan.labels,
            f"colors{place}": colors,
            f"normals{place}": np.rint(scan.normals * 127).astype(np.int8),
        }
    with replacing(_path(folder, seed)) as partial, partial.open("wb") as file:
        np.savez(file, **content)
    return seed


@dataclass(frozen=True)
class RoomCollate:
    """Grid-samples scans; for training, where there is a generator, cuts and changes them.

    Batches then have about equally many voxels, so that processes that learn from one each need
    not wait for each other: two cuts of ``TWO_CUTS`` together, or with ``large`` one of
    ``ONE_CUT``, of the first scan.
    """

    convention: Convention
    voxel_size: float
    large: bool = False

    def __call__(self, scans: Sequence[Scan], generator: np.random.Generator | None) -> Batch:
        if generator is not None:
            sizes = (ONE_CUT,) if self.large else _two_sizes(generator)
            scans = [
                vary(cut(scan, size, self.voxel_size, generator), generator)
                for scan, size in zip(scans, sizes, strict=False)
            ]
        return make_batch(scans, self.convention, self.voxel_size)


def _two_sizes(rng: np.random.Generator) -> tuple[int, int]:
    size = int(np.exp(rng.uniform(np.log(SMALLEST_CUT), np.log(TWO_CUTS // 2))))
    return size, TWO_CUTS - size


def cut(scan: Scan, size: int, voxel_size: float, rng: np.random.Generator) -> Scan:
    """What of a scan lies within a circle that holds ``size`` voxels, now and then thinned.

    Round a point of a class drawn among those of the scan, mostly. Its edge is as sharp as that
    of a map in which what is far off has been forgotten.
    """
    rows = np.arange(len(scan))
    if rng.random() < 0.25:
        rows = rows[rng.random(len(rows)) < rng.uniform(0.08, 0.7)]
    if not len(rows):
        return scan
    points = scan.points[rows]
    # Whole voxels are in or out.
    column = np.floor(points[:, :2] / np.float32(voxel_size))
    away = _squared(column - column[_middle(scan.labels[rows], rng)])
    _, first = np.unique(voxel_keys(points, voxel_size), return_index=True)
    if len(first) > size:
        rows = rows[away <= np.partition(away[first], size)[size]]
    colors = None if scan.colors is None else scan.colors[rows]
    normals = None if scan.normals is None else scan.normals[rows]
    return Scan(scan.name, scan.points[rows], scan.labels[rows], colors, normals)


def vary(scan: Scan, rng: np.random.Generator) -> Scan:
    """A scan as another robot might have seen it; what training does to each, each time anew.

    Turned, mirrored, tilted and stretched a little; jittered; with holes; a few flying points
    (which move the box the model's coordinates are centred in); other light; colour and normals
    dropped at random.
    """
    points, labels, colors, normals = scan.points, scan.labels, scan.colors, scan.normals
    keep = _without_holes(points, rng)
    points, labels, normals = points[keep], labels[keep], normals[keep]
    colors = None if colors is None else colors[keep]

    angle = rng.uniform(0, 2 * np.pi)
    c, s = np.cos(angle), np.sin(angle)
    turn = np.array([(c, -s, 0), (s, c, 0), (0, 0, 1)])
    turn[:2, 0] *= rng.choice([-1, 1])
    if rng.random() < 0.3:
        for axis in "xy":
            turn = rotation_about(axis, rng.normal(0, 0.05)) @ turn
    turn = turn.astype(np.float32)
    points = (points @ turn.T) * rng.uniform(0.9, 1.1, 3).astype(np.float32)
    points += rng.normal(0, rng.choice([0.0, 0.003, 0.008]), points.shape).astype(np.float32)
    points += rng.uniform(-0.5, 0.5, 3).astype(np.float32)
    normals = normals @ turn.T
    if rng.random() < 0.15:  # as of a cloud whose sensor is not known
        inward = (points.min(0) + points.max(0)) / 2 - points
        normals = normals * np.where((normals * inward).sum(1, keepdims=True) < 0, -1, 1)
        normals = normals.astype(np.float32)
    blurred = rng.choice([0.0, 0.05, 0.15])
    if blurred:
        normals = unit_vectors(normals + rng.normal(0, blurred, normals.shape).astype(np.float32))

    flying = int(rng.choice([0, 3, 20]))
    if flying:
        # Some are far off: on a robot, too, the centre may be metres from the middle of what is
        # seen, as it is held while the map grows.
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
    """(N,) bool: the points outside of up to three balls, all where hardly any would be left."""
    keep = np.ones(len(points), bool)
    for _ in range(int(rng.integers(0, 4))):
        away = _squared(points - points[rng.integers(len(points))])
        keep &= away > rng.uniform(0.05, 0.35) ** 2
    return keep if keep.sum() >= 50 else np.ones(len(points), bool)


def _middle(labels: np.ndarray, rng: np.random.Generator) -> int:
    """The row of a point of a random class, or of any point."""
    present = np.unique(labels[labels != UNLABELLED])
    if len(present) and rng.random() < CUT_BY_CLASS:
        chances = _chances()[present]
        drawn = rng.choice(present, p=chances / chances.sum())
        return int(rng.choice(np.flatnonzero(labels == drawn)))
    return int(rng.integers(len(labels)))


@cache
def _chances() -> np.ndarray:
    """(K,) how often each class is drawn."""
    classes = LabelSet.load("demo").classes
    return np.array([CHANCES.get(one.name, 1.0) for one in classes])


def _relit(colors: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Other exposure, contrast and white balance, now and then no hue at all; (N, 3) uint8."""
    value = colors.astype(np.float32) / 255
    if rng.random() < 0.15:
        value = np.repeat(value.mean(1, keepdims=True), 3, 1)
    middle = value.mean()
    value = (value - middle) * rng.uniform(0.6, 1.4) + middle
    value = value * rng.uniform(0.75, 1.25) * rng.uniform(0.9, 1.1, 3).astype(np.float32)
    value += rng.normal(0, 0.03, value.shape).astype(np.float32)
    return (value.clip(0, 1) * 255).astype(np.uint8)


def _squared(vectors: np.ndarray) -> np.ndarray:
    """(N,) squared lengths of (N, D)."""
    return np.einsum("nd,nd->n", vectors, vectors)


def thinned(scan: Scan, seed: int = 0) -> Scan:
    """A tenth of the points and no colour: as sparse as a small LiDAR's scan."""
    rng = np.random.default_rng(seed)
    rows = np.flatnonzero(rng.random(len(scan)) < 5 * SPACING)
    normals = None if scan.normals is None else scan.normals[rows]
    return Scan(scan.name, scan.points[rows], scan.labels[rows], None, normals)
