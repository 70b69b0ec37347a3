# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A folder of .npz and .ply files, one scan each, with a label per point."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np

from concerto_ros.learning.data.formats.arrays import column_of, make_scan
from concerto_ros.learning.data.formats.base import ScanDataset
from concerto_ros.learning.data.formats.splits import folder_parts
from concerto_ros.learning.data.label_map import DataError, LabelMap
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.sensors.cloud_files import COLOR_KEYS, NORMAL_KEYS, XYZ_KEYS
from concerto_ros.sensors.input_error import InputError
from concerto_ros.sensors.ply import read_ply

SUFFIXES = (".npz", ".ply")

#: Names of labels; CloudCompare puts ``scalar_`` before the names of its fields.
LABEL_KEYS = (
    "label",
    "labels",
    "segment",
    "semantic",
    "semantic_label",
    "sem_label",
    "class",
    "classification",
    "scalar_label",
    "scalar_Label",
    "scalar_class",
    "scalar_Classification",
)

PLY_COLUMNS = {
    "points": [("x", "y", "z")],
    "colors": [("red", "green", "blue"), ("r", "g", "b")],
    "normals": [("nx", "ny", "nz"), ("normal_x", "normal_y", "normal_z")],
}


class FileScans(ScanDataset):
    """The files of a folder and of the folders in it, or of its ``train``, ``val``, ``test``."""

    def __init__(
        self,
        root: Path,
        label_map: LabelMap | None = None,
        ignore_index: Collection[int] | None = None,
        label_field: str | None = None,
    ):
        self.label_field = label_field
        entries, parts = [], {}
        folders = folder_parts(root) or {"": root}
        for part, folder in folders.items():
            found = scan_files(folder)
            if part:
                parts[part] = range(len(entries), len(entries) + len(found))
            entries += found
        if not entries:
            raise DataError(f"{root}: no {' or '.join(SUFFIXES)} file in it")
        super().__init__(
            root if root.is_dir() else root.parent,
            entries,
            label_map,
            ignore_index,
            {part: rows for part, rows in parts.items() if len(rows)},
        )

    def read(self, entry: Path) -> Scan:
        arrays = read_labelled(entry, self.label_field)
        if "points" not in arrays:
            raise DataError(f"{entry}: has no points (one of {', '.join(XYZ_KEYS)})")
        labels = self.label_map.apply(arrays.pop("labels"), str(entry))
        return make_scan(self.name_of(entry), str(entry), labels=labels, **arrays)

    def label_values(self, entry: Path) -> tuple[np.ndarray, str]:
        return read_labelled(entry, self.label_field)["labels"], str(entry)


def scan_files(folder: Path) -> list[Path]:
    """The files of a folder and the folders in it, or the one file, that may hold a scan."""
    if folder.is_file():
        return [folder]
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())


def read_labelled(path: Path, label_field: str | None = None) -> dict[str, np.ndarray]:
    """``labels`` (N,), and of ``points``, ``colors``, ``normals`` (N, 3) those that are there.

    ``label_field`` names the array or property of the labels; else the first of
    :data:`LABEL_KEYS` that is there is taken. Raises DataError naming the file.
    """
    try:
        arrays = _read_npz(path) if path.suffix.lower() == ".npz" else _read_ply(path)
    except InputError as error:
        raise DataError(str(error)) from None
    wanted = LABEL_KEYS if label_field is None else (label_field,)
    key = next((key for key in wanted if key in arrays), None)
    if key is None:
        raise DataError(
            f"{path}: has no labels: holds {', '.join(sorted(arrays)) or 'nothing'}; expected "
            f"{' or '.join(wanted[:4])} (--label-field names another)"
        )
    labels = column_of(str(path), key, arrays[key])
    keys = {"points": XYZ_KEYS, "colors": COLOR_KEYS, "normals": NORMAL_KEYS}
    found = {
        name: next((k for k in choices if k in arrays), None) for name, choices in keys.items()
    }
    return {"labels": labels} | {name: arrays[k] for name, k in found.items() if k is not None}


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error}") from None
    except Exception as error:  # zipfile, zlib and numpy each have their own for a broken archive
        raise DataError(f"{path}: not a readable .npz ({error})") from None


def _read_ply(path: Path) -> dict[str, np.ndarray]:
    vertices = read_ply(path)
    arrays = {name: vertices[name] for name in vertices.dtype.names}
    for name, choices in PLY_COLUMNS.items():
        for columns in choices:
            if set(columns) <= set(arrays):
                arrays[name] = np.stack([arrays[column] for column in columns], axis=1)
                break
    return arrays
