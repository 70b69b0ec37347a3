# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""nuScenes-lidarseg (Caesar et al., CVPR 2020) as it is downloaded.

``v1.0-trainval/*.json`` (or ``v1.0-mini``) are its tables, ``samples/LIDAR_TOP/*.pcd.bin`` float32
x, y, z, intensity, ring in the sensor's frame (x to the right, y forward, z up), and
``lidarseg/v1.0-trainval/*_lidarseg.bin`` uint8, a category for each point. Only key frames have
labels.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from concerto_ros.files.error_text import one_line
from concerto_ros.files.shared_files import share_path
from concerto_ros.learning.data.formats.arrays import make_scan
from concerto_ros.learning.data.formats.base import ScanDataset, rows_by_part
from concerto_ros.learning.data.formats.missing_files import complete
from concerto_ros.learning.data.label_map import DataError, LabelMap
from concerto_ros.learning.data.labelled_scan import Scan

LABEL_SET = "nuscenes"

#: The published map from categories to classes.
LABEL_MAP = "config/label_maps/nuscenes_lidarseg.yaml"

TABLE = "lidarseg.json"

MINI = "v1.0-mini"

BYTES_PER_POINT = 20

#: Characters of a table that are read at once: that of all sensor data has more than a gigabyte.
CHUNK = 1 << 20

#: Characters after which a record that is not complete is taken for a fault of the file.
LONGEST_RECORD = 1 << 22


class KeyFrame(NamedTuple):
    """A labelled sweep: its points, its labels, its scene and its time in microseconds."""

    points: Path
    labels: Path
    scene: str
    time: int


class NuScenesScans(ScanDataset):
    """The key frames of nuScenes that have labels.

    Args:
        root: The folder that contains ``samples``, ``lidarseg`` and a folder of tables.
        label_map: Meaning of the categories in the files; None: the published 16 classes.
        ignore_index: Values that are not learned; None: the label map's default.

    Raises:
        DataError: A table is missing or invalid, or no key frame has its files.
    """

    ordered = True
    sensor_at_origin = True

    def __init__(
        self,
        root: Path,
        label_map: LabelMap | None = None,
        ignore_index: Collection[int] | None = None,
    ):
        tables = table_folders(root)
        if not tables:
            raise DataError(
                f"{root}: has no table of nuScenes-lidarseg, expected v1.0-trainval/{TABLE}"
            )
        frames = [frame for folder in tables for frame in _key_frames(folder)]
        frames.sort(key=lambda frame: (frame.scene, frame.time))
        entries = complete(root, frames, lambda frame: (frame.points, frame.labels))
        published = yaml.safe_load(share_path("config/splits/nuscenes.yaml").read_text("utf-8"))
        held = published["mini_val" if [t.name for t in tables] == [MINI] else "val"]
        validation = {f"scene-{number:04d}" for number in held}
        parts = rows_by_part(
            entries, lambda entry: "val" if entry.scene in validation else "train"
        )
        if label_map is None or (label_map.classes.name == LABEL_SET and label_map.values is None):
            label_map = LabelMap.load(share_path(LABEL_MAP))
        super().__init__(root, entries, label_map, ignore_index, parts if len(parts) > 1 else None)

    def name_of(self, entry: KeyFrame) -> str:
        """Scene and file of a key frame."""
        return f"{entry.scene}/{entry.points.name}"

    def read(self, entry: KeyFrame) -> Scan:
        """Read a key frame. Raises DataError naming the file."""
        size = entry.points.stat().st_size
        if size == 0 or size % BYTES_PER_POINT:
            raise DataError(
                f"{entry.points}: {size} bytes, expected {BYTES_PER_POINT} for each point (float32"
                " x, y, z, intensity, ring)"
            )
        table = np.fromfile(entry.points, "<f4").reshape(-1, 5)
        values, where = self.label_values(entry)
        labels = self.labels_of(entry, values, where, len(table))
        where = str(entry.points)
        colors = self.colors_of(where, None, table[:, 3])
        return make_scan(self.name_of(entry), where, table[:, :3], labels, colors)

    def label_values(self, entry: KeyFrame) -> tuple[np.ndarray, str]:
        """The category of each point, and the file."""
        return np.fromfile(entry.labels, np.uint8), str(entry.labels)


def table_folders(root: Path) -> list[Path]:
    """The folders ``v1.0-*`` with the table of labels, in ``root`` or its folder ``raw``."""
    for folder in (root, root / "raw"):
        found = sorted(path.parent for path in folder.glob(f"v1.0-*/{TABLE}"))
        if found:
            return found
    return []


def _key_frames(tables: Path) -> Iterator[KeyFrame]:
    """The labelled key frames that a folder of tables lists."""
    root = tables.parent
    labels = _fields(tables / TABLE, "sample_data_token", "filename")
    scenes = _fields(tables / "scene.json", "token", "name")
    samples = _fields(tables / "sample.json", "token", "scene_token")
    path = tables / "sample_data.json"
    found = 0
    for record in records(path):
        token = _field(path, record, "token")
        if token not in labels:
            continue
        found += 1
        sample = _field(path, record, "sample_token")
        scene = scenes.get(samples.get(sample, ""))
        if scene is None:
            raise DataError(
                f"{path}: {token}: sample_token: got {sample!r}, expected a sample of a scene in"
                " sample.json and scene.json"
            )
        time = record.get("timestamp", 0)
        if type(time) is not int:
            raise DataError(
                f"{path}: {token}: timestamp: got {time!r}, expected whole microseconds"
            )
        points = root / _field(path, record, "filename")
        yield KeyFrame(points, root / labels[token], scene, time)
    if found < len(labels):
        raise DataError(
            f"{path}: lists {found} of the {len(labels)} key frames of {TABLE}, expected all;"
            " the tables are of different versions"
        )


def _fields(path: Path, key: str, value: str) -> dict[str, str]:
    """One field of the records of a table by another."""
    return {_field(path, each, key): _field(path, each, value) for each in records(path)}


def _field(path: Path, record: Any, name: str) -> str:
    value = record.get(name) if isinstance(record, dict) else None
    if not isinstance(value, str):
        raise DataError(f"{path}: {name}: got {value!r} in a record, expected a text")
    return value


def records(path: Path) -> Iterator[Any]:
    """The records of a table, a JSON list, one after the other: not the whole file at once.

    Raises:
        DataError: The file is missing or invalid.
    """
    if not path.is_file():
        raise DataError(f"{path}: the file does not exist, expected a table of nuScenes")
    try:
        yield from _decoded(path)
    except (UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"{path}: not readable as JSON: {one_line(error)}") from None


def _decoded(path: Path) -> Iterator[Any]:
    decoder = json.JSONDecoder()
    with path.open(encoding="utf-8") as file:
        text, at = file.read(CHUNK).lstrip(), 1
        if not text.startswith("["):
            raise DataError(f"{path}: got {text[:20]!r} at the start, expected a list of records")
        while True:
            while at < len(text) and text[at] in " \t\r\n,":
                at += 1
            if text[at : at + 1] == "]":
                return
            try:
                record, at = decoder.raw_decode(text, at)
            except json.JSONDecodeError as error:
                more = file.read(CHUNK) if len(text) - at < LONGEST_RECORD else ""
                if not more:
                    raise DataError(f"{path}: cut short or invalid: {one_line(error)}") from None
                text, at = text[at:] + more, 0
                continue
            yield record
