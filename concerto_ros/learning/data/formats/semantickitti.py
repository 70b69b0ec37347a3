# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""SemanticKITTI (Behley et al., ICCV 2019) and other data in its layout.

``sequences/<number>/velodyne/*.bin`` are float32 x, y, z, remission in the sensor's frame, z up;
``labels/*.label`` are uint32, the class in the lower 16 bits; ``poses.txt`` and ``calib.txt`` are
needed only to fuse scans.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from concerto_ros.files.error_text import one_line
from concerto_ros.files.listing import visible
from concerto_ros.labels.label_set import UNLABELLED, LabelSet
from concerto_ros.learning.data.formats.arrays import make_scan
from concerto_ros.learning.data.formats.base import ScanDataset
from concerto_ros.learning.data.label_map import DataError, LabelMap
from concerto_ros.learning.data.labelled_scan import Scan

log = logging.getLogger(__name__)

LABEL_SET = "semantickitti"

#: The published split: sequence 08 is the validation set, 11 to 21 have no labels.
VALIDATION_SEQUENCE = "08"
UNLABELLED_SEQUENCES = range(11, 22)

#: Values that the single-scan benchmark merges into another: bus and on-rails into other-vehicle,
#: lane-marking into road, moving classes into the static ones.
MERGED_INTO = {13: 20, 16: 20, 60: 40, 252: 10, 253: 31, 254: 30, 255: 32}
MERGED_INTO |= {256: 20, 257: 20, 258: 18, 259: 20}

#: Values that the benchmark ignores: unlabeled, outlier, other-structure and other-object.
BENCHMARK_IGNORED = (0, 1, 52, 99)

BYTES_PER_POINT = 16


class SemanticKittiScans(ScanDataset):
    """The scans of SemanticKITTI or of data in its layout.

    Args:
        root: The folder of a sequence, one that contains ``sequences``, or one that contains
            folders of sequences.
        label_map: Meaning of the values in the files; None: the published 19 classes.
        ignore_index: Values that are not learned; None: the label map's default.
        accumulate: Number of successive scans of a sequence that are fused: the scan itself and
            those before it, transformed to its frame by the poses.

    Raises:
        DataError: There is no labelled scan.
        ValueError: ``accumulate`` is less than 1.
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
        entries: list[Path] = []
        parts: dict[str, list[int]] = {}
        unlabelled: list[Path] = []
        for sequence in sequence_folders(root):
            number = sequence.name
            if not (sequence / "labels").is_dir():
                if number.isdecimal() and int(number) in UNLABELLED_SEQUENCES:
                    continue
                unlabelled.append(sequence)
                continue
            scans = _scans(sequence)
            part = "val" if number == VALIDATION_SEQUENCE else "train"
            parts.setdefault(part, []).extend(range(len(entries), len(entries) + len(scans)))
            entries += scans
        if unlabelled and not entries:
            raise DataError(f"{unlabelled[0]}: has no folder labels, expected it beside velodyne")
        for sequence in unlabelled:
            log.warning("%s has no folder labels beside velodyne; it is left out", sequence)
        if not entries:
            raise DataError(
                f"{root}: has no labelled scan, expected sequences/<number>/velodyne/*.bin and "
                "sequences/<number>/labels/*.label"
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
        """Read a scan, fused with those before it where ``accumulate`` asks for it."""
        scans = [entry]
        if self.accumulate > 1:
            every = _scans(entry.parent.parent)
            row = every.index(entry)
            scans = every[max(0, row + 1 - self.accumulate) : row + 1]
        points: list[np.ndarray] = []
        remission: list[np.ndarray] = []
        labels: list[np.ndarray] = []
        for path in scans:
            values, where = self.label_values(path)
            table = _table(path)
            labels.append(self.labels_of(path, values, where, len(table)))
            points.append(self._placed(table[:, :3], path, entry))
            remission.append(table[:, 3])
        where = str(entry)
        colors = self.colors_of(where, None, np.concatenate(remission))
        return make_scan(
            self.name_of(entry), where, np.concatenate(points), np.concatenate(labels), colors
        )

    def label_values(self, entry: Path) -> tuple[np.ndarray, str]:
        """The classes of a scan's .label file, without the instance numbers, and its path."""
        path = entry.parent.parent / "labels" / f"{entry.stem}.label"
        if not path.is_file():
            raise DataError(f"{path}: the file does not exist, expected labels for {entry.name}")
        if path.stat().st_size % 4:
            raise DataError(
                f"{path}: {path.stat().st_size} bytes, expected 4 (a uint32) for each point"
            )
        return np.fromfile(path, "<u4") & 0xFFFF, str(path)

    def identity(self) -> dict[str, Any]:
        """Extends :meth:`ScanDataset.identity` by the number of fused scans."""
        return super().identity() | {"scans fused": self.accumulate}

    def _placed(self, points: np.ndarray, path: Path, target: Path) -> np.ndarray:
        """(N, 3) points of a scan in the frame of the scan ``target`` of the same sequence."""
        if path == target:
            return points
        poses = sensor_poses(path.parent.parent)
        try:
            pose, target_pose = poses[int(path.stem)], poses[int(target.stem)]
        except (IndexError, ValueError):
            raise DataError(
                f"{path.parent.parent / 'poses.txt'}: {len(poses)} poses, expected one each for "
                f"{path.name} and {target.name}"
            ) from None
        transform = np.linalg.inv(target_pose) @ pose
        return (points @ transform[:3, :3].T + transform[:3, 3]).astype(np.float32)


def published_map() -> LabelMap:
    """Label map from the values in the files to the 19 classes of the single-scan benchmark."""
    classes = LabelSet.load(LABEL_SET)
    values = {c.source_id: c.id for c in classes.classes}
    values |= {value: values[other] for value, other in MERGED_INTO.items()}
    values |= dict.fromkeys(BENCHMARK_IGNORED, UNLABELLED)
    return LabelMap(classes, values, source=f"the published map of {LABEL_SET}")


def sequence_folders(root: Path) -> list[Path]:
    """The folders of sequences, which contain ``velodyne``: ``root`` itself or those below it."""
    if (root / "velodyne").is_dir():
        return [root]
    for folder in (root / "dataset" / "sequences", root / "sequences", root):
        scans = [path for path in visible(folder.glob("*/velodyne"), folder) if path.is_dir()]
        if scans:
            return [path.parent for path in scans]
    return []


