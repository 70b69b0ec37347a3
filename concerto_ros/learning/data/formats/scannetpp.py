# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""ScanNet++ (Yeshwanth et al., ICCV 2023) as it is downloaded, with the classes of its benchmark.

``data/<scene>/scans/`` holds ``mesh_aligned_0.05.ply``, ``segments.json`` and
``segments_anno.json``; ``metadata/semantic_benchmark/`` the classes (``top100.txt``) and which of
them a name means (``map_benchmark.csv``); ``splits/`` the parts. The vertices are the points, as
in Pointcept. A vertex may belong to several objects: the smallest of the first three is its label.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property
from pathlib import Path

import numpy as np

from concerto_ros.files.listing import visible
from concerto_ros.labels.label_set import LabelSet
from concerto_ros.learning.data.formats.annotated_mesh import (
    read_groups,
    read_mesh,
    read_segments,
)
from concerto_ros.learning.data.formats.arrays import make_scan
from concerto_ros.learning.data.formats.base import ScanDataset, rows_by_part
from concerto_ros.learning.data.formats.missing_files import complete, listed_names, table_rows
from concerto_ros.learning.data.label_map import DataError, LabelMap, named_classes
from concerto_ros.learning.data.labelled_scan import Scan

LABEL_SET = "scannetpp"

MESH = "scans/mesh_aligned_0.05.ply"
SEGMENTS, GROUPS = "scans/segments.json", "scans/segments_anno.json"

METADATA = "metadata/semantic_benchmark"

#: The published list of each part's scenes.
SPLITS = {"train": "nvs_sem_train.txt", "val": "nvs_sem_val.txt", "test": "sem_test.txt"}

#: Objects that a vertex can belong to; further ones do not count.
MOST_OBJECTS = 3


class ScanNetPPScans(ScanDataset):
    """The scenes of ScanNet++.

    Args:
        root: The folder that contains ``data``, ``metadata`` and ``splits``.
        label_map: Meaning of the classes of ``top100.txt``, by their position; None: themselves.
        ignore_index: Values that are not learned; None: the label map's default.

    Raises:
        DataError: There is no scene with its files, or no list of classes.
    """

    def __init__(
        self,
        root: Path,
        label_map: LabelMap | None = None,
        ignore_index: Collection[int] | None = None,
    ):
        folders = scene_folders(root)
        if not folders:
            raise DataError(f"{root}: has no scene of ScanNet++, expected data/<scene>/{MESH}")
        metadata = root / METADATA
        names = listed_names(metadata / "top100.txt")
        if not names:
            raise DataError(f"{metadata / 'top100.txt'}: does not exist or is empty")
        self._label_of = {name: label for label, name in enumerate(names)}
        self._mapping_file = metadata / "map_benchmark.csv"
        if label_map is None:
            label_map = LabelMap.of(_classes(names), str(metadata / "top100.txt"))
        part_of: dict[str, str] = {}
        for part, file in SPLITS.items():
            part_of |= dict.fromkeys(listed_names(root / "splits" / file) or (), part)
        entries = complete(
            root, folders, lambda entry: _files(entry, part_of.get(entry.name) != "test")
        )
        parts = rows_by_part(entries, lambda entry: part_of.get(entry.name))
        super().__init__(root, entries, label_map, ignore_index, parts)

    def name_of(self, entry: Path) -> str:
        """The name of a scene."""
        return entry.name

    def read(self, entry: Path) -> Scan:
        """Read the mesh of a scene with its labels. Raises DataError naming the file."""
        mesh = read_mesh(entry / MESH)
        values, where = self.label_values(entry)
        labels = self.labels_of(entry, values, where, len(mesh.points))
        return make_scan(entry.name, str(entry), mesh.points, labels, mesh.colors, mesh.normals)

    def has_labels(self, entry: Path) -> bool:
        """Whether a scene is annotated; those to test on are not."""
        return all(path.is_file() for path in _files(entry, True))

    def label_values(self, entry: Path) -> tuple[np.ndarray, str]:
        """The class of each vertex, its position in ``top100.txt``, -1 for none; and the file."""
        segments = read_segments(entry / SEGMENTS)
        label = np.full(len(segments.ids), -1, np.int64)
        smallest = np.full(len(segments.ids), np.inf)
        objects = np.zeros(len(segments.ids), np.int64)
        for group in read_groups(entry / GROUPS):
            value = self._label_of.get(self._mapping.get(group.label, ""), -1)
            if value < 0:
                continue
            rows = segments.find(group.segments)
            rows = rows[objects[rows] < MOST_OBJECTS]
            size = segments.sizes[rows].sum()
            smaller = rows[size < smallest[rows]]
            label[smaller], smallest[smaller] = value, size
            objects[rows] += 1
        return label[segments.rows], str(entry / SEGMENTS)

    @cached_property
    def _mapping(self) -> dict[str, str]:
        """The class of each name of an object; a name that is not in it has none."""
        path = self._mapping_file
        if not path.is_file():
            raise DataError(f"{path}: the file does not exist, expected names and their classes")
        mapping: dict[str, str] = {}
        for _, row in table_rows(path, ("class", "semantic_map_to")):
            name, target = row["class"] or "", row["semantic_map_to"] or ""
            if not target:
                mapping.setdefault(name, name)
            elif target != "None":
                mapping[name] = target
        return mapping


def _classes(names: list[str]) -> LabelSet:
    """The shipped label set if it has these names, else one of these names."""
    shipped = LabelSet.load(LABEL_SET)
    if [c.name for c in shipped.classes] == names:
        return shipped
    return named_classes(names, LABEL_SET)


def _files(entry: Path, labelled: bool) -> list[Path]:
    """The files that a scene needs."""
    return [entry / name for name in ((MESH, SEGMENTS, GROUPS) if labelled else (MESH,))]


def scene_folders(root: Path) -> list[Path]:
    """The folders ``data/<scene>`` of which at least one has its mesh."""
    folders = [path.parent for path in visible(root.glob("data/*/scans"), root) if path.is_dir()]
    return folders if any((folder / MESH).is_file() for folder in folders) else []
