# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Posed images fused to a point cloud, with the pixels that see each of its points.

Points are fused in the node's own map, which removes what later images observe as free. A map is
kept on disk, a folder each: ``coord.npy``, ``color.npy`` and ``normal.npy`` as in Pointcept's
layout, and for every image ``correspondence/<frame>.npy``, the rows [x, y, point] that Concerto's
pre-training takes.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from concerto_ros.files.atomic_write import replacing
from concerto_ros.files.digest import digest
from concerto_ros.files.numpy_file import read_npy
from concerto_ros.labels.label_set import UNLABELLED
from concerto_ros.learning.data.label_map import DataError
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.learning.data.posed import TOLERANCE
from concerto_ros.learning.data.posed.visibility import seen_pixels
from concerto_ros.mapping.voxel_map import VoxelMap
from concerto_ros.posed.scene import (
    PosedScene,
    UnusableFrame,
    evenly_spread,
    skips_in_words,
)

log = logging.getLogger(__name__)

#: Points of a map at most; memory of an encoder ends before.
MAX_POINTS = 4_000_000

#: Images that observe a voxel as free before it is removed, the node's default.
CLEAR_AFTER = 2

#: Written last: a folder without it is not complete.
INDEX = "point_map.json"

#: Changes when maps of the same images become others.
VERSION = 1


@dataclass(frozen=True)
class PointMap:
    """A fused point cloud and the images that see its points, in a folder.

    Attributes:
        name: Name of the scene.
        folder: Where the arrays are.
        frames: Names of the images, in the order of time.
        sizes: Of each image (height, width), pixels.
        skipped: Number of images that were left out, by a key of
            :data:`~concerto_ros.posed.scene.SKIPPED`.
    """

    name: str
    folder: Path
    frames: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...]
    skipped: Counter[str]

    def scan(self) -> Scan:
        """The points as a scan without labels. Raises DataError where a file is damaged."""
        points, colors, normals = (
            self._array(f"{name}.npy") for name in ("coord", "color", "normal")
        )
        labels = np.full(len(points), UNLABELLED, np.uint8)
        try:
            return Scan(self.name, points, labels, colors=colors, normals=normals)
        except ValueError as error:
            raise DataError(f"{self.folder}: {error}; remove this folder") from None

    def pixels(self, frame: str) -> np.ndarray:
        """The pixels of an image that see points: (M, 3) int32 rows [x, y, point]."""
        return self._array(f"correspondence/{frame}.npy")

    def _array(self, name: str) -> np.ndarray:
        try:
            return read_npy(self.folder / name)
        except ValueError as error:
            raise DataError(f"{error}; remove this folder") from None


def point_map(
    scene: PosedScene,
    cache: Path,
    point_size: float,
    *,
    tolerance: float = TOLERANCE,
    max_frames: int = 200,
    max_points: int = MAX_POINTS,
    progress: bool = False,
) -> PointMap:
    """Fuse the images of a scene and find the pixels that see its points, or read what was found.

    Args:
        scene: The images.
        cache: Folder of the maps; the name of a map's folder holds a digest of all that it
            depends on.
        point_size: Metres, edge of the voxels whose mean positions are the points.
        tolerance: How far the depth of a point may be from that of the image, as a fraction of it.
        max_frames: Of more images as many are used, evenly spread from the first to the last.
        max_points: Points of the map at most.
        progress: Whether to show a progress bar.

    Raises:
        DataError: No image can be used, two contradict each other, or there are too many points.
        ValueError: An argument is out of range.
    """
    if not 0 < tolerance < 1:
        raise ValueError(f"tolerance is {tolerance}, expected a fraction of the depth, 0 to 1")
    scene = evenly_spread(scene, max_frames)
    options = {"point size": point_size, "tolerance": tolerance, "version": VERSION}
    key = digest([repr(sorted((scene.identity() | options).items(), key=str))])
    folder = cache / f"{scene.name.replace('/', '-')}-{key[:12]}"
    if not (folder / INDEX).is_file():
        shutil.rmtree(folder, ignore_errors=True)  # what a killed run left
        fused = VoxelMap(
            point_size, window_seconds=1e9, max_voxels=max_points, clear_after=CLEAR_AFTER
        )
        _build(scene, folder, fused, tolerance, progress)
    return _opened(folder)


def _build(
    scene: PosedScene, folder: Path, fused: VoxelMap, tolerance: float, progress: bool
) -> None:
    """Write the folder of a map, fused in an empty one."""
    from tqdm import tqdm

    skipped = Counter(scene.skipped)
    used: list[int] = []
    bar = tqdm(
        total=2 * len(scene.frames), disable=not progress, unit="image", desc=f"map {scene.name}"
    )
    with bar:
        for index in range(len(scene.frames)):
            bar.update()
            try:
                frame = scene.read(index).frame
            except UnusableFrame as error:
                skipped["unusable"] += 1
                log.warning("left out: %s", error)
                continue
            if fused.insert(frame, frame.origin).evicted:
                raise DataError(
                    f"{scene.name}: more than {fused.max_voxels} points of {fused.voxel_size:g} m,"
                    " expected at most as many: cut the recording, or use larger voxels"
                )
            used.append(index)
        if not used:
            raise DataError(
                f"{scene.name}: none of its images can be used: {skips_in_words(skipped)}"
            )
        snapshot = fused.snapshot().with_normals()
        colors = np.rint(snapshot.colors).astype(np.uint8)
        folder.mkdir(parents=True)
        for name, array in (
            ("coord", snapshot.points),
            ("color", colors),
            ("normal", snapshot.normals),
        ):
            np.save(folder / f"{name}.npy", array)
        sizes = []
        for index in used:
            posed = scene.read(index)
            path = folder / "correspondence" / f"{posed.name}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, seen_pixels(posed, snapshot.points, tolerance))
            sizes.append(posed.image.shape[:2])
            bar.update()
    content = {
        "name": scene.name,
        "frames": [scene.frames[index] for index in used],
        "sizes": sizes,
        "skipped": dict(skipped),
    }
    with replacing(folder / INDEX) as partial:
        partial.write_text(json.dumps(content), encoding="utf-8")


def _opened(folder: Path) -> PointMap:
    path = folder / INDEX
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return PointMap(
            content["name"],
            folder,
            tuple(content["frames"]),
            tuple((height, width) for height, width in content["sizes"]),
            Counter(content["skipped"]),
        )
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise DataError(f"{path}: cannot be read ({error}); remove this folder") from None