def _scans(sequence: Path) -> list[Path]:
    folder = sequence / "velodyne"
    return visible(folder.glob("*.bin"), folder)


def _table(path: Path) -> np.ndarray:
    """(N, 4) float32 x, y, z, remission of a scan's file."""
    size = path.stat().st_size
    if size == 0 or size % BYTES_PER_POINT:
        raise DataError(f"{path}: {size} bytes, expected {BYTES_PER_POINT} for each point")
    return np.fromfile(path, "<f4").reshape(-1, 4)


@cache
def sensor_poses(sequence: Path) -> np.ndarray:
    """Read the poses of the sensor, one per scan of a sequence.

    ``poses.txt`` has the camera's poses, a (3, 4) matrix per line; the line ``Tr`` of
    ``calib.txt`` is the transform from the sensor to the camera.

    Returns:
        (S, 4, 4) float64 transforms from each scan's frame to the sensor's frame at the start.

    Raises:
        DataError: A file cannot be read or has a malformed line.
    """
    poses = [_matrix(sequence / "poses.txt", line) for line in _lines(sequence / "poses.txt")]
    if not poses:
        raise DataError(f"{sequence / 'poses.txt'}: is empty, expected a pose for each scan")
    path = sequence / "calib.txt"
    calibration = [line for line in _lines(path) if re.match(r"Tr\s*:", line)]
    if not calibration:
        raise DataError(f"{path}: has no line Tr, expected the transform from sensor to camera")
    to_camera = _matrix(path, calibration[0].partition(":")[2])
    return np.linalg.inv(to_camera) @ np.array(poses) @ to_camera


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path}: cannot be read, but is needed to fuse scans: {one_line(error)}"
        ) from None


def _matrix(path: Path, line: str) -> np.ndarray:
    try:
        numbers = np.array([float(word) for word in line.split()])
        top = numbers.reshape(3, 4)
    except ValueError:
        raise DataError(f"{path}: got line {line.strip()[:60]!r}, expected 12 numbers") from None
    if not np.isfinite(top).all():
        raise DataError(f"{path}: got line {line.strip()[:60]!r}, expected finite numbers")
    return np.vstack([top, [0, 0, 0, 1]])
