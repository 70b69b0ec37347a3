# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""ScanNet v2 (Dai et al., CVPR 2017) as it is downloaded, with its classes or ScanNet200's.

``scans/scene0000_00/`` holds ``scene0000_00_vh_clean_2.ply`` (the mesh),
``scene0000_00_vh_clean_2.0.010000.segs.json`` (the segment of each vertex) and
``scene0000_00.aggregation.json`` (names of objects); ``scannetv2-labels.combined.tsv`` says which
class a name means. ``scene0000_00_vh_clean_2.labels.ply`` holds the NYU40 class of each vertex.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import yaml

from concerto_ros.files.listing import visible
from concerto_ros.files.shared_files import share_path
from concerto_ros.labels.label_set import LabelSet
from concerto_ros.learning.data.formats.annotated_mesh import (
    read_groups,
    read_mesh,
    read_segments,
)
from concerto_ros.learning.data.formats.arrays import make_scan
from concerto_ros.learning.data.formats.base import ScanDataset, rows_by_part
from concerto_ros.learning.data.formats.missing_files import complete, listed_names, table_rows
from concerto_ros.learning.data.formats.scan_folder import read_labelled
from concerto_ros.learning.data.label_map import DataError, LabelMap
from concerto_ros.learning.data.labelled_scan import Scan

log = logging.getLogger(__name__)

#: The table of the names that annotators gave to objects.
TABLE = "scannetv2-labels.combined.tsv"

#: Column of the table with the classes of each label set; others are read by ``nyu40id``.
COLUMNS = {"scannet20": "nyu40id", "scannet200": "id"}

#: Digits of a class in the table.
MOST_DIGITS = 9

MESH, LABELS = "_vh_clean_2.ply", "_vh_clean_2.labels.ply"
SEGMENTS, GROUPS = "_vh_clean_2.0.010000.segs.json", ".aggregation.json"


