# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""SemanticKITTI (Behley et al., ICCV 2019) and data of one's own in its layout.

``sequences/<number>/velodyne/*.bin`` are float32 x, y, z, remission in the sensor's frame, z up;
``labels/*.label`` are uint32, the class in the lower 16 bits; ``poses.txt`` and ``calib.txt`` are
needed only to fuse scans.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from concerto_ros.labels.label_set import UNLABELLED, LabelSet
from concerto_ros.learning.data.formats.arrays import make_scan
from concerto_ros.learning.data.formats.base import ScanDataset
from concerto_ros.learning.data.label_map import DataError, LabelMap
from concerto_ros.learning.data.labelled_scan import Scan

LABEL_SET = "semantickitti"

#: The published split: 08 is for validation, 11 to 21 come without labels.
VALIDATION_SEQUENCE = "08"
UNLABELLED_SEQUENCES = range(11, 22)

#: Values of the files that the single-scan benchmark counts as another one: bus and on-rails as
#: other-vehicle, lane-marking as road, and what moves as what stands.
COUNTED_AS = {13: 20, 16: 20, 60: 40, 252: 10, 253: 31, 254: 30, 255: 32}
COUNTED_AS |= {256: 20, 257: 20, 258: 18, 259: 20}

#: unlabeled, outlier, other-structure and other-object.
NOT_COUNTED = (0, 1, 52, 99)

BYTES_PER_POINT = 16


class SemanticKittiScans(ScanDataset):
    """The scans below a folder, by itself a sequence or one that holds ``sequences``.

    ``accumulate``: how many scans of a sequence, the one itself and those before it, are fused in
    its frame through the poses.
    """

    ordered = True
    sensor_at_origin = True

    def __init__(
        self,
        root: Path,
        label_map: LabelMap | None = None,
        ignore_index: Collection[int] | None = None,
        accumulate: int = 1,
    ):
        if accumulate < 1:
            raise ValueError(f"accumulate is {accumulate}, expected 1 or more scans")
        self.accumulate = accumulate
        entries, parts = [], {}
        for sequence in sequence_folders(root):
            number = sequence.name
            if not (sequence / "labels").is_dir():
                if number.isdecimal() and int(number) in UNLABELLED_SEQUENCES:
                    continue
                raise DataError(f"{sequence}: has no folder labels beside velodyne")
            scans = sorted((sequence / "velodyne").glob("*.bin"))
            part = "val" if number == VALIDATION_SEQUENCE else "train"
            parts.setdefault(part, []).extend(range(len(entries), len(entries) + len(scans)))
            entries += scans
        if not entries:
            raise DataError(
                f"{root}: no labelled scan; expected sequences/<number>/velodyne/*.bin and labels"
            )
        published = label_map is None or (
            label_map.classes.name == LABEL_SET and label_map.values is None
        )
        super().__init__(
            root,
            entries,
            published_map() if published else label_map,
            ignore_index,
            {part: rows for part, rows in parts.items() if rows} if len(parts) > 1 else None,
        )

    def read(self, entry: Path) -> Scan:
        scans = [entry]
        if self.accumulate > 1:
            every = sorted(entry.parent.glob("*.bin"))
            row = every.index(entry)
            scans = every[max(0, row + 1 - self.accumulate) : row + 1]
        points, labels = [], []
        for path in scans:
            values, where = self.label_values(path)
            labels.append(self.label_map.apply(values, where))
            points.append(self._points(path, entry))
            if len(labels[-1]) != len(points[-1]):
                counts = f"{len(labels[-1])} labels for {len(points[-1])} points"
                raise DataError(f"{where}: {counts} of {path.name}")
        return make_scan(
            self.name_of(entry), str(entry), np.concatenate(points), np.concatenate(labels)
        )

    def label_values(self, entry: Path) -> tuple[np.ndarray, str]:
        path = entry.parent.parent / "labels" / f"{entry.stem}.label"
        if not path.is_file():
            raise DataError(f"{path}: there is no such file, though there is {entry.name}")
        if path.stat().st_size % 4:
            raise DataError(f"{path}: {path.stat().st_size} bytes are no whole number of uint32")
        return np.fromfile(path, "<u4") & 0xFFFF, str(path)

    def about(self) -> dict[str, Any]:
        return super().about() | {"scans fused": self.accumulate}

    def _points(self, path: Path, into: Path) -> np.ndarray:
        """(N, 3) points of a scan in the frame of the scan ``into`` of its sequence."""
        size = path.stat().st_size
        if size == 0 or size % BYTES_PER_POINT:
            raise DataError(f"{path}: {size} bytes, expected {BYTES_PER_POINT} for each point")
        points = np.fromfile(path, "<f4").reshape(-1, 4)[:, :3]
        if path == into:
            return points
        poses = sensor_poses(path.parent.parent)
        try:
            place, target = poses[int(path.stem)], poses[int(into.stem)]
        except (IndexError, ValueError):
            raise DataError(
                f"{path.parent.parent / 'poses.txt'}: {len(poses)} poses, none for one of "
                f"{path.name} and {into.name}"
            ) from None
        change = np.linalg.inv(target) @ place
        return (points @ change[:3, :3].T + change[:3, 3]).astype(np.float32)


def published_map() -> LabelMap:
    """The 19 classes of the single-scan benchmark from the values in the files."""
    classes = LabelSet.load(LABEL_SET)
    values = {entry.source_id: entry.id for entry in classes.classes}
    values |= {value: values[other] for value, other in COUNTED_AS.items()}
    values |= dict.fromkeys(NOT_COUNTED, UNLABELLED)
    return LabelMap(classes, values, source=f"the published map of {LABEL_SET}")


def sequence_folders(root: Path) -> list[Path]:
    """The folders that have a folder ``velodyne``: ``root`` itself or those of its sequences."""
    if (root / "velodyne").is_dir():
        return [root]
    for folder in (root / "dataset" / "sequences", root / "sequences", root):
        if found := sorted(path.parent for path in folder.glob("*/velodyne") if path.is_dir()):
            return found
    return []


@cache
def sensor_poses(sequence: Path) -> np.ndarray:
    """(S, 4, 4) float64: from each scan's frame into that of the first camera at the start.

    ``poses.txt`` has the camera's poses, a (3, 4) matrix per line, and the line ``Tr`` of
    ``calib.txt`` leads from the sensor to the camera.
    """
    poses = [_matrix(sequence / "poses.txt", line) for line in _lines(sequence / "poses.txt")]
    path = sequence / "calib.txt"
    calibration = [line for line in _lines(path) if re.match(r"Tr\s*:", line)]
    if not calibration:
        raise DataError(f"{path}: has no line Tr (from the sensor to the camera)")
    to_camera = _matrix(path, calibration[0].partition(":")[2])
    return np.linalg.inv(to_camera) @ np.array(poses) @ to_camera


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: is needed to fuse scans, but cannot be read: {error}") from None


def _matrix(path: Path, line: str) -> np.ndarray:
    try:
        numbers = np.array([float(word) for word in line.split()])
        top = numbers.reshape(3, 4)
    except ValueError:
        raise DataError(f"{path}: line {line.strip()[:60]!r} is no matrix of 12 numbers") from None
    if not np.isfinite(top).all():
        raise DataError(f"{path}: line {line.strip()[:60]!r} holds a number that is not finite")
    return np.vstack([top, [0, 0, 0, 1]])
