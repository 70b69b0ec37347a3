# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Point clouds with images in Pointcept's layout for Concerto: reading and writing.

``splits/<split>.json`` names for each sample the folder of its arrays, its images, and for each
image the rows [x, y, point] of the pixels that see points.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from concerto_ros.files.atomic_write import replacing
from concerto_ros.files.error_text import one_line
from concerto_ros.files.numpy_file import read_npy
from concerto_ros.labels.label_set import UNLABELLED
from concerto_ros.learning.data.formats.arrays import make_scan
from concerto_ros.learning.data.label_map import DataError
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.learning.data.posed.point_map import PointMap

#: Images of a sample that is written, as Pointcept's own samples have.
IMAGES = 4


@dataclass(frozen=True)
class PointceptMap:
    """A sample: a point cloud and the images that see its points.

    Attributes:
        name: Name of the sample.
        folder: Where its arrays are.
        frames: Names of the images: their files without folders and endings.
        images: Files of the images.
        correspondences: Files of the pixels that see points, for each image.
    """

    name: str
    folder: Path
    frames: tuple[str, ...]
    images: tuple[Path, ...]
    correspondences: tuple[Path, ...]

    @cached_property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Height and width of each image, pixels. Raises DataError for an unreadable one."""
        from PIL import Image

        found = []
        for path in self.images:
            try:
                with Image.open(path) as image:
                    found.append((image.height, image.width))
            except OSError as error:
                raise DataError(f"{path}: not a readable image: {one_line(error)}") from None
        return tuple(found)

    def scan(self) -> Scan:
        """The points as a scan without labels. Raises DataError naming the file."""
        arrays = {}
        for name, file in (("points", "coord"), ("colors", "color"), ("normals", "normal")):
            path = self.folder / f"{file}.npy"
            if path.is_file() or name == "points":
                arrays[name] = _read(path)
        labels = np.full(len(arrays["points"]), UNLABELLED, np.uint8)
        return make_scan(self.name, str(self.folder), labels=labels, **arrays)

    def pixels(self, frame: str) -> np.ndarray:
        """The pixels of an image that see points, (M, 3) rows [x, y, point]; none: (0, 3)."""
        path = self.correspondences[self.frames.index(frame)]
        rows = _read(path)
        if rows.ndim != 2 or rows.shape[1] != 3:
            raise DataError(f"{path}: has shape {rows.shape}, expected (M, 3) rows [x, y, point]")
        return rows[rows[:, 2] >= 0].astype(np.int64)

    def image(self, frame: str) -> np.ndarray:
        """An image, (H, W, 3) uint8 RGB."""
        from PIL import Image

        with Image.open(self.images[self.frames.index(frame)]) as image:
            return np.asarray(image.convert("RGB"))


def split_files(root: Path) -> list[Path]:
    """The files ``splits/*.json`` of a folder, sorted."""
    return sorted((root / "splits").glob("*.json")) if root.is_dir() else []


def read_split(path: Path) -> list[PointceptMap]:
    """The samples of a split.

    Args:
        path: ``<root>/splits/<split>.json``; paths in it are absolute or relative to the root.

    Raises:
        DataError: The file cannot be read or lacks an entry; names file and sample.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read: {one_line(error)}") from None
    if not isinstance(content, dict) or not content:
        raise DataError(f"{path}: has no samples, expected a dict of samples by name")
    return [_sample(path, name, entry) for name, entry in content.items()]


def write_split(
    root: Path, maps: Sequence[PointMap], read: Sequence[Callable[[str], np.ndarray]], split: str
) -> Path:
    """Write point maps as samples of a split, each with a few of its images.

    Args:
        root: Folder of the data set, above those of the maps.
        maps: The maps.
        read: For each map, reads an image by its name, (H, W, 3) uint8.
        split: Name of the split.

    Returns:
        The file ``splits/<split>.json``; images are written beside the correspondences.
    """
    from PIL import Image

    samples = {}
    for found, reader in zip(maps, read, strict=True):
        folder = found.folder.relative_to(root).as_posix()
        for frame in found.frames:
            path = found.folder / "image" / f"{frame}.png"
            if not path.is_file():
                path.parent.mkdir(parents=True, exist_ok=True)
                with replacing(path) as partial:
                    Image.fromarray(reader(frame)).save(partial, format="PNG")
        for start in range(0, len(found.frames), IMAGES):
            frames = found.frames[start : start + IMAGES]
            samples[f"{found.name}-{start // IMAGES}"] = {
                "pointclouds": folder,
                "images": [f"{folder}/image/{frame}.png" for frame in frames],
                "correspondences": [f"{folder}/correspondence/{frame}.npy" for frame in frames],
            }
    path = root / "splits" / f"{split}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        partial.write_text(json.dumps(samples, indent=1), encoding="utf-8")
    return path


def _sample(path: Path, name: str, entry: Any) -> PointceptMap:
    where = f"{path}: {name}"
    if not isinstance(entry, dict) or "pointclouds" not in entry:
        raise DataError(f"{where} has no 'pointclouds', expected the folder of its arrays")
    images, correspondences = entry.get("images", []), entry.get("correspondences", [])
    if len(images) != len(correspondences):
        raise DataError(
            f"{where} has {len(images)} images and {len(correspondences)} correspondences,"
            " expected as many"
        )
    root = path.parent.parent
    files = tuple(root / image for image in images)
    stems = [file.stem for file in files]
    if len(set(stems)) < len(stems):  # of several cameras, whose images have the same numbers
        stems = [f"{file.parent.name}/{file.stem}" for file in files]
    return PointceptMap(
        name,
        root / str(entry["pointclouds"]),
        tuple(stems),
        files,
        tuple(root / file for file in correspondences),
    )


def _read(path: Path) -> np.ndarray:
    try:
        return read_npy(path)
    except ValueError as error:
        raise DataError(str(error)) from None
