# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Frames of a recording, labelled by the nearest points of a labelled map.

Label one map instead of hundreds of frames: build it (e.g. ``concerto-ros segment`` on a fused
cloud, or any SLAM), edit the labels in CloudCompare, save it as .ply.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from concerto_ros.bags.reader import BagError
from concerto_ros.bags.storage.recording_files import is_bag
from concerto_ros.files.listing import visible
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


class BagScans(ScanDataset):
    """The frames of a bag, labelled by a map.

    The axes of the points are those of the map's frame (z up, REP-105), their origin is the
    sensor. As in the node, a frame that cannot be used (an empty cloud, a depth image without a
    reading) is left out; a scan without any usable frame is replaced by the nearest in time that
    has one.

    Args:
        root: The bag, or a folder that contains one bag.
        label_map: Meaning of the label values in the map; None: labels of unnamed classes.
        ignore_index: Values that are not learned; None: the label map's default.
        label_field: Name of the property of labels in the map; None: detected.
        map_file: The labelled .ply (or .npz); None: the only .ply in ``root``.
        map_frame: Frame of the map's coordinates; None: the root of the TF tree above the sensors.
        every: Seconds between the frames of one input.
        accumulate: Number of frames in a scan: the frame itself and those before it, similar to
            the node's window.
        tolerance: Metres; a point gets the label of the nearest map point within this distance,
            else none.
        preset: ``indoor`` or ``outdoor``, for the minimum and maximum range of the sensor.
        intensity_white: See the parameter of this name.

    Raises:
        DataError: No bag or map was found, or no frame of the bag can be placed in the map.
        ValueError: An argument is out of range.
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
        map_file: str | Path | None = None,
        map_frame: str | None = None,
        every: float = 1.0,
        accumulate: int = 1,
        tolerance: float = 0.1,
        preset: str = "indoor",
        intensity_white: float = 0.0,
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
        self.recording = Recording(
            find_bag(root), map_frame, every, PRESETS[preset], intensity_white
        )
        moments = self.recording.moments
        if not moments:
            count, why = self.recording.unplaced
            reason = f"none of {count} frames can be placed in the map: {why}"
            if not count:
                reason = "has no frames, expected point clouds or depth images"
            raise DataError(f"{self.recording.path}: {reason}")
        fused = (moments[max(0, i + 1 - accumulate) : i + 1] for i in range(len(moments)))
        super().__init__(root, fused, label_map, ignore_index)
        self._counted_entries = (self.map_file,)

    def name_of(self, entry: tuple[Moment, ...]) -> str:
        """Bag, topic and stamp of an entry's newest frame."""
        newest = entry[-1]
        return f"{self.recording.path.name}{newest.topic} at {newest.stamp / 1e9:.3f} s"

    def read(self, entry: tuple[Moment, ...]) -> Scan:
        """Read, fuse and label the frames of an entry. Raises DataError if no frame is usable."""
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
        """The usable frames of an entry."""
        read, corner = self.recording.read, self._map.corner
        try:
            return [read(moment, corner) for moment in entry]
        except (InputError, BagError):
            unusable = self.recording.unusable
            return [read(moment, corner) for moment in entry if moment not in unusable]

    def _nearest(self, entry: tuple[Moment, ...]) -> tuple[tuple[Moment, ...], list[Frame]]:
        """The nearest entry in time with a usable frame, and its usable frames."""
        unusable = self.recording.unusable
        usable = [other for other in self.entries if any(m not in unusable for m in other)]
        if not usable:
            raise DataError(
                f"{self.recording.path}: none of {len(self)} frames can be used:"
                f" {self.name_of(entry)}: {unusable[entry[-1]]}"
            )
        nearest = min(usable, key=lambda other: abs(other[-1].stamp - entry[-1].stamp))
        return nearest, self._frames(nearest)

    def label_values(self, entry: Path) -> tuple[np.ndarray, str]:
        """The label values of the map, whatever the entry, and the map's path."""
        return read_labelled(self.map_file, self.label_field)["labels"], str(self.map_file)

    def identity(self) -> dict[str, Any]:
        """Extends :meth:`ScanDataset.identity` by what decides points and labels of a frame."""
        fused = [len(entry) for entry in self.entries]
        recording = self.recording
        return super().identity() | {
            "tolerance": self.tolerance,
            "frames fused": fused,
            "map frame": recording.map_frame,
            "sensor ranges": [recording.preset.min_range, recording.preset.max_range],
        }

    def _label_entries(self) -> tuple[Path, ...]:
        return (self.map_file,)

    def __getstate__(self) -> dict:
        # the search index cannot be pickled; another process builds its own
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
    """Nearest-neighbour lookup of labels in a labelled map.

    Args:
        points: (M, 3) finite positions, metres.
        labels: (M,) uint8.
        where: Name of the map file, for error messages.

    Attributes:
        corner: (3,) float64, origin of the coordinates that :meth:`labels_at` takes, in the map.

    Raises:
        DataError: There are no points, or one is not finite.
    """

    def __init__(self, points: np.ndarray, labels: np.ndarray, where: str):
        from scipy.spatial import KDTree

        if not len(points) or not np.isfinite(points).all():
            raise DataError(f"{where}: expected at least one point and finite coordinates only")
        self._labels = labels
        # Relative to the corner, so that float32 resolves millimetres in a georeferenced map.
        self.corner = np.floor(points.min(axis=0).astype(np.float64))
        self._tree = KDTree((points - self.corner).astype(np.float32), balanced_tree=False)

    def labels_at(self, points: np.ndarray, tolerance: float) -> np.ndarray:
        """Labels of the nearest map points.

        Args:
            points: (N, 3) positions relative to ``corner``, metres.
            tolerance: Maximum distance to the map point, metres.

        Returns:
            (N,) uint8 labels, 255 where no map point is near enough.
        """
        distance, rows = self._tree.query(np.asarray(points, np.float32), workers=-1)
        near = distance <= tolerance
        return np.where(near, self._labels[rows], UNLABELLED).astype(np.uint8)


def holds_bags(root: Path) -> bool:
    """Whether ``root`` is a bag, or a folder with bags in it."""
    return is_bag(root) or bool(visible(root.glob("*/metadata.yaml"), root))


def find_bag(root: Path) -> Path:
    """The bag at ``root``, or the only one in that folder.

    Raises:
        DataError: The folder has no bag, or several.
    """
    if is_bag(root) or not root.is_dir():
        return root
    bags = [path for path in visible(root.iterdir(), root) if is_bag(path)]
    return _only(bags, f"{root}: expected a bag or a folder with one bag in it")


def find_map(root: Path) -> Path:
    """The only .ply beside the bag.

    Raises:
        DataError: There is none, or several.
    """
    folder = root if root.is_dir() else root.parent
    entries = visible(folder.iterdir(), folder)
    maps = [path for path in entries if path.suffix.lower() == ".ply"]
    return _only(
        maps, f"{folder}: expected one labelled .ply beside the bag (or its path as --map)"
    )


def _only(paths: list[Path], expected: str) -> Path:
    """The single path in ``paths``; DataError with the text ``expected`` for any other number."""
    if len(paths) != 1:
        names = ", ".join(path.name for path in paths) or "none"
        raise DataError(f"{expected}, found {names}")
    return paths[0]


def _all(frames: list[Frame], name: str) -> np.ndarray | None:
    """The values of a channel of all frames, or None if a frame lacks it."""
    values = [getattr(frame, name) for frame in frames]
    return None if any(value is None for value in values) else np.concatenate(values)
