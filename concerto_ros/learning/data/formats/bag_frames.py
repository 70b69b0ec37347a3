# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A recording and a labelled map of the place: each frame takes the labels of the map it sees.

Label one map instead of hundreds of frames: build it (e.g. ``concerto-ros segment`` on a fused
cloud, or any SLAM), paint the labels in CloudCompare, save it as .ply.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from concerto_ros.bags.reader import BagError
from concerto_ros.labels.label_set import UNLABELLED
from concerto_ros.learning.data.formats.arrays import make_scan, rows_of
from concerto_ros.learning.data.formats.base import ScanDataset
from concerto_ros.learning.data.formats.recording import Moment, Recording
from concerto_ros.learning.data.formats.scan_folder import read_labelled
from concerto_ros.learning.data.label_map import DataError, LabelMap
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.sensors.frame import Frame
from concerto_ros.sensors.input_error import InputError
from concerto_ros.settings.presets import PRESETS

BAG_SUFFIXES = (".db3", ".mcap")


class BagScans(ScanDataset):
    """The frames of a bag, ``every`` so many seconds of each input, labelled by a map.

    Points lie along the axes of the map's frame (z up, REP-105) with the sensor at the origin. A
    point has the label of the nearest point of the map within ``tolerance`` metres, none where
    there is no such point. ``accumulate`` frames, the one itself and those before it, make a scan,
    as the node fuses what it saw lately. As in the node, a frame that cannot be used (an empty
    cloud, a depth image without a reading) is left out; in place of a scan that has no other
    comes the nearest in time that has one.

    Parameters
    ----------
    root: the bag, or a folder with one bag in it.
    map_file: the labelled .ply (or .npz); None: the only .ply in ``root``.
    map_frame: the frame of its coordinates; None: the root of the TF tree above the sensors.
    preset: ``indoor`` or ``outdoor``: ranges of the sensor that are used.
    """

    ordered = True
    sensor_at_origin = True

    def __init__(
        self,
        root: Path,
        label_map: LabelMap | None = None,
        ignore_index: Collection[int] | None = None,
        label_field: str | None = None,
        *,
        map_file: Path | None = None,
        map_frame: str | None = None,
        every: float = 1.0,
        accumulate: int = 1,
        tolerance: float = 0.1,
        preset: str = "indoor",
    ):
        for name, value in (("every", every), ("tolerance", tolerance)):
            if not 0 <= value < np.inf:
                raise ValueError(f"{name} is {value}, expected 0 or more")
        if preset not in PRESETS:
            raise ValueError(f"preset is {preset!r}, expected {' or '.join(PRESETS)}")
        if accumulate < 1:
            raise ValueError(f"accumulate is {accumulate}, expected 1 or more frames")
        self.map_file = find_map(root) if map_file is None else Path(map_file)
        self.label_field = label_field
        self.tolerance = tolerance
        self.recording = Recording(find_bag(root), map_frame, every, PRESETS[preset])
        moments = self.recording.moments
        if not moments:
            count, why = self.recording.unplaced
            reason = f"of {count} frames none can be placed: {why}" if count else "no frame in it"
            raise DataError(f"{self.recording.path}: {reason}")
        fused = (moments[max(0, i + 1 - accumulate) : i + 1] for i in range(len(moments)))
        super().__init__(root, fused, label_map, ignore_index)
        self._counted_entries = (self.map_file,)

    def name_of(self, entry: tuple[Moment, ...]) -> str:
        newest = entry[-1]
        return f"{self.recording.path.name}{newest.topic} at {newest.stamp / 1e9:.3f} s"

    def read(self, entry: tuple[Moment, ...]) -> Scan:
        frames = self._frames(entry)
        if not frames:
            entry, frames = self._nearest(entry)
        name = self.name_of(entry)
        points = np.concatenate([frame.points for frame in frames])
        return make_scan(
            name,
            f"{self.recording.path}: {name}",
            points - frames[-1].origin.astype(np.float32),
            self._map.labels_at(points, self.tolerance),
            _all(frames, "colors"),
            _all(frames, "normals"),
        )

    def _frames(self, entry: tuple[Moment, ...]) -> list[Frame]:
        """Those frames of an entry that can be used."""
        read, corner = self.recording.read, self._map.corner
        try:
            return [read(moment, corner) for moment in entry]
        except (InputError, BagError):
            unusable = self.recording.unusable
            return [read(moment, corner) for moment in entry if moment not in unusable]

    def _nearest(self, entry: tuple[Moment, ...]) -> tuple[tuple[Moment, ...], list[Frame]]:
        """The entry nearest in time of which a frame can be used, and its frames."""
        unusable = self.recording.unusable
        usable = [other for other in self.entries if any(m not in unusable for m in other)]
        if not usable:
            raise DataError(
                f"{self.recording.path}: of {len(self)} frames none can be used:"
                f" {self.name_of(entry)}: {unusable[entry[-1]]}"
            )
        nearest = min(usable, key=lambda other: abs(other[-1].stamp - entry[-1].stamp))
        return nearest, self._frames(nearest)

    def label_values(self, entry: Path) -> tuple[np.ndarray, str]:
        return read_labelled(self.map_file, self.label_field)["labels"], str(self.map_file)

    def about(self) -> dict[str, Any]:
        fused = [len(entry) for entry in self.entries]
        recording = self.recording
        return super().about() | {
            "tolerance": self.tolerance,
            "frames fused": fused,
            "map frame": recording.map_frame,
            "sensor ranges": [recording.preset.min_range, recording.preset.max_range],
        }

    def _label_entries(self) -> tuple[Path, ...]:
        return (self.map_file,)

    def __getstate__(self) -> dict:
        # the search structure stays in its process; another one builds its own
        return {name: value for name, value in vars(self).items() if name != "_map"}

    @cached_property
    def _map(self) -> LabelledPoints:
        arrays = read_labelled(self.map_file, self.label_field)
        where = str(self.map_file)
        if "points" not in arrays:
            raise DataError(f"{where}: has no points")
        labels = self.label_map.apply(arrays["labels"], where)
        return LabelledPoints(
            rows_of(where, "points", arrays["points"], len(labels)), labels, where
        )


