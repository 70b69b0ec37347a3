# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How often a voxel's label changes from one prediction to the next, with and without fusion.

``python -m benchmarks.label_flips [predictions]`` prints a table for a camera that stands still
and for one that drives, in a simulated room with the bundled demo model.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np

from concerto_ros import SemanticPipeline
from concerto_ros.labels.confusion import Confusion
from concerto_ros.mapping.voxel_grid import find_keys
from concerto_ros.ros.demo.score import TruthMap
from concerto_ros.sensors.frame import Frame
from concerto_ros.sensors.normals import organised_normals
from concerto_ros.settings.settings import Settings
from concerto_ros.sim import CLASSES, RgbdCamera, Room, camera_pose, trajectory

#: Frames, and predictions, per second.
RATE = 5.0
SIZE = (320, 240)
SECONDS = (0.0, 1.0, 2.0, 5.0)


class Flips:
    """Labels of one pipeline, compared with its previous labels and with the ground truth."""

    def __init__(self, seconds: float, model: SemanticPipeline):
        parameters = {"fusion.seconds": seconds, "inference.region": "map"}
        settings = Settings.from_mapping(parameters)
        self.seconds = seconds
        self.pipeline = SemanticPipeline(settings, model.encoder, model.head, model.labels)
        self.right = Confusion(len(CLASSES))
        self.changed = self.compared = 0
        self.start()

    def start(self) -> None:
        """Start in an empty map; the counts stay."""
        self.pipeline.clear()
        self._ground_truth = TruthMap(self.pipeline.settings.voxel_size)
        self._keys = np.zeros(0, np.int64)
        self._label = np.zeros(0, np.uint8)

    def see(self, frame: Frame, labels: np.ndarray) -> None:
        self._ground_truth.add(frame.points, labels)
        self.pipeline.insert(frame)
        snapshot = self.pipeline.snapshot()
        label = self.pipeline.infer(snapshot, ["labels"]).label
        before = find_keys(self._keys, snapshot.keys)
        known = before >= 0
        self.changed += int((self._label[before[known]] != label[known]).sum())
        self.compared += int(known.sum())
        self._keys, self._label = snapshot.keys, label
        self.right.add(label.astype(np.int64), self._ground_truth.labels(snapshot.points))

    def row(self) -> str:
        flips = 100 * self.changed / self.compared
        seen = self.right.support > 0
        return f"{self.seconds:>8g}{flips:>10.2f} %{self.right.iou[seen].mean():>10.3f}"


def frames(poses: np.ndarray, seed: int) -> Iterator[tuple[Frame, np.ndarray]]:
    """What a noisy camera at these robot poses (N, 4, 4) sees, with the ground truth."""
    room, camera = Room(seed), RgbdCamera(*SIZE, seed=seed)
    for number, base in enumerate(poses):
        pose = camera_pose(base)
        image = camera.render(room, pose)
        points = camera.rays() * image.depth[..., None]
        seen = (image.depth > 0.2) & (image.depth < 8.0)
        normals = organised_normals(np.where(seen[..., None], points, np.nan))
        stamp = round(number / RATE * 1e9)
        frame = Frame(points[seen], stamp, "camera", "", image.color[seen], normals[seen])
        yield frame.transformed(pose[:3, :3], pose[:3, 3], "room"), image.label[seen]


def main() -> None:
    predictions = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    model = SemanticPipeline.from_settings(Settings())
    for title, still in (("camera stands still", True), ("camera drives", False)):
        runs = [Flips(seconds, model) for seconds in SECONDS]
        for seed in (0, 1):
            poses = trajectory(Room(seed), predictions / RATE, RATE, seed)
            if still:
                poses = poses[:1].repeat(predictions, axis=0)
            for run in runs:
                run.start()
            for frame, labels in frames(poses, seed):
                for run in runs:
                    run.see(frame, labels)
        print(f"{title}\n seconds     flips      mIoU")
        for run in runs:
            print(run.row(), flush=True)


if __name__ == "__main__":
    main()
