# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Data sets of simulated scenes: their scans, made once and kept on disk."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from concerto_ros.files.atomic_write import replacing
from concerto_ros.files.numpy_file import read_npz
from concerto_ros.labels.label_set import LabelSet
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.learning.data.lazy_sequence import LazySequence
from concerto_ros.learning.data.spawn_map import spawn_map
from concerto_ros.sensors.normals import unit_vectors
from concerto_ros.sim.library import FurnitureLibrary, part_of
from concerto_ros.sim.names import VERSION

log = logging.getLogger(__name__)

#: Largest coordinate of a kept scan in its unit: an int16 holds it.
_LARGEST = 32_000


class SceneScans(LazySequence[Scan]):
    """The scans of simulated scenes, some of each, in a folder with one file per scene.

    Files of scenes that do not exist yet are made first. They have coordinates as int16 and
    normals as int8, compressed; a second file has the fine names of the points. A kind of scenes
    is a subclass that says what a scene is called and made of.

    Args:
        folder: Folder of the files; created if it does not exist.
        seeds: Seeds of the scenes.
        processes: Number of processes that simulate scenes; None: one per core.
        furniture: Folder of a furniture library; None: built pieces only. The models that it holds
            out are in scenes for validation and test, the others in those for training.
        named: Whether scans have fine names; scenes whose files were written without them, or with
            names that have changed since, are then made again.

    Attributes:
        scene: Name of a scene, with which its file begins.
        label_set: Name of the label set.
        scans_per_scene: Number of scans of each scene.
        units_per_metre: Resolution of the coordinates on disk.
        training_seeds: Seeds of the scenes to train on.
    """

    scene: ClassVar[str]
    label_set: ClassVar[str]
    scans_per_scene: ClassVar[int]
    units_per_metre: ClassVar[int]
    training_seeds: ClassVar[range]

    def __init__(
        self,
        folder: Path,
        seeds: Sequence[int],
        processes: int | None = None,
        furniture: Path | None = None,
        named: bool = False,
    ):
        self.folder, self.seeds, self.furniture = Path(folder), list(seeds), furniture
        self.named = named
        self.classes = LabelSet.load(self.label_set)
        self.folder.mkdir(parents=True, exist_ok=True)
        missing = [
            seed
            for seed in self.seeds
            if not self._path(seed).is_file() or (named and not self._names_path(seed).is_file())
        ]
        if missing:
            log.info("simulating %d %ss into %s", len(missing), self.scene, self.folder)
            jobs = [(type(self), self._path(seed), seed, furniture) for seed in missing]
            spawn_map(_make, jobs, processes, unit=self.scene)

    @staticmethod
    @abstractmethod
    def simulate(seed: int, furniture: FurnitureLibrary | None) -> list[Scan]:
        """The scans of the scene of ``seed``, all with normals, bit for bit the same each time."""

    def __len__(self) -> int:
        return self.scans_per_scene * len(self.seeds)

    def read_item(self, index: int) -> Scan:
        """Read a scan; all have normals, those of LiDARs no colours."""
        scene, number = divmod(index, self.scans_per_scene)
        names = ("name", "points", "labels", "colors", "normals")
        seed = self.seeds[scene]
        value = _read(self._path(seed), number, *names)
        fine: dict[str, Any] = {}
        if self.named:
            fine |= _read(self._names_path(seed), number, "name_ids", "names")
            fine["names"] = tuple(fine["names"].tolist())
        return Scan(
            str(value["name"]),
            value["points"].astype(np.float32) / self.units_per_metre,
            value["labels"],
            value["colors"] if len(value["colors"]) else None,
            unit_vectors(value["normals"].astype(np.float32)),
            **fine,
        )

    @classmethod
    def write(cls, path: Path, seed: int, furniture: Path | None = None) -> None:
        """Simulate a scene and write its files."""
        content: dict[str, Any] = {}
        names: dict[str, Any] = {}
        for number, scan in enumerate(cls.simulate(seed, cls._library(seed, furniture))):
            assert scan.normals is not None  # of simulated scans
            colors = np.zeros((0, 3), np.uint8) if scan.colors is None else scan.colors
            points = np.rint(scan.points * cls.units_per_metre).clip(-_LARGEST, _LARGEST)
            content |= {
                f"name{number}": np.array(scan.name),
                f"points{number}": points.astype(np.int16),
                f"labels{number}": scan.labels,
                f"colors{number}": colors,
                f"normals{number}": np.rint(scan.normals * 127).astype(np.int8),
            }
            if scan.name_ids is not None:
                names |= {
                    f"name_ids{number}": scan.name_ids,
                    f"names{number}": np.array(scan.names, np.str_),
                }
        for file_path, arrays in ((path, content), (_names_path(path), names)):
            with replacing(file_path) as partial, partial.open("wb") as file:
                np.savez_compressed(file, **arrays)

    def _path(self, seed: int) -> Path:
        """The file of a scene: that of another library has another, as it is another scene."""
        library = self._library(seed, self.furniture)
        suffix = "" if library is None else f"-{library.identity}"
        return self.folder / f"{self.scene}{seed:05d}{suffix}.npz"

    def _names_path(self, seed: int) -> Path:
        return _names_path(self._path(seed))

    @classmethod
    def _library(cls, seed: int, furniture: Path | None) -> FurnitureLibrary | None:
        return None if furniture is None else part_of(furniture, seed not in cls.training_seeds)


def _names_path(path: Path) -> Path:
    """The file with the names of a scene, beside the one with its scans."""
    return path.with_name(f"{path.stem}.names{VERSION}.npz")


def _read(path: Path, number: int, *names: str) -> dict[str, np.ndarray]:
    """Arrays of one scan of a scene, by name."""
    file = read_npz(path, [f"{name}{number}" for name in names])
    return {name: file[f"{name}{number}"] for name in names}


def _make(job: tuple[type[SceneScans], Path, int, Path | None]) -> None:
    """Write the file of one scene."""
    scenes, path, seed, furniture = job
    scenes.write(path, seed, furniture)
