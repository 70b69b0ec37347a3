# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pointcept's layout: a folder per scene with coord.npy, color.npy, normal.npy, segment*.npy.

Pointcept's preprocessing writes it for ScanNet (``train``, ``val`` and ``test`` folders of scenes,
``segment20.npy`` and ``segment200.npy``), S3DIS (``Area_1`` to ``Area_6``, ``segment.npy``; area 5
is the validation set) and others. -1 is "no label".
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from concerto_ros.files.listing import visible
from concerto_ros.files.numpy_file import read_npy
from concerto_ros.learning.data.formats.arrays import column_of, make_scan, rows_of
from concerto_ros.learning.data.formats.base import ScanDataset
from concerto_ros.learning.data.formats.splits import FOLDERS
from concerto_ros.learning.data.label_map import DataError, LabelMap
from concerto_ros.learning.data.labelled_scan import Scan

#: Arrays of labels, in order of preference.
SEGMENTS = ("segment", "segment20", "segment200")

#: A folder with one of these arrays is a scene.
ASSETS = ("coord", "color", "normal", *SEGMENTS)

#: Default label set of an array of labels.
LABEL_SETS = {"segment20": "scannet20", "segment200": "scannet200"}

VALIDATION_AREA = "Area_5"


class PointceptScans(ScanDataset):
    """The scenes below a folder.

    Args:
        root: A folder of scenes, of folders of scenes, or a single scene.
        label_map: Meaning of the values in the files; None: the published classes of ScanNet or
            S3DIS if the files look like theirs.
        ignore_index: Values that are not learned; None: the label map's default.
        label_field: Name of the array of labels without ``.npy``; None: the first of
            :data:`SEGMENTS` that exists.

    Raises:
        DataError: ``root`` holds no scene.
    """

    def __init__(
        self,
        root: Path,
        label_map: LabelMap | None = None,
        ignore_index: Collection[int] | None = None,
        label_field: str | None = None,
    ):
        entries = scene_folders(root)
        if not entries:
            raise DataError(
                f"{root}: no coord.npy found, expected it in the folder or at most two below it"
            )
        self.label_field = label_field or _segment_of(entries, label_map)
        areas = any("Area_" in entry.relative_to(root).as_posix() for entry in entries)
        if label_map is None:
            label_set = LABEL_SETS.get(self.label_field, "s3dis" if areas else None)
            label_map = None if label_set is None else LabelMap.load(label_set)
        parts = _parts(root, entries)
        super().__init__(root, entries, label_map, ignore_index, parts)

    def name_of(self, entry: Path) -> str:
        """The path of the scene's folder below the root, or the root's own name."""
        return self.root.name if entry == self.root else super().name_of(entry)

    def read(self, entry: Path) -> Scan:
        """Read the scene of a folder. Raises DataError naming the file."""
        values, where = self.label_values(entry)
        points = rows_of(str(entry / "coord.npy"), "points", _load(entry / "coord.npy"), None)
        if len(values) != len(points):
            raise DataError(
                f"{where}: {len(values)} labels for {len(points)} points of coord.npy, expected "
                "one label per point"
            )
        optional = {
            name: _load(path) if (path := entry / f"{file}.npy").is_file() else None
            for name, file in (("colors", "color"), ("normals", "normal"))
        }
        labels = self.label_map.apply(values, where)
        return make_scan(self.name_of(entry), str(entry), points, labels, **optional)

    def has_labels(self, entry: Path) -> bool:
        """Whether a scene's folder has the array of labels."""
        return (entry / f"{self.label_field}.npy").is_file()

    def label_values(self, entry: Path) -> tuple[np.ndarray, str]:
        """The array of labels of a scene's folder, and its path."""
        path = entry / f"{self.label_field}.npy"
        return column_of(str(path), "the array", _load(path)), str(path)


def scene_folders(root: Path) -> list[Path]:
    """The folders with arrays of a scene: ``root`` and at most two levels below it."""
    arrays = (path for above in ("", "*/", "*/*/") for path in root.glob(f"{above}*.npy"))
    return sorted({path.parent for path in visible(arrays, root) if path.stem in ASSETS})


def _segment_of(entries: Sequence[Path], label_map: LabelMap | None) -> str:
    """The array of labels to learn: that of the label map's set, else the first that exists."""
    name = None if label_map is None else label_map.classes.name
    preferred = [segment for segment, label_set in LABEL_SETS.items() if label_set == name]
    for entry in entries:
        for segment in (*preferred, *SEGMENTS):
            if (entry / f"{segment}.npy").is_file():
                return segment
    return SEGMENTS[0]


def _parts(root: Path, entries: Sequence[Path]) -> dict[str, list[int]]:
    part_of_folder = {name: part for part, names in FOLDERS.items() for name in names}
    parts: dict[str, list[int]] = {}
    for row, entry in enumerate(entries):
        folder = entry.relative_to(root).as_posix().split("/")[0]
        part = part_of_folder.get(folder)
        if folder.startswith("Area_"):
            part = "val" if folder == VALIDATION_AREA else "train"
        if part:
            parts.setdefault(part, []).append(row)
    return parts


def _load(path: Path) -> np.ndarray:
    if not path.is_file():
        arrays = visible(path.parent.glob("*.npy"), path.parent)
        present = ", ".join(array.name for array in arrays) or "no .npy file"
        raise DataError(f"{path}: the file does not exist; the folder holds {present}")
    try:
        return read_npy(path)
    except ValueError as error:
        raise DataError(str(error)) from None
