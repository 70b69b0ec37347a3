# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What every data set is: a sequence of scans that are read when they are asked for."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from concerto_ros.files.digest import digest
from concerto_ros.labels.label_set import UNLABELLED, LabelSet
from concerto_ros.learning.data.label_map import DataError, LabelMap, whole_numbers
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.learning.data.scan_identity import about_scans


class ScanDataset(Sequence, ABC):
    """Labelled scans of one folder or recording; cheap to make, nothing is kept once read.

    Attributes
    ----------
    root: the folder or file it was opened at.
    entries: what is to be read, one per scan.
    parts: rows of ``train``, ``val`` and ``test`` where the data set is divided by itself.
    ordered: neighbouring scans show nearly the same, so that one drawn among them is no fair test.
    sensor_at_origin: points are seen from their origin, which normals therefore face.
    """

    ordered = False
    sensor_at_origin = False

    def __init__(
        self,
        root: Path,
        entries: Iterable[Any],
        label_map: LabelMap | None = None,
        ignore_index: Collection[int] | None = None,
        parts: Mapping[str, Sequence[int]] | None = None,
    ):
        self.root = root
        self.entries = tuple(entries)
        self.parts = dict(parts or {})
        self._ignore_index = ignore_index
        self._label_map = None if label_map is None else self._ignoring(label_map)
        self._counted_entries = self.entries

    @property
    def label_map(self) -> LabelMap:
        """From the values in the files to labels.

        Where nobody says what the values mean, they are the labels of as many classes without
        names as the largest one asks for: then the labels of every scan are read once.
        """
        if self._label_map is None:
            self._label_map = self._ignoring(LabelMap.of(self._counted(), "the data set"))
        return self._label_map

    @property
    def classes(self) -> LabelSet:
        """The label set, in label order."""
        return self.label_map.classes

    @property
    def names(self) -> tuple[str, ...]:
        """What messages call the scans."""
        return tuple(self.name_of(entry) for entry in self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, row):
        """The scan of a row, or the data set of a slice. Raises DataError naming the file."""
        if isinstance(row, slice):
            return self.subset(range(len(self))[row])
        return self.read(self.entries[row])

    def subset(self, rows: Iterable[int]) -> ScanDataset:
        """The data set of some of the rows, in the order given; its classes stay the same."""
        chosen = copy.copy(self)
        chosen.entries = tuple(self.entries[row] for row in rows)
        chosen.parts = {}
        return chosen

    def name_of(self, entry: Any) -> str:
        """What messages call the scan of an entry."""
        return Path(entry).relative_to(self.root).as_posix()

    @abstractmethod
    def read(self, entry: Any) -> Scan:
        """The scan of an entry."""

    @abstractmethod
    def label_values(self, entry: Any) -> tuple[np.ndarray, str]:
        """The labels of an entry as they stand in its file, and the file for messages."""

    def about(self) -> dict[str, Any]:
        """What must stay the same for a training to go on with these scans, by name.

        Their labels are read once for it, as they stand in the files; points are not looked at.
        """
        values = (np.asarray(self.label_values(entry)[0]) for entry in self._label_entries())
        return {
            "classes": [entry.name for entry in self.classes.classes],
            "label map": self.label_map.meanings,
            "scans or labels": digest(chain(self.names, values)),
            "normals": "as they are",
        }

    def _label_entries(self) -> Iterable[Any]:
        """What to ask :meth:`label_values` for to see all labels of these scans."""
        return self.entries

    def _ignoring(self, label_map: LabelMap) -> LabelMap:
        return label_map if self._ignore_index is None else label_map.ignoring(self._ignore_index)

    def _counted(self) -> LabelSet:
        known = self._ignoring(LabelMap.of(LabelSet.from_generic(1)))
        ignored = list(known.ignored | known.ignored_unless_listed)
        highest = 0
        for entry in self._counted_entries:
            values, where = self.label_values(entry)
            values = np.unique(whole_numbers(values, where))
            values = values[~np.isin(values, ignored)]
            if not len(values):
                continue
            if values[0] < 0 or values[-1] >= UNLABELLED:
                wrong = values[0] if values[0] < 0 else values[-1]
                raise DataError(
                    f"{where}: unknown label value {wrong}, 0 to {UNLABELLED - 1} are wanted; say "
                    "what it means in a label map (--label-map) or leave it out of learning with "
                    "--ignore-index"
                )
            highest = max(highest, int(values[-1]))
        return LabelSet.from_generic(highest + 1)


class Cached(Sequence):
    """Keeps the scans of a data set once they are read, up to ``limit`` bytes in all."""

    def __init__(self, data: Sequence[Scan], limit: int = 4 << 30):
        self._data = data
        self._left = limit
        self._kept: dict[int, Scan] = {}

    @property
    def classes(self) -> LabelSet:
        """The label set, in label order."""
        return self._data.classes

    def __len__(self) -> int:
        return len(self._data)

    def about(self) -> dict[str, Any]:
        """What must stay the same for a training to go on, by name."""
        return about_scans(self._data)

    def __getitem__(self, row: int) -> Scan:
        row = range(len(self))[row]
        if row in self._kept:
            return self._kept[row]
        scan = self._data[row]
        arrays = (scan.points, scan.labels, scan.colors, scan.normals)
        size = sum(array.nbytes for array in arrays if array is not None)
        if size <= self._left:
            self._left -= size
            self._kept[row] = scan
        return scan
