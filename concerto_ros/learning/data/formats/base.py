# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Base class of the data sets: a sequence of scans that are read when they are indexed."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any, overload

import numpy as np

from concerto_ros.files.digest import digest
from concerto_ros.labels.label_set import UNLABELLED, LabelSet
from concerto_ros.learning.data.formats.arrays import column_of
from concerto_ros.learning.data.label_map import NO_VALUE, DataError, LabelMap, integer_labels
from concerto_ros.learning.data.labelled_scan import LabelledScans, Scan
from concerto_ros.learning.data.lazy_sequence import LazySequence
from concerto_ros.learning.data.scan_identity import scan_identity, values_found
from concerto_ros.sensors.intensity import grey_of


class ScanDataset(LazySequence[Scan]):
    """Labelled scans of one folder or recording; cheap to create, scans are not cached.

    Attributes:
        root: Folder or file that was opened.
        entries: One per scan: what :meth:`read` reads, e.g. a path.
        parts: Rows of ``train``, ``val`` and ``test``, as far as the data set defines such parts.
        ordered: Whether scans are in the order of time, so that neighbours show nearly the same
            and a random hold-out would be no fair test.
        sensor_at_origin: Whether the sensor is at the origin of the points; normals face it.
        intensity_white: Intensity that is white where it takes the place of colours; 0: colours
            are colours.
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
        self._test_entries = frozenset(self.entries[row] for row in self.parts.get("test", ()))
        self.intensity_white = 0.0
        self._labels_at: tuple[Mapping[str, np.ndarray], str] | None = None

    @property
    def label_map(self) -> LabelMap:
        """Mapping from the values in the files to labels.

        Without a label map the values are the labels of unnamed classes, as many as the largest
        value needs; to find it, the labels of all scans are read once.
        """
        if self._label_map is None:
            self._label_map = self._ignoring(LabelMap.of(self._generic_classes(), "the data set"))
        return self._label_map

    @property
    def classes(self) -> LabelSet:
        """The label set, in label order."""
        return self.label_map.classes

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the scans in messages."""
        return tuple(self.name_of(entry) for entry in self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    @overload
    def __getitem__(self, index: int) -> Scan: ...

    @overload
    def __getitem__(self, index: slice) -> ScanDataset: ...

    def __getitem__(self, index: int | slice) -> Scan | ScanDataset:
        if isinstance(index, slice):
            return self.subset(range(len(self))[index])
        return super().__getitem__(index)

    def read_item(self, index: int) -> Scan:
        """Read the scan at ``index``. Raises DataError naming the file."""
        return self.read(self.entries[index])

    def subset(self, rows: Iterable[int]) -> ScanDataset:
        """The data set of the scans ``rows``, in this order, with the same classes."""
        chosen = copy.copy(self)
        chosen.entries = tuple(self.entries[row] for row in rows)
        chosen.parts = {}
        return chosen

    def with_labels_at(self, points: Mapping[str, np.ndarray], source: str) -> ScanDataset:
        """The data set with only the labels of chosen points.

        Args:
            points: For the last part of a scan's name without ending, e.g. ``scene0000_00``, the
                numbers of its points that keep their label.
            source: The file that they come from, for messages.
        """
        chosen = copy.copy(self)
        chosen._labels_at = points, source
        return chosen

    def labels_of(self, entry: Any, values: np.ndarray, where: str, count: int) -> np.ndarray:
        """The labels (N,) uint8 of the values (N,) of an entry's file.

        Args:
            entry: The scan.
            values: Its label values as they are in the file.
            where: The file of the labels, for messages.
            count: Number of the scan's points.

        Raises:
            DataError: There is not one value per point, a value is unknown, or a point that should
                keep its label does not exist.
        """
        if len(values) != count:
            raise DataError(
                f"{where}: {len(values)} labels for {count} points of {self.name_of(entry)},"
                " expected one per point"
            )
        labels = self.label_map.apply(values, where)
        if self._labels_at is None:
            return labels
        points, source = self._labels_at
        name = scene_name(self.name_of(entry))
        kept = points.get(name, np.empty(0, np.int64))
        if len(kept) and kept.max() >= len(labels):
            raise DataError(
                f"{source}: {name}: got point {kept.max()}, expected less than {len(labels)}, the"
                f" points of {where}"
            )
        result = np.full(len(labels), UNLABELLED, np.uint8)
        result[kept] = labels[kept]
        return result

    def colors_of(
        self, where: str, colors: np.ndarray | None, intensity: np.ndarray | None
    ) -> np.ndarray | None:
        """The colours of a scan, or its intensity (N,) as grey where that takes their place.

        Raises:
            DataError: There is no intensity, or not one number per point; names the file.
        """
        if not self.intensity_white:
            return colors
        if intensity is None:
            raise DataError(
                f"{where}: has no intensity, expected one per point, as --intensity-white is"
                f" {self.intensity_white:g}"
            )
        values = column_of(where, "the intensity", intensity)
        if values.dtype.kind not in "fiub":
            raise DataError(f"{where}: intensity is {values.dtype}, expected numbers")
        return grey_of(values, self.intensity_white)

    def name_of(self, entry: Any) -> str:
        """Name in messages of the scan of an entry."""
        return Path(entry).relative_to(self.root).as_posix()

    @abstractmethod
    def read(self, entry: Any) -> Scan:
        """Read the scan of an entry. Raises DataError naming the file."""

    @abstractmethod
    def label_values(self, entry: Any) -> tuple[np.ndarray, str]:
        """The label values of an entry as they are in its file, and the name of the file."""

    def has_labels(self, entry: Any) -> bool:
        """Whether there are labels for an entry; test scans of benchmarks have none."""
        return True

    def values_found(self) -> dict[int, int]:
        """Number of points of each label value in the files of these scans, most frequent first.

        For messages: values that are not whole numbers are left out.
        """
        found: Counter[int] = Counter()
        for entry in self._label_entries():
            values, where = self.label_values(entry)
            distinct, counts = np.unique(
                integer_labels(values, where, others_ignored=True), return_counts=True
            )
            found.update(dict(zip(distinct.tolist(), counts.tolist(), strict=True)))
        del found[NO_VALUE]
        return dict(found.most_common())

    def identity(self) -> dict[str, Any]:
        """By name, what must be equal for a training run to resume with these scans.

        Reads the labels of all scans, as they are in the files, but no points. The names and
        values are stored in ``training.pt``.
        """
        values = (np.asarray(self.label_values(entry)[0]) for entry in self._label_entries())
        identity = {
            "classes": [c.name for c in self.classes.classes],
            "label map": self.label_map.meanings,
            "scans or labels": digest(chain(self.names, values)),
            "normals": "as they are",
        }
        if self.intensity_white:
            identity["colours"] = f"intensity, {self.intensity_white:g} as white"
        if self._labels_at is not None:
            points = self._labels_at[0]
            kept = (points[name] for name in map(scene_name, self.names) if name in points)
            identity["points with labels"] = digest(kept)
        return identity

    def _label_entries(self) -> Iterable[Any]:
        """Entries whose :meth:`label_values` are together all labels of these scans."""
        return self.entries

    def _ignoring(self, label_map: LabelMap) -> LabelMap:
        return label_map if self._ignore_index is None else label_map.ignoring(self._ignore_index)

    def _generic_classes(self) -> LabelSet:
        """Unnamed classes, as many as the largest label value in the files needs."""
        known = self._ignoring(LabelMap.of(LabelSet.from_generic(1)))
        ignored = [NO_VALUE, *known.ignored, *known.ignored_unless_listed]
        highest = 0
        for entry in self._counted_entries:
            if entry in self._test_entries and not self.has_labels(entry):
                continue
            values, where = self.label_values(entry)
            values = np.unique(integer_labels(values, where))
            values = values[~np.isin(values, ignored)]
            if not len(values):
                continue
            if values[0] < 0 or values[-1] >= UNLABELLED:
                wrong = values[0] if values[0] < 0 else values[-1]
                raise DataError(
                    f"{where}: unknown label value {wrong}, expected 0 to {UNLABELLED - 1}; "
                    "define its class in a label map (--label-map) or exclude it from training "
                    "with --ignore-index"
                )
            highest = max(highest, int(values[-1]))
        return LabelSet.from_generic(highest + 1)


def rows_by_part(
    entries: Sequence[Any], part_of: Callable[[Any], str | None]
) -> dict[str, list[int]]:
    """The rows of entries by the part that each belongs to; those without a part are in none."""
    parts: dict[str, list[int]] = {}
    for row, entry in enumerate(entries):
        part = part_of(entry)
        if part:
            parts.setdefault(part, []).append(row)
    return parts


def scene_name(name: str) -> str:
    """What lists call a scan: the last part of its name, without the ending of a file."""
    return PurePosixPath(name).stem


class Cached(LazySequence[Scan]):
    """The scans of a data set, kept in memory once read, up to ``limit`` bytes in total."""

    def __init__(self, data: LabelledScans, limit: int = 4 << 30):
        self._data = data
        self._free_bytes = limit
        self._cache: dict[int, Scan] = {}

    @property
    def classes(self) -> LabelSet:
        """The label set, in label order."""
        return self._data.classes

    def __len__(self) -> int:
        return len(self._data)

    def identity(self) -> dict[str, Any]:
        """By name, what must be equal for a training run to resume with these scans."""
        return scan_identity(self._data)

    def values_found(self) -> dict[int, int]:
        """Number of points of each label value in the files of these scans."""
        return values_found(self._data)

    def read_item(self, index: int) -> Scan:
        """The scan at ``index``, from memory if it is there."""
        if index in self._cache:
            return self._cache[index]
        scan = self._data[index]
        arrays = (scan.points, scan.labels, scan.colors, scan.normals)
        size = sum(array.nbytes for array in arrays if array is not None)
        if size <= self._free_bytes:
            self._free_bytes -= size
            self._cache[index] = scan
        return scan
