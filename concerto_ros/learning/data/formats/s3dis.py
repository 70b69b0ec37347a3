# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""S3DIS (Armeni et al., CVPR 2016) as it is downloaded: rooms of text files.

``Area_1/office_1/Annotations/chair_1.txt`` holds the points of one object, a line ``x y z r g b``
each, and the file's name begins with its class. Both published forms are read:
``Stanford3dDataset_v1.2`` and ``Stanford3dDataset_v1.2_Aligned_Version``, whose rooms are turned
along the axes. Area 5 is the validation set.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path

import numpy as np

from concerto_ros.files.error_text import one_line
from concerto_ros.files.listing import visible
from concerto_ros.learning.data.formats.arrays import make_scan
from concerto_ros.learning.data.formats.base import ScanDataset, rows_by_part
from concerto_ros.learning.data.formats.pointcept import VALIDATION_AREA
from concerto_ros.learning.data.label_map import DataError, LabelMap
from concerto_ros.learning.data.labelled_scan import Scan

log = logging.getLogger(__name__)

LABEL_SET = "s3dis"

#: The class of objects whose name is no class, such as the stairs of some rooms.
OTHERS = "clutter"

COLUMNS = 6

#: Lines of a file that may be no six numbers, as a few of the published ones are (one holds
#: ``103.0`` and a control character).
MOST_SPOILED = 10


class S3disScans(ScanDataset):
    """The rooms of S3DIS.

    Args:
        root: The folder that contains ``Area_1`` to ``Area_6``, or one above or below it.
        label_map: Meaning of the 13 published classes by their number; None: themselves.
        ignore_index: Values that are not learned; None: the label map's default.

    Raises:
        DataError: There is no room with annotations.
    """

    def __init__(
        self,
        root: Path,
        label_map: LabelMap | None = None,
        ignore_index: Collection[int] | None = None,
    ):
        folders = room_folders(root)
        entries = [room for room in folders if _objects(room)]
        if not entries:
            raise DataError(
                f"{root}: has no room of S3DIS, expected Area_1/<room>/Annotations/<object>.txt"
            )
        if len(entries) < len(folders):
            log.warning(
                "%s: %d of %d rooms have no file in Annotations and are left out",
                *(root, len(folders) - len(entries), len(folders)),
            )
        published = LabelMap.load(LABEL_SET)
        self._value_of = {c.name: c.id for c in published.classes.classes}
        self._said: set[str] = set()
        parts = rows_by_part(
            entries, lambda entry: "val" if entry.parent.name == VALIDATION_AREA else "train"
        )
        super().__init__(
            root, entries, label_map or published, ignore_index, parts if len(parts) > 1 else None
        )

    def name_of(self, entry: Path) -> str:
        """Area and room."""
        return f"{entry.parent.name}/{entry.name}"

    def read(self, entry: Path) -> Scan:
        """Read the objects of a room. Raises DataError naming the file."""
        tables, values = [], []
        for path in _objects(entry):
            tables.append(_read(path))
            values.append(np.full(len(tables[-1]), self._value(path), np.int64))
        table = np.concatenate(tables)
        labels = self.labels_of(entry, np.concatenate(values), str(entry), len(table))
        return make_scan(
            self.name_of(entry), str(entry), table[:, :3], labels, table[:, 3:6].astype(np.uint8)
        )

    def label_values(self, entry: Path) -> tuple[np.ndarray, str]:
        """The published number of each line's class, and the folder of the objects.

        Lines that hold no point count here as well: the text is not parsed.
        """
        values = [
            np.full(path.read_bytes().rstrip().count(b"\n") + 1, self._value(path), np.int64)
            for path in _objects(entry)
        ]
        return np.concatenate(values), str(entry / "Annotations")

    def _value(self, path: Path) -> int:
        """The number of an object's class."""
        name = path.stem.partition("_")[0].lower()
        if name in self._value_of:
            return self._value_of[name]
        if name not in self._said:
            self._said.add(name)
            log.warning("%s: %r is no class of S3DIS and counts as %s", path, name, OTHERS)
        return self._value_of[OTHERS]


def room_folders(root: Path) -> list[Path]:
    """The folders with ``Annotations``: ``root`` itself or up to three levels below it."""
    for pattern in ("Annotations", "*/Annotations", "*/*/Annotations", "*/*/*/Annotations"):
        found = [path.parent for path in visible(root.glob(pattern), root) if path.is_dir()]
        if any(map(_objects, found)):
            return found
    return []


def _objects(room: Path) -> list[Path]:
    """The files of a room's objects."""
    folder = room / "Annotations"
    return visible(folder.glob("*.txt"), folder)


def _read(path: Path) -> np.ndarray:
    """Read the lines of an object, (N, 6) float64; a few spoiled ones are left out and logged."""
    try:
        table = np.loadtxt(path, np.float64, comments=None, ndmin=2, encoding="latin-1")
    except (OSError, UnicodeError) as error:
        raise DataError(f"{path}: cannot be read: {one_line(error)}") from None
    except ValueError:
        table = _without_spoiled_lines(path)
    if table.shape[1] != COLUMNS or not len(table):
        got = f"{len(table)} lines of {table.shape[1]} numbers"
        raise DataError(f"{path}: got {got}, expected lines x y z r g b")
    colors = table[:, 3:]
    if not ((colors >= 0) & (colors <= 255)).all():
        wrong = colors[~((colors >= 0) & (colors <= 255))][0]
        raise DataError(f"{path}: r g b: got {wrong}, expected 0 to 255")
    return table


def _without_spoiled_lines(path: Path) -> np.ndarray:
    rows, spoiled, first = [], 0, 0
    text = path.read_text(encoding="latin-1")
    for number, line in enumerate(text.split("\n"), 1):
        try:
            row = [float(word) for word in line.split()]
        except ValueError:
            row = [np.nan]
        if not row:
            continue
        if len(row) == COLUMNS and np.isfinite(row).all():
            rows.append(row)
        else:
            spoiled, first = spoiled + 1, first or number
    if spoiled > MOST_SPOILED or not rows:
        raise DataError(
            f"{path}: {spoiled} lines are no six numbers (the first: line {first}), expected lines"
            " x y z r g b"
        )
    log.warning(
        "%s: %d of %d lines are no six numbers and are left out (the first: line %d)",
        *(path, spoiled, spoiled + len(rows), first),
    )
    return np.array(rows)
