# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the encoder sees with ``inference.region: changed``, as a picture for docs/performance.md.

``python -m benchmarks.region_pictures OUT.jpg [seed]`` drives through a simulated room that was
scanned before, like the one beside it, and draws the map at a prediction between two turns and at
a turn.
"""

from __future__ import annotations

import sys
from unittest.mock import patch

import numpy as np
from PIL import Image

from benchmarks.changed_regions import scanned
from benchmarks.label_flips import RATE, frames
from concerto_ros import SemanticPipeline
from concerto_ros.segmentation.regions import memory
from concerto_ros.segmentation.regions.selection import Region
from concerto_ros.settings.settings import Settings
from concerto_ros.sim import Room, trajectory
from concerto_ros.viz.cloud_picture import render_cloud

WIDTH, HEIGHT = 800, 460
#: Of the drive, and metres from one room to the other.
SECONDS, APART = 3.4, 11.0
KEPT, CONTEXT, PREDICTED = (185, 190, 200), (90, 160, 230), (235, 120, 40)
LEGEND = (("predicted", PREDICTED), ("seen as context", CONTEXT), ("keeps its labels", KEPT))


def regions(seed: int) -> list[tuple[np.ndarray, Region]]:
    """Places (V, 3) of the voxels and the region of each prediction of a drive."""
    settings = Settings.from_mapping({"window_radius": 2 * APART})
    pipeline = SemanticPipeline.from_settings(settings)
    for number in range(2):
        pipeline.insert(scanned(Room(seed + 1000 * number), APART * number)[0])
    found: list[tuple[np.ndarray, Region]] = []
    select = memory.select
    for frame, _ in frames(trajectory(Room(seed), SECONDS, RATE, seed), seed):
        pipeline.insert(frame)
        snapshot = pipeline.snapshot()

        def watched(*arguments, points=snapshot.points, **options):
            found.append((points, select(*arguments, **options)))
            return found[-1][1]

        with patch.object(memory, "select", watched):
            pipeline.infer(snapshot, ["labels"])
    return found


def seen(points: np.ndarray, region: Region) -> float:
    """The share of the map that the encoder sees."""
    return 1.0 if region.rows is None else len(region.rows) / len(points)


def panel(points: np.ndarray, region: Region, title: str) -> np.ndarray:
    """The map from above without its ceiling, coloured by what happens to each voxel."""
    colors = np.full((len(points), 3), KEPT, np.uint8)
    colors[slice(None) if region.rows is None else region.rows] = CONTEXT
    colors[slice(None) if region.core is None else region.core] = PREDICTED
    below = points[:, 2] < 2.0  # without the ceilings
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    view = (middle + np.array([0.0, -9.0, 12.5]), middle)
    return render_cloud(
        points[below],
        colors[below],
        width=WIDTH,
        height=HEIGHT,
        view_from=view,
        title=f"{title}: the encoder sees {seen(points, region):.0%} of {len(points):,} voxels",
        legend=LEGEND,
    )


def main() -> None:
    """Draw the median prediction and the largest one after the first, which is of all."""
    out, seed = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0
    found = sorted(regions(seed)[1:], key=lambda each: seen(*each))
    median, largest = found[len(found) // 2], found[-1]
    picture = [panel(*median, "between two turns"), panel(*largest, "at a turn")]
    Image.fromarray(np.concatenate(picture, axis=1)).save(out, quality=85)


if __name__ == "__main__":
    main()
