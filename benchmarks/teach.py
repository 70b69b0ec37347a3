# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""IoU of a class that was taught by a few clicks, and the change of IoU of the other classes.

``python -m benchmarks.teach [rooms]`` prints a table. Each object that the bundled demo model
labels as "other" is taught in one simulated room that is not in its training set, by random points
on its surface, and then evaluated in this room and in others.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from unittest import mock

import numpy as np
import torch

from concerto_ros import SemanticPipeline
from concerto_ros.heads.similarity import FeatureQuery
from concerto_ros.heads.taught_classes import TaughtClasses
from concerto_ros.heads.taught_regions import Ball, Sample, examples_of, sample_rows
from concerto_ros.labels.confusion import Confusion
from concerto_ros.mapping.voxel_grid import find_keys, voxel_keys
from concerto_ros.ros.services.click_listener import MAX_ROWS
from concerto_ros.sensors.frame import Frame
from concerto_ros.settings.settings import Settings
from concerto_ros.sim import CLASSES, RgbdCamera, Room, camera_pose, drive
from concerto_ros.sim.pieces import small_objects as things

KINDS = ("plant", "floor_lamp", "carton", "waste_bin", "backpack", "ball")
OTHER, NEW = CLASSES.index("other"), len(CLASSES)
FRAMES = 40
#: An object with fewer visible voxels is neither taught nor looked for.
MIN_VOXELS = 250


@dataclass
class Seen:
    """A room as the robot saw it: position, feature and true class of each voxel.

    Classes from ``NEW`` on are those of ``KINDS``.
    """

    points: np.ndarray
    features: torch.Tensor
    truth: np.ndarray


def tagged(build: Callable, label: int) -> Callable:
    """``build`` with a mesh that has the class ``label`` instead of "other"."""

    def built(rng):
        mesh = build(rng)
        labels = np.where(mesh.label == OTHER, label, mesh.label)
        return replace(mesh, label=labels.astype(mesh.label.dtype))

    return built


def see(pipeline: SemanticPipeline, seed: int) -> Seen:
    """Drive through the room of ``seed``."""
    kinds = tuple(tagged(getattr(things, kind), NEW + i) for i, kind in enumerate(KINDS))
    with mock.patch.object(things, "ON_FLOOR", kinds):
        room = Room(seed)
    camera = RgbdCamera(320, 240, seed=seed)
    pipeline.clear()
    keys, labels = [], []
    for stamp, base in zip(range(1, FRAMES + 1), drive(room, 1.0, seed), strict=False):
        pose = camera_pose(base)
        image = camera.render(room, pose)
        kept = (image.depth > 0) & (image.depth < 6)
        local = (camera.rays() * image.depth[..., None])[kept]
        points = (local @ pose[:3, :3].T + pose[:3, 3]).astype(np.float32)
        color = image.color[kept]
        frame = Frame(points, stamp * 10**9, "odom", colors=color, origin=pose[:3, 3])
        pipeline.insert(frame)
        keys.append(voxel_keys(points, pipeline.settings.voxel_size))
        labels.append(image.label[kept].astype(np.int64))
    snapshot = pipeline.snapshot()
    query = FeatureQuery(rows=np.arange(len(snapshot)))
    features = pipeline.infer(snapshot, (), query).features
    row, label = find_keys(snapshot.keys, np.concatenate(keys)), np.concatenate(labels)
    known = (row >= 0) & (label < NEW + len(KINDS))
    counts = np.zeros((len(snapshot), NEW + len(KINDS)), np.int32)
    np.add.at(counts, (row[known], label[known]), 1)
    truth = np.where(counts.any(axis=1), counts.argmax(axis=1), 255)
    return Seen(snapshot.points, features.half(), truth)


def click_examples(room: Seen, label: int, clicks: int, radius: float):
    """The examples that ``clicks`` on objects of a class give, as in the node."""
    random = np.random.default_rng(label)
    chosen = random.choice(np.flatnonzero(room.truth == label), clicks, replace=False)
    regions = [Ball(room.points[row], radius) for row in chosen]
    samples = []
    for region in regions:
        rows = sample_rows(room.points, region, MAX_ROWS)
        samples.append(Sample(room.points[rows], room.features[rows].float()))
    return examples_of(samples, regions)


def labels_of(taught: TaughtClasses, room: Seen) -> np.ndarray:
    """(V,) the label of each voxel."""
    with torch.inference_mode():
        parts = [taught.head(feat.float()).argmax(1) for feat in room.features.split(8192)]
    return torch.cat(parts).numpy()


def score(label: np.ndarray, room: Seen, kind: int) -> tuple[float, float]:
    """IoU of the taught class, and mean IoU of the others in the rest of the room."""
    truth = np.where(room.truth == kind, NEW, np.minimum(room.truth, OTHER))
    truth[room.truth == 255] = 255
    every, rest = Confusion(NEW + 1), Confusion(NEW + 1)
    every.add(label, truth)
    rest.add(label[truth != NEW], truth[truth != NEW])
    there = rest.support[:NEW] > 50
    return float(every.iou[NEW]), float(rest.iou[:NEW][there].mean())


def run(rooms: dict[int, Seen], base: TaughtClasses, clicks: int, radius: float) -> str:
    """A line of the table: the mean over all objects and rooms in which they are visible."""
    here, there, seconds = [], [], []
    untaught = {seed: labels_of(base, room) for seed, room in rooms.items()}
    for seed, room in rooms.items():
        for kind in range(NEW, NEW + len(KINDS)):
            if (room.truth == kind).sum() < MIN_VOXELS:
                continue
            examples = click_examples(room, kind, clicks, radius)
            start = time.process_time()
            taught = base.taught(KINDS[kind - NEW], examples)
            seconds.append(time.process_time() - start)
            for other, target in rooms.items():
                if other == seed or (target.truth == kind).sum() >= MIN_VOXELS:
                    before = score(untaught[other], target, kind)
                    after = score(labels_of(taught, target), target, kind)
                    into = here if other == seed else there
                    into.append((after[0], before[1], after[1], after[1] - before[1]))
    line = f"{clicks:>6} {radius:>6.2f} "
    for found in (here, there):
        if found:
            new, old, now, worst = (*np.mean(found, axis=0)[:3], np.min(found, axis=0)[3])
            line += f"| {len(found):>3} {new:.2f}  {old:.3f} -> {now:.3f}  worst {worst:+.3f} "
    return f"{line}| {np.mean(seconds):.2f} s"


def main() -> None:
    """Teach, measure and print the table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    settings = {"window_seconds": 1000.0, "window_radius": 50.0, "precision": "float32"}
    pipeline = SemanticPipeline.from_settings(Settings.from_mapping(settings))
    rooms = {seed: see(pipeline, seed) for seed in range(1, 1 + count)}
    print(
        "clicks radius | evaluated in the room of the clicks | evaluated in other rooms | CPU time"
    )
    print("              | n, IoU of the class, mIoU of the others before -> after, worst change")
    for clicks, radius in ((1, 0.1), (3, 0.1), (8, 0.1), (3, 0.2)):
        print(run(rooms, pipeline.taught, clicks, radius), flush=True)


if __name__ == "__main__":
    main()