class ScanNetScans(ScanDataset):
    """The scenes of ScanNet.

    Args:
        root: The folder that contains ``scans`` (and ``scans_test``), ``scans`` itself, or a
            scene.
        label_map: Meaning of the values in the column of the table; None: the 20 published
            classes. With the label set ``scannet200`` the values are those of the column ``id``.
        ignore_index: Values that are not learned; None: the label map's default.
        label_field: Column of the table that holds the values, such as ``nyu40id``, ``id`` or
            ``mpcat40index``; None: that of the label set.

    Raises:
        DataError: There is no scene with its files.
    """

    def __init__(
        self,
        root: Path,
        label_map: LabelMap | None = None,
        ignore_index: Collection[int] | None = None,
        label_field: str | None = None,
    ):
        folders = scene_folders(root)
        if not folders:
            raise DataError(
                f"{root}: has no scene of ScanNet, expected scans/scene0000_00/scene0000_00{MESH}"
            )
        if label_map is None:
            label_map = LabelMap.load("scannet200" if label_field == "id" else "scannet20")
        self.column = label_field or COLUMNS.get(label_map.classes.name, "nyu40id")
        if label_map.values is None and label_map.classes.name in COLUMNS:
            label_map = _published(label_map.classes)
        self._said: set[str] = set()
        self.table_file = next(
            (path for above in (root, *root.parents[:2]) if (path := above / TABLE).is_file()),
            root / TABLE,
        )
        part = _parts(root)
        entries = complete(root, folders, lambda entry: self._files(entry, part(entry) != "test"))
        parts = rows_by_part(entries, part)
        super().__init__(root, entries, label_map, ignore_index, parts)

    def name_of(self, entry: Path) -> str:
        """The name of a scene."""
        return entry.name

    def read(self, entry: Path) -> Scan:
        """Read the mesh of a scene with its labels. Raises DataError naming the file."""
        mesh = read_mesh(entry / f"{entry.name}{MESH}")
        values, where = self.label_values(entry)
        labels = self.labels_of(entry, values, where, len(mesh.points))
        return make_scan(entry.name, str(entry), mesh.points, labels, mesh.colors, mesh.normals)

    def has_labels(self, entry: Path) -> bool:
        """Whether a scene is annotated; those of ``scans_test`` are not."""
        return all(path.is_file() for path in self._files(entry, True))

    def label_values(self, entry: Path) -> tuple[np.ndarray, str]:
        """The class of each vertex by the table, 0 for none, and the file it comes from."""
        if self._simple(entry):
            path = entry / f"{entry.name}{LABELS}"
            return read_labelled(path)["labels"], str(path)
        segments_path = entry / f"{entry.name}{SEGMENTS}"
        segments = read_segments(segments_path)
        by_segment = np.zeros(len(segments.ids), np.int64)
        path = entry / f"{entry.name}{GROUPS}"
        unknown = []
        for group in read_groups(path):
            if group.label not in self._values:
                unknown.append(group.label)
            # Of a segment in several objects the last counts, as in Pointcept.
            by_segment[segments.find(group.segments)] = self._values.get(group.label, 0)
        self._say(path, unknown)
        return by_segment[segments.rows], str(segments_path)

    def _say(self, path: Path, unknown: Sequence[str]) -> None:
        fresh = sorted(set(unknown) - self._said)
        self._said.update(fresh)
        if fresh:
            log.warning(
                "%s: objects named %s are not in %s and get no label",
                *(path, ", ".join(map(repr, fresh)), self.table_file.name),
            )

    def _files(self, entry: Path, labelled: bool) -> list[Path]:
        """The files that a scene needs."""
        endings = [MESH]
        if labelled:
            endings += [LABELS] if self._simple(entry) else [SEGMENTS, GROUPS]
        return [entry / f"{entry.name}{ending}" for ending in endings]

    def _simple(self, entry: Path) -> bool:
        """Whether labels come from the mesh of NYU40 classes, as there are no annotations."""
        annotated = self.table_file.is_file() and (entry / f"{entry.name}{GROUPS}").is_file()
        has_classes = (entry / f"{entry.name}{LABELS}").is_file()
        return self.column == "nyu40id" and not annotated and has_classes

    @cached_property
    def _values(self) -> dict[str, int]:
        """The value of each name in the table."""
        path = self.table_file
        if not path.is_file():
            raise DataError(
                f"{path}: the file does not exist, expected the table that comes with ScanNet in"
                " the folder above scans"
            )
        values: dict[str, int] = {}
        for line, row in table_rows(path, ("raw_category", self.column), "\t"):
            text = (row[self.column] or "").strip()
            if text and not (text.isdecimal() and len(text) <= MOST_DIGITS):
                raise DataError(
                    f"{path}: line {line}: {self.column}: got {text[:40]!r}, expected a whole"
                    f" number of at most {MOST_DIGITS} digits"
                )
            values.setdefault(row["raw_category"] or "", int(text or 0))
        return values


def _published(classes: LabelSet) -> LabelMap:
    """The map from the table's values to a published label set, all others ignored."""
    values = {c.source_id: c.id for c in classes.classes}
    source = f"the published map of {classes.name}"
    return LabelMap(classes, values, ignore_others=True, source=source)


def _parts(root: Path) -> Callable[[Path], str]:
    """A function that tells the part of a scene's folder: by list files, else as published."""
    listed: dict[str, str] = {}
    for part in ("train", "val", "test"):
        for above in (root, *root.parents[:1]):
            names = listed_names(above / f"scannetv2_{part}.txt")
            if names is not None:
                listed |= dict.fromkeys(names, part)
                break
    published = yaml.safe_load(share_path("config/splits/scannet.yaml").read_text("utf-8"))

    def part_of(entry: Path) -> str:
        if entry.name in listed:
            return listed[entry.name]
        space = entry.name[len("scene") :].partition("_")[0]
        if entry.parent.name == "scans_test":
            return "test"
        if not space.isdecimal():
            return "train"
        if int(space) >= published["first_test"]:
            return "test"
        return "val" if int(space) in published["val"] else "train"

    return part_of


def scene_folders(root: Path) -> list[Path]:
    """The folders of scenes: ``root`` itself or those in it, ``scans`` and ``scans_test``."""
    if (root / f"{root.name}{MESH}").is_file():
        return [root]
    for pattern in ("scans*/scene*_*", "scene*_*"):
        folders = [path for path in visible(root.glob(pattern), root) if path.is_dir()]
        if any((path / f"{path.name}{MESH}").is_file() for path in folders):
            return folders
    return []
