# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Data set of the bundled demo model: scans of simulated rooms, made once and kept on disk."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from concerto_ros.files.atomic_write import replacing
from concerto_ros.files.numpy_file import read_npz
from concerto_ros.labels.label_set import LabelSet
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.learning.data.lazy_sequence import LazySequence
from concerto_ros.learning.data.spawn_map import spawn_map
from concerto_ros.learning.demo_model.simulated_scans import SCANS, SPACING, scans_of
from concerto_ros.sensors.normals import unit_vectors

log = logging.getLogger(__name__)

#: Seeds of the rooms for training, validation and test; they are disjoint. The live demo uses
#: room 0, a test room.
TRAINING_SEEDS = range(10_000, 10_282)
VALIDATION_SEEDS = range(9_000, 9_008)
TEST_SEEDS = range(0, 40)


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


def thinned(scan: Scan, seed: int = 0) -> Scan:
    """A tenth of the points without colour: as sparse as the scan of a small LiDAR."""
    rng = np.random.default_rng(seed)
    rows = np.flatnonzero(rng.random(len(scan)) < 5 * SPACING)
    normals = None if scan.normals is None else scan.normals[rows]
    return Scan(scan.name, scan.points[rows], scan.labels[rows], None, normals)
