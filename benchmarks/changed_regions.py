# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``inference.region: changed`` against ``map``: time and labels, on drives through rooms.

``python -m benchmarks.changed_regions [drives] [seconds]`` prints a table. A robot with a noisy
RGB-D camera drives through a simulated room that was scanned before, and stands still in the end.
Both predict with the bundled demo model after every frame, in the same run. Twice the map is
another scanned room beside it, in which nothing happens.

``python -m benchmarks.changed_regions growth [seconds]`` compares maps of one, two and three
rooms, frame by frame in turn: the CPU time of one thread with ``changed``, which tells what grows
with the map on a machine that is not quiet, too.
"""

from __future__ import annotations

import statistics
import sys
import time
from dataclasses import dataclass, field

import numpy as np
import torch

from benchmarks.label_flips import RATE, frames
from concerto_ros import SemanticPipeline
from concerto_ros.labels.confusion import Confusion
from concerto_ros.ros.demo.score import TruthMap
from concerto_ros.sensors.frame import Frame
from concerto_ros.settings.settings import Settings
from concerto_ros.sim import CLASSES, Room, trajectory

REGIONS = ("map", "changed")

#: Rays of the scan of a room, and metres to the room beside it.
SCAN, BESIDE = 600_000, 30.0

#: Seconds that the robot stands still in the end, after which the labels are compared once more.
SETTLED = 2.0

#: The first predictions of a drive are not timed.
WARM_UP = 2


@dataclass
class Drives:
    """What one or more drives gave, by region.

    Attributes:
        seconds: from the snapshot to the labels of the whole map, of each prediction.
        right: the labels of all predictions, compared with the ground truth.
        equal: the share of voxels with equal labels, of each prediction.
        settled: the same two seconds after the last change, of each drive.
        voxels: of the map, of each prediction.
    """

    seconds: dict[str, list[float]] = field(default_factory=lambda: {r: [] for r in REGIONS})
    right: dict[str, Confusion] = field(
        default_factory=lambda: {r: Confusion(len(CLASSES)) for r in REGIONS}
    )
    equal: list[float] = field(default_factory=list)
    settled: list[float] = field(default_factory=list)
    voxels: list[int] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """The median time with ``changed`` as a share of that with ``map``."""
        return self.median("changed") / self.median("map")

    def median(self, region: str) -> float:
        """The median of ``seconds``."""
        return statistics.median(self.seconds[region])

    def miou(self, region: str) -> float:
        """Of all predictions together, over the classes that were seen."""
        right = self.right[region]
        return float(right.iou[right.support > 0].mean())

    def numbers(self) -> dict[str, float]:
        """All results, for a file."""
        by_region = {
            f"{region}_{name}": value
            for region in REGIONS
            for name, value in (
                ("milliseconds", 1e3 * self.median(region)),
                ("miou", self.miou(region)),
            )
        }
        return by_region | {
            "voxels": statistics.median(self.voxels),
            "ratio": self.ratio,
            "equal": statistics.mean(self.equal),
            "settled": statistics.mean(self.settled),
        }

    def row(self, title: str) -> str:
        """A row of the table."""
        times = "".join(f"{1e3 * self.median(region):>9.0f}" for region in REGIONS)
        scores = "".join(f"{self.miou(region):>9.3f}" for region in REGIONS)
        return (
            f"{title:<16}{statistics.median(self.voxels):>9.0f}{times}{self.ratio:>8.2f}"
            f"{scores}{100 * statistics.mean(self.equal):>9.2f}"
            f"{100 * statistics.mean(self.settled):>9.2f}"
        )


HEADER = (
    f"{'':<16}{'voxels':>9}{'map ms':>9}{'changed':>9}{'ratio':>8}{'map mIoU':>9}{'changed':>9}"
    f"{'equal %':>9}{'2 s on':>9}"
)


def scanned(room: Room, beside: float) -> tuple[Frame, np.ndarray]:
    """What rays from the middle of a room hit, moved by ``beside`` metres, and the true labels."""
    rays = np.random.default_rng(0).normal(size=(SCAN, 3)).astype(np.float32)
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    eye = np.array([0.0, 0.0, 0.7 * room.plan.height], np.float32)
    hits = room.cast(eye, rays)
    points = eye + rays * hits.distance[:, None] + np.float32([beside, 0, 0])
    arrays = points, room.colors(hits).T.astype(np.uint8), room.normals(hits), room.labels(hits)
    points, colors, normals, labels = (values[hits.hit] for values in arrays)
    return Frame(points, 0, "room", "", colors, normals, origin=eye), labels


def pipeline_of(model: SemanticPipeline, region: str) -> SemanticPipeline:
    """An empty map, predicted by the encoder and head of ``model``."""
    settings = Settings.from_mapping(
        {
            "inference.region": region,
            "max_voxels": 1_000_000,
            "window_seconds": 3600.0,
            "window_radius": 4 * BESIDE,  # the other rooms are outside of the usual one
        }
    )
    return SemanticPipeline(settings, model.encoder, model.head, model.labels)


def drive(
    drives: Drives, model: SemanticPipeline, seed: int, seconds: float, rooms: int = 1
) -> None:
    """Drive through a room, and add what is measured to ``drives``.

    Args:
        drives: is changed.
        model: its encoder and head predict.
        seed: of the room.
        seconds: how long the robot drives.
        rooms: how many rooms the map has.
    """
    pipelines = {region: pipeline_of(model, region) for region in REGIONS}
    truth = TruthMap(model.settings.voxel_size)
    for number in range(rooms):
        scan, labels = scanned(Room(seed + 1000 * number), BESIDE * number)
        truth.add(scan.points, labels)
        for pipeline in pipelines.values():
            pipeline.insert(scan)
    poses = trajectory(Room(seed), seconds, RATE, seed)
    still = poses[-1:].repeat(round(SETTLED * RATE), axis=0)
    for number, (frame, labels) in enumerate(frames(np.concatenate([poses, still]), seed)):
        truth.add(frame.points, labels)
        label = {}
        for region, pipeline in pipelines.items():
            pipeline.insert(frame)
            start = time.perf_counter()
            snapshot = pipeline.snapshot()
            label[region] = pipeline.infer(snapshot, ["labels"]).label
            if WARM_UP <= number < len(poses):
                drives.seconds[region].append(time.perf_counter() - start)
            expected = truth.labels(snapshot.points)
            drives.right[region].add(label[region].astype(np.int64), expected)
        drives.equal.append(float((label["map"] == label["changed"]).mean()))
        drives.voxels.append(len(snapshot))
    drives.settled.append(drives.equal[-1])


def measure(count: int, seconds: float) -> dict[str, Drives]:
    """Measure ``count`` drives of ``seconds`` each, with the room alone and with another one."""
    model = SemanticPipeline.from_settings(Settings())
    found = {"one room": Drives(), "two rooms": Drives()}
    for seed in range(count):
        for rooms, drives in enumerate(found.values(), start=1):
            drive(drives, model, seed, seconds, rooms)
    return found


def lines(found: dict[str, Drives]) -> dict[str, list[tuple[float, float]]]:
    """Voxels and median milliseconds, by the value of the parameter."""
    return {
        f"inference.region: {region}": [
            (statistics.median(drives.voxels), 1e3 * drives.median(region))
            for drives in found.values()
        ]
        for region in REGIONS
    }


def growth(seconds: float) -> None:
    """Print the median CPU time of one thread, by the number of rooms that the map has."""
    torch.set_num_threads(1)
    model = SemanticPipeline.from_settings(Settings())
    pipelines = {rooms: pipeline_of(model, "changed") for rooms in (1, 2, 3)}
    for rooms, pipeline in pipelines.items():
        for number in range(rooms):
            pipeline.insert(scanned(Room(1000 * number), BESIDE * number)[0])
    times: dict[int, list[tuple[float, float]]] = {rooms: [] for rooms in pipelines}
    size = dict.fromkeys(pipelines, 0)
    # All at first: whoever comes after the simulation would pay for its memory.
    drive_through = list(frames(trajectory(Room(0), seconds, RATE, 0), 0))
    for number, (frame, _) in enumerate(drive_through):
        for rooms, pipeline in pipelines.items():
            pipeline.insert(frame)
            start = time.process_time()
            snapshot = pipeline.snapshot()
            taken = time.process_time()
            pipeline.infer(snapshot, ["labels"])
            if number >= WARM_UP:
                times[rooms].append((time.process_time() - start, taken - start))
            size[rooms] = len(snapshot)
    median = {
        rooms: [1e3 * statistics.median(each) for each in zip(*pairs, strict=True)]
        for rooms, pairs in times.items()
    }
    print(f"{'rooms':<8}{'voxels':>9}{'ms':>8}{'snapshot':>10}{'ratio':>8}")
    for rooms, (whole, taking) in median.items():
        ratio = whole / median[1][0]
        print(f"{rooms:<8}{size[rooms]:>9}{whole:>8.1f}{taking:>10.1f}{ratio:>8.3f}")


def main() -> None:
    """Print the table."""
    if sys.argv[1:2] == ["growth"]:
        growth(float(sys.argv[2]) if len(sys.argv) > 2 else 4.0)
        return
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 10.0
    found = measure(count, seconds)
    print(HEADER)
    for title, drives in found.items():
        print(drives.row(title), flush=True)
    one, two = (drives.median("changed") for drives in found.values())
    print(f"twice the map: {two / one:.2f} times the time with changed")


if __name__ == "__main__":
    main()