class LabelledPoints:
    """Points (M, 3) in metres with labels (M,), asked by place relative to its ``corner`` (3,)."""

    def __init__(self, points: np.ndarray, labels: np.ndarray, where: str):
        import open3d as o3d

        if not len(points) or not np.isfinite(points).all():
            raise DataError(f"{where}: holds no points, or a coordinate that is NaN or infinite")
        self._labels = labels
        # Relative to the corner, so that float32 holds the millimetres of a georeferenced map.
        self.corner = np.floor(points.min(axis=0).astype(np.float64))
        local = np.ascontiguousarray(points - self.corner, np.float32)
        self._search = o3d.core.nns.NearestNeighborSearch(o3d.core.Tensor(local))
        self._search.knn_index()

    def labels_at(self, points: np.ndarray, tolerance: float) -> np.ndarray:
        """(N,) label of the nearest point of the map within ``tolerance`` metres, else 255."""
        import open3d as o3d

        wanted = np.ascontiguousarray(points, np.float32)
        rows, squared = self._search.knn_search(o3d.core.Tensor(wanted), 1)
        near = squared.numpy()[:, 0] <= tolerance**2
        return np.where(near, self._labels[rows.numpy()[:, 0]], UNLABELLED).astype(np.uint8)


def find_bag(root: Path) -> Path:
    """The bag at ``root`` or the only one in it."""
    if _is_bag(root) or not root.is_dir():
        return root
    found = sorted(path for path in root.iterdir() if _is_bag(path))
    return _only(found, f"{root}: expected a bag or a folder with one bag in it")


def find_map(root: Path) -> Path:
    """The only .ply beside the bag."""
    folder = root if root.is_dir() else root.parent
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".ply")
    wanted = "one labelled .ply beside the bag (or its path as --map)"
    return _only(found, f"{folder}: expected {wanted}")


def _only(found: list[Path], wanted: str) -> Path:
    """The one path in ``found``; where there is another number, DataError says what is wanted."""
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise DataError(f"{wanted}, found {names}")
    return found[0]


def _is_bag(path: Path) -> bool:
    if path.is_dir():
        return (path / "metadata.yaml").is_file() or any(
            entry.suffix in BAG_SUFFIXES for entry in path.iterdir()
        )
    return path.suffix in BAG_SUFFIXES


def _all(frames: list[Frame], name: str) -> np.ndarray | None:
    """The values of all frames, if every one has them."""
    values = [getattr(frame, name) for frame in frames]
    return None if any(value is None for value in values) else np.concatenate(values)
