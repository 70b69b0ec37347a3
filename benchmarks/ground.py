# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How much of the ground a model calls ground, in sweeps of real LiDARs without labels.

``python -m benchmarks.ground DATA [--preset outdoor] [--checkpoint FILE --head FILE]`` takes every
sweep of the files and bags below the folder DATA as ``concerto-ros segment`` does, once as it is
and with stray points below the ground, and prints the share of the ground that is labelled ground
or floor. The ground is the largest plane within 30 m with next to nothing below it (RANSAC). The
exit status is 0 where every sweep reaches 95 %.

A plane through the sensor itself is a fan of its own level rays, which fits whatever they hit.
Where no lower plane holds a tenth of the points, that fan is measured all the same, but named "no
ground in view": neither passed nor failed.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from concerto_ros.bags.messages import POINT_CLOUD
from concerto_ros.bags.reader import open_bag
from concerto_ros.bags.storage.recording_files import is_bag
from concerto_ros.pipeline import SemanticPipeline
from concerto_ros.sensors.cloud_files import FORMATS, read_cloud
from concerto_ros.sensors.point_cloud2 import decode_point_cloud
from concerto_ros.settings.presets import PRESETS
from concerto_ros.settings.settings import Settings

GOAL = 0.95
#: Names of the class that is meant.
GROUND = ("ground", "floor")
#: Metres: farthest ground, thickness of the plane to each side, depth that counts as below it.
REACH, THICK, BELOW = 30.0, 0.1, 0.3
#: Radians by which the ground may be off the horizontal, metres of the sensor above it at least.
SLOPE, ABOVE = math.radians(15), 0.25
#: Largest share of points below the ground, smallest share of points on it.
SUNKEN, SHARE = 0.01, 0.1
TRIALS = 3000
#: Strays: share of the points, and metres below the ground: one depth, or between two.
STRAYS = {
    "clean": (0.0, 0.0, 0.0),
    "1 % at 10 m": (0.01, 10.0, 10.0),
    "0.6 % to 10 m": (0.006, 0.5, 10.0),
    "2.6 % to 10 m": (0.026, 0.5, 10.0),
}


def sweeps(folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Names and points (N, 3) float32 of the files and of the messages of bags in a folder."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else [folder]:
        if is_bag(path):
            with open_bag(path) as bag:
                clouds = [name for name, topic in bag.topics.items() if topic.type == POINT_CLOUD]
                messages = enumerate(bag.messages(clouds) if clouds else ())
                for number, (_, message_type, _, raw) in messages:
                    message = bag.deserialize(raw, message_type)
                    yield f"{path.name} {number}", decode_point_cloud(message).points
        elif path.is_dir():
            yield from sweeps(path)
        elif path.suffix in FORMATS:
            yield path.name, read_cloud(path).points


class Plane(NamedTuple):
    """The largest plane of a sweep whose sensor is at the origin.

    Attributes:
        on: (N,) bool, the points on it.
        slope: Radians.
        below: Metres of the sensor above it.
    """

    on: np.ndarray
    slope: float
    below: float

    @property
    def is_ground(self) -> bool:
        """Whether it is no fan of rays."""
        return self.below >= ABOVE


def largest_plane(points: np.ndarray) -> Plane | None:
    """The ground of a sweep, else the largest plane of any height; None: no plane was found."""
    near = np.flatnonzero(np.linalg.norm(points, axis=1) < REACH)
    cloud = points[near].astype(np.float64)
    rng = np.random.default_rng(0)
    most = {True: SHARE * len(cloud), False: 0.0}
    planes: dict[bool, Plane] = {}
    for three in cloud[rng.integers(0, len(cloud), (TRIALS, 3))]:
        normal = np.cross(three[1] - three[0], three[2] - three[0])
        length = np.linalg.norm(normal)
        if length < 1e-3 or abs(normal[2]) < math.cos(SLOPE) * length:
            continue
        normal *= np.sign(normal[2]) / length
        below = -float(three[0] @ normal)
        height = cloud @ normal + below
        on = np.count_nonzero(np.abs(height) < THICK)
        kind = below >= ABOVE
        if on > most[kind] and np.count_nonzero(height < -BELOW) < SUNKEN * len(cloud):
            mask = np.zeros(len(points), bool)
            mask[near] = np.abs(height) < THICK
            most[kind], planes[kind] = on, Plane(mask, math.acos(normal[2]), below)
    return planes.get(True, planes.get(False))


def with_strays(points: np.ndarray, strays: tuple[float, float, float]) -> np.ndarray:
    """The points, and copies of a share of them below the lowest of the ground."""
    share, nearest, farthest = strays
    rng = np.random.default_rng(1)
    copies = points[rng.integers(0, len(points), math.ceil(share * len(points)))].copy()
    lowest = np.quantile(points[:, 2], SUNKEN)
    copies[:, 2] = lowest - rng.uniform(nearest, farthest, len(copies))
    return np.concatenate([points, copies])


def measure(pipeline: SemanticPipeline, folder: Path) -> bool:
    """Print a row for each sweep; whether all reach the goal."""
    classes = [each.name for each in pipeline.labels.classes]
    ground = [i for i, name in enumerate(classes) if name in GROUND]
    if not ground:
        raise ValueError(f"label set: got {classes}, expected one of {' and '.join(GROUND)}")
    columns = " ".join(f"{name:>14}" for name in STRAYS)
    print(f"{'sweep':44} points slope below {columns}")
    verdicts = []
    for name, points in sweeps(folder):
        plane = largest_plane(points)
        if plane is None:
            verdicts.append("no plane")
            print(f"{name:44} no plane")
            continue
        shares, levelled = [], set()
        for strays in STRAYS.values():
            prediction = pipeline.segment(with_strays(points, strays), origin=np.zeros(3))
            labels = prediction.label[: len(points)][plane.on]
            shares.append(float(np.isin(labels, ground).mean()))
            levelled.add(f"{math.degrees(prediction.tilt):.1f}")
        verdict = "PASS" if min(shares) >= GOAL else "FAIL"
        verdicts.append(verdict if plane.is_ground else "no ground in view")
        row = " ".join(f"{share:14.1%}" for share in shares)
        print(
            f"{name:44} {plane.on.sum():6} {math.degrees(plane.slope):5.1f} {plane.below:5.2f}"
            f" {row}  {verdicts[-1]} (levelled by {'/'.join(sorted(levelled))} degrees)",
            flush=True,
        )
    print(", ".join(f"{verdicts.count(each)} {each}" for each in sorted(set(verdicts))))
    return set(verdicts) == {"PASS"}


def main() -> int:
    """Measure with each preset; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="sweep or bag, or a folder of LiDAR recordings")
    parser.add_argument("--preset", choices=list(PRESETS), nargs="+", default=list(PRESETS))
    parser.add_argument("--checkpoint", default="demo")
    parser.add_argument("--head", default="")
    options = parser.parse_args()
    reached = True
    for preset in options.preset:
        settings = Settings(preset=preset, checkpoint=options.checkpoint, head=options.head)
        pipeline = SemanticPipeline.from_settings(settings)
        print(f"\npreset {preset}: {pipeline.model}, voxels of {pipeline.settings.voxel_size} m")
        reached &= measure(pipeline, options.data)
    return 0 if reached else 1


if __name__ == "__main__":
    raise SystemExit(main())
