# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pointcept's layout: a folder per scene with coord.npy, color.npy, normal.npy, segment*.npy.

Pointcept's preprocessing writes it for ScanNet (``train``, ``val`` and ``test`` folders of scenes,
``segment20.npy`` and ``segment200.npy``), S3DIS (``Area_1`` to ``Area_6``, ``segment.npy``; area 5
is the validation set), Structured3D (``train/scene_00000/room_1``), HM3D, ScanNet++
(``segment.npy`` with up to three labels per point, of which the first counts) and others. -1 is
"no label".
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from concerto_ros.files.listing import visible
from concerto_ros.files.numpy_file import read_npy
from concerto_ros.learning.data.formats.arrays import column_of, make_scan, rows_of
from concerto_ros.learning.data.formats.base import ScanDataset, rows_by_part
from concerto_ros.learning.data.formats.missing_files import complete
from concerto_ros.learning.data.formats.splits import FOLDERS
from concerto_ros.learning.data.label_map import DataError, LabelMap
from concerto_ros.learning.data.labelled_scan import Scan

#: Arrays of labels, in order of preference.
SEGMENTS = ("segment", "segment20", "segment200")

#: A folder with one of these arrays is a scene.
ASSETS = ("coord", "color", "normal", *SEGMENTS)

#: Default label set of an array of labels.
LABEL_SETS = {"segment20": "scannet20", "segment200": "scannet200"}

#: Label sets of an array ``segment`` by the names of the scenes' folders below the data set.
LABEL_SETS_OF_FOLDERS = {
    "s3dis": re.compile(r".*/Area_[1-6]/[^/]+"),
    "structured3d": re.compile(r".*/scene_\d{5}/room_\d+"),
    "hm3d": re.compile(r".*/\d{5}_\w{11}_\d+_\d+"),
}

#: ScanNet++'s array of labels has this many columns, the main label first; its scenes are numbers.
SEVERAL_LABELS, SEVERAL_LABELS_FOLDER = 3, re.compile(r".*/[0-9a-f]{10}(_\d+)?")

VALIDATION_AREA = "Area_5"


class PointceptScans(ScanDataset):
    """The scenes below a folder.

    Args:
        root: A folder of scenes, of folders of scenes, or a single scene.
        label_map: Meaning of the values in the files; None: the published classes of ScanNet,
            S3DIS, Structured3D, HM3D or ScanNet++ if the files look like theirs.
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
                f"{root}: no coord.npy found, expected it in the folder or at most three below it"
            )
        self.label_field = label_field or _segment_of(entries, label_map)
        entries = complete(
            root,
            entries,
            lambda entry: () if _part(root, entry) == "test" else (self._labels_file(entry),),
        )
        self._several = self._has_several_labels(entries)
        if label_map is None:
            published = "scannetpp" if self._several else _set_of_folders(entries)
            label_set = LABEL_SETS.get(self.label_field, published)
            label_map = None if label_set is None else LabelMap.load(label_set)
        parts = rows_by_part(entries, partial(_part, root))
        super().__init__(root, entries, label_map, ignore_index, parts)

    def name_of(self, entry: Path) -> str:
        """The path of the scene's folder below the root, or the root's own name."""
        return self.root.name if entry == self.root else super().name_of(entry)

    def read(self, entry: Path) -> Scan:
        """Read the scene of a folder. Raises DataError naming the file."""
        values, where = self.label_values(entry)
        points = rows_of(str(entry / "coord.npy"), "points", _load(entry / "coord.npy"), None)
        optional = {
            name: _load(path) if (path := entry / f"{file}.npy").is_file() else None
            for name, file in (("colors", "color"), ("normals", "normal"))
        }
        labels = self.labels_of(entry, values, where, len(points))
        strength = entry / "strength.npy"
        optional["colors"] = self.colors_of(
            str(entry), optional["colors"], _load(strength) if strength.is_file() else None
        )
        return make_scan(self.name_of(entry), str(entry), points, labels, **optional)

    def has_labels(self, entry: Path) -> bool:
        """Whether a scene's folder has the array of labels."""
        return self._labels_file(entry).is_file()

    def label_values(self, entry: Path) -> tuple[np.ndarray, str]:
        """The array of labels of a scene's folder, and its path."""
        path = self._labels_file(entry)
        array = _load(path)
        if self._several and array.ndim == 2:
            array = array[:, :1]
        return column_of(str(path), "the array", array), str(path)

    def _has_several_labels(self, entries: Sequence[Path]) -> bool:
        """Whether the scenes are of ScanNet++, by their names and the shape of their labels."""
        if not all(SEVERAL_LABELS_FOLDER.fullmatch(_address(entry)) for entry in entries):
            return False
        first = next(filter(self.has_labels, entries), None)
        shape = () if first is None else _load(self._labels_file(first)).shape
        return len(shape) == 2 and shape[1] == SEVERAL_LABELS

    def _labels_file(self, entry: Path) -> Path:
        return entry / f"{self.label_field}.npy"


def scene_folders(root: Path) -> list[Path]:
    """The folders with arrays of a scene: ``root`` and at most three levels below it."""
    levels = ("", "*/", "*/*/", "*/*/*/")
    arrays = (path for above in levels for path in root.glob(f"{above}*.npy"))
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


def _set_of_folders(entries: Sequence[Path]) -> str | None:
    """The label set of data whose scenes have folders of its names; None if there is none."""
    addresses = [_address(entry) for entry in entries]
    for label_set, pattern in LABEL_SETS_OF_FOLDERS.items():
        if all(map(pattern.fullmatch, addresses)):
            return label_set
    return None


def _address(entry: Path) -> str:
    """The whole path of a scene's folder, also of one that was given as a relative path."""
    return entry.absolute().as_posix()


def _part(root: Path, entry: Path) -> str | None:
    """The part that a scene belongs to by the first folder of its path, or None."""
    folder = entry.relative_to(root).as_posix().split("/")[0]
    if folder.startswith("Area_"):
        return "val" if folder == VALIDATION_AREA else "train"
    return next((part for part, names in FOLDERS.items() if folder in names), None)


def _load(path: Path) -> np.ndarray:
    if not path.is_file():
        arrays = visible(path.parent.glob("*.npy"), path.parent)
        present = ", ".join(array.name for array in arrays) or "no .npy file"
        raise DataError(f"{path}: the file does not exist; the folder holds {present}")
    try:
        return read_npy(path)
    except ValueError as error:
        raise DataError(str(error)) from None
