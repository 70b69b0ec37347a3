# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Folders of .npz, .ply, .pcd, .las and .laz files, one scan each, with a label per point."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np

from concerto_ros.files.listing import visible
from concerto_ros.learning.data.formats.arrays import column_of, make_scan, rows_of
from concerto_ros.learning.data.formats.base import ScanDataset
from concerto_ros.learning.data.formats.splits import folder_parts
from concerto_ros.learning.data.label_map import DataError, LabelMap
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.sensors.cloud_files import read_columns
from concerto_ros.sensors.cloud_files.columns import ARRAYS, LABELS, find_column, known_arrays
from concerto_ros.sensors.input_error import InputError

#: Files of a folder that may be scans; a single file may have any format that ``segment`` reads.
SUFFIXES = (".npz", ".ply", ".pcd", ".las", ".laz")


class NoLabels(DataError):
    """A scan file without labels."""


class FileScans(ScanDataset):
    """The scan files of a folder and its subfolders, or of its ``train``, ``val`` and ``test``.

    Args:
        root: A folder, or a single file.
        label_map: Meaning of the values in the files; None: labels of unnamed classes.
        ignore_index: Values that are not learned; None: the label map's default.
        label_field: Name of the array or property of labels; None: the first of
            :data:`LABELS` that exists.

    Raises:
        DataError: ``root`` has no scan file.
    """

    def __init__(
        self,
        root: Path,
        label_map: LabelMap | None = None,
        ignore_index: Collection[int] | None = None,
        label_field: str | None = None,
    ):
        self.label_field = label_field
        entries: list[Path] = []
        parts: dict[str, range] = {}
        folders = folder_parts(root) or {"": root}
        for part, folder in folders.items():
            files = scan_files(folder)
            if part:
                parts[part] = range(len(entries), len(entries) + len(files))
            entries += files
        if not entries:
            raise DataError(f"{root}: has no scans, expected {', '.join(SUFFIXES)} files")
        super().__init__(
            root if root.is_dir() else root.parent,
            entries,
            label_map,
            ignore_index,
            {part: rows for part, rows in parts.items() if len(rows)},
        )

    def read(self, entry: Path) -> Scan:
        """Read the scan of a file. Raises DataError naming the file."""
        arrays = read_labelled(entry, self.label_field)
        if "points" not in arrays:
            known = " or ".join(ARRAYS["points"][:4])
            raise DataError(f"{entry}: has no points, expected x, y and z or an array {known}")
        where = str(entry)
        points = rows_of(where, "points", arrays["points"], None)
        labels = self.labels_of(entry, arrays["labels"], where, len(points))
        colors = self.colors_of(where, arrays.get("colors"), arrays.get("intensity"))
        normals = arrays.get("normals")
        return make_scan(self.name_of(entry), where, points, labels, colors, normals)

    def has_labels(self, entry: Path) -> bool:
        """Whether a file has labels. Raises DataError if it cannot be read."""
        try:
            self.label_values(entry)
        except NoLabels:
            return False
        return True

    def label_values(self, entry: Path) -> tuple[np.ndarray, str]:
        """The label values of a file, and its path."""
        return read_labelled(entry, self.label_field)["labels"], str(entry)


def scan_files(folder: Path) -> list[Path]:
    """The scan files of a folder and its subfolders, sorted; of a file, the file."""
    if folder.is_file():
        return [folder]
    files = (p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    return visible(files, folder)


def read_labelled(path: Path, label_field: str | None = None) -> dict[str, np.ndarray]:
    """Read the arrays of a scan file as they are, under this package's names.

    Args:
        path: A file of a format that :func:`read_columns` reads.
        label_field: Name of the array or property of labels; None: the first of
            :data:`LABELS` that exists.

    Returns:
        ``labels`` (N,), and ``points``, ``colors`` and ``normals`` (N, 3) and ``intensity`` (N,),
        as far as they exist.

    Raises:
        DataError: The file cannot be read or has no labels; names the file.
    """
    try:
        columns, _ = read_columns(path)
        arrays = known_arrays(columns)
    except InputError as error:
        raise DataError(str(error)) from None
    if label_field is None:
        key = find_column(columns, LABELS)
    else:
        key = label_field if label_field in columns else None
    if key is None:
        expected = LABELS[:4] if label_field is None else (label_field,)
        raise NoLabels(
            f"{path}: has no labels: got {', '.join(sorted(columns)) or 'nothing'}, expected "
            f"{' or '.join(expected)} (--label-field names another)"
        )
    labels = column_of(str(path), key, columns[key])
    known = {
        name: arrays[name]
        for name in ("points", "colors", "normals", "intensity")
        if name in arrays
    }
    return {"labels": labels} | known
