# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The clouds of bags as scenes, some consecutive frames in each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from concerto_ros.bags.reader import BagError
from concerto_ros.files.digest import digest
from concerto_ros.labels.label_set import UNLABELLED
from concerto_ros.learning.adaptation.data_options import DataOptions
from concerto_ros.learning.adaptation.scene_frames import CloudFrames
from concerto_ros.learning.adaptation.scenes import KeptScenes, Scene
from concerto_ros.learning.data.batch import with_normals
from concerto_ros.learning.data.formats.recording import Moment, Recording
from concerto_ros.learning.data.label_map import DataError
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.sensors.frame import Frame
from concerto_ros.settings.presets import PRESETS


class BagScenes(KeptScenes):
    """The clouds of bags, some consecutive ones in each scene, with the newest sensor at zero.

    Args:
        bags: Their paths.
        options: How they become scenes.

    Raises:
        DataError: No frame of any bag can be placed, or a bag cannot be read.
    """

    def __init__(self, bags: Sequence[Path], options: DataOptions):
        super().__init__()
        self._options = options
        self._entries: list[tuple[Recording, tuple[Moment, ...]]] = []
        why = "they have no frames"
        for bag in bags:
            try:
                recording = Recording(
                    bag, options.map_frame, options.every, PRESETS[options.preset]
                )
            except BagError as error:
                raise DataError(str(error)) from None
            why = recording.unplaced[1] or why
            count = options.frames_per_scan
            moments = [moment for moment in recording.moments if moment not in recording.unusable]
            starts = range(0, max(len(moments) - count, 0) + 1, count)
            self._entries += [
                (recording, tuple(moments[start : start + count])) for start in starts if moments
            ]
        if not self._entries:
            raise DataError(f"{bags[0]}: no frame can be used: {why}")

    def __len__(self) -> int:
        return len(self._entries)

    def identity(self) -> dict[str, Any]:
        """By name, what must be equal for a training to resume with these scenes."""
        names = [
            f"{recording.path.name} {[moment.stamp for moment in moments]}"
            for recording, moments in self._entries
        ]
        return self._options.identity() | {"clouds": digest(names)}

    def make(self, index: int) -> Scene:
        """The scene at ``index``."""
        recording, moments = self._entries[index]
        corner = np.floor(np.asarray(moments[-1].map_from_sensor.translation, np.float64))
        frames = [recording.read(moment, corner) for moment in moments]
        name = f"{recording.path.name} at {moments[-1].stamp / 1e9:.3f} s"
        origin = frames[-1].origin
        scan = unlabelled_scan(name, frames, origin.astype(np.float32))
        fitted = scan.normals is None and self._options.fitted_normals
        if fitted:
            scan = with_normals(scan, self._options.voxel_size, np.zeros(3))
        sensors = np.stack([frame.origin for frame in frames]) - origin
        sizes = [len(frame.points) for frame in frames]
        return Scene(
            scan, frames=CloudFrames(np.repeat(range(len(sizes)), sizes), sensors, fitted)
        )


def unlabelled_scan(name: str, frames: Sequence[Frame], origin: np.ndarray) -> Scan:
    """Frames of one place as a scan without labels, relative to an origin (3,)."""

    def joined(attribute: str) -> np.ndarray | None:
        parts = [getattr(frame, attribute) for frame in frames]
        known = [part for part in parts if part is not None]
        return np.concatenate(known) if len(known) == len(parts) else None

    points = np.concatenate([frame.points for frame in frames]) - origin
    labels = np.full(len(points), UNLABELLED, np.uint8)
    return Scan(name, points, labels, colors=joined("colors"), normals=joined("normals"))
