# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of public recordings as the bundled models label them, for docs/demo_model.md.

``python -m benchmarks.recordings DATA IMAGES`` draws each recording of :data:`RECORDINGS` below
the folder DATA into ``IMAGES/real_NAME.jpg``: the scan on the left, its labels on the right. Those
that are not there are left out and named. The recordings themselves are not part of the
repository; docs/demo_model.md says where they come from.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from concerto_ros.bags.input_plan import plan_for
from concerto_ros.bags.reader import open_bag
from concerto_ros.cli.segment import upright
from concerto_ros.labels.label_set import LabelSet
from concerto_ros.labels.prediction import Prediction
from concerto_ros.offline.bag_intake import BagIntake
from concerto_ros.pipeline import SemanticPipeline
from concerto_ros.sensors.cloud_files import read_cloud_file
from concerto_ros.sensors.frame import Frame
from concerto_ros.settings.settings import Settings
from concerto_ros.viz.cloud_picture import height_colors, render_cloud, sensor_view

WIDTH, HEIGHT = 800, 520
#: Outdoors what lies further from the sensor than this is not drawn, metres.
REACH = 30.0


class Recording(NamedTuple):
    """A recording to draw.

    Attributes:
        name: Of the picture.
        place: Below the folder of the recordings: a cloud file or a bag.
        preset: Of the model.
        title: What it is.
        up: Axis of a file that points up.
        eye: Where the picture is taken from, metres from the sensor; None: from the sensor's side,
            of a bag from a corner above it.
    """

    name: str
    place: str
    preset: str
    title: str
    up: str = "z"
    eye: tuple[float, float, float] | None = None


RECORDINGS = (
    Recording("office", "pcd/office1.pcd", "indoor", "Kinect, one view of an office", up="-y"),
    Recording("desk", "rgbd_desk_bag", "indoor", "Kinect, nine fused views of a desk"),
    Recording(
        "ouster_os1",
        "lidar_ouster/OS-1-128_v2.3.0_1024x10_lb_n3_0.npz",
        "outdoor",
        "Ouster OS-1-128, one sweep",
        eye=(-16.0, -16.0, 18.0),
    ),
    Recording(
        "ouster_os0",
        "lidar_ouster/OS-0-32-U1_v2.2.0_1024x10_0.npz",
        "outdoor",
        "Ouster OS-0-32, one sweep",
        eye=(-14.0, -14.0, 16.0),
    ),
    Recording("vlp16", "lidar_vlp16_bag", "indoor", "Velodyne VLP-16, four sweeps of a hall"),
)


def present(data: Path, names: Collection[str] | None = None) -> Iterator[tuple[Recording, Path]]:
    """The recordings below a folder, all or those of some names; says which are not there."""
    for recording in RECORDINGS:
        path = data / recording.place
        if names is not None and recording.name not in names:
            continue
        if path.exists():
            yield recording, path
        else:
            print(f"{recording.name}: {path} does not exist, left out")


def upright_cloud(path: Path, up: str) -> Frame:
    """Read a cloud file and turn it so that z points up."""
    cloud = read_cloud_file(path).frame
    return cloud.transformed(upright(up), np.zeros(3), cloud.frame_id)


def of_file(path: Path, up: str, pipeline: SemanticPipeline) -> tuple[Prediction, np.ndarray]:
    """Label a cloud file; the prediction, and the colours (N, 3) of its points."""
    cloud = upright_cloud(path, up)
    prediction = pipeline.segment(cloud.points, cloud.colors, cloud.normals, origin=cloud.origin)
    return prediction, height_colors(cloud.points) if cloud.colors is None else cloud.colors


def fused(
    path: Path, preset: str, pipeline: SemanticPipeline
) -> tuple[np.ndarray, np.ndarray | None]:
    """Fuse a bag; the places (N, 3) of its voxels, and their colours, None without a camera."""
    with open_bag(path) as bag:
        plan = plan_for(bag, None, {"preset": preset})
        intake = BagIntake(bag, plan, pipeline)
        for topic, message_type, time, raw in bag.messages(intake.topics):
            intake.take(topic, message_type, time, raw)
        intake.finish()
    voxels = pipeline.snapshot()
    has_color = voxels.has_color.any()
    return voxels.points, voxels.colors.round().astype(np.uint8) if has_color else None


def of_bag(path: Path, preset: str, pipeline: SemanticPipeline) -> tuple[Prediction, np.ndarray]:
    """Fuse and label a bag; the prediction, and the colours (N, 3) of its voxels."""
    points, colors = fused(path, preset, pipeline)
    prediction = pipeline.segment(points, colors, origin=points.mean(axis=0))
    return prediction, height_colors(points) if colors is None else colors


def draw(recording: Recording, path: Path) -> tuple[np.ndarray, str]:
    """The picture (H, W, 3) uint8 of a recording, and the share of each class in words."""
    pipeline = SemanticPipeline.from_settings(Settings(preset=recording.preset))
    if path.is_dir():
        prediction, colors = of_bag(path, recording.preset, pipeline)
    else:
        prediction, colors = of_file(path, recording.up, pipeline)
    points, labels = prediction.points, prediction.label
    near = np.linalg.norm(points[:, :2], axis=1) < REACH
    if recording.preset == "indoor":
        near[:] = True
    view = None if path.is_dir() else sensor_view(points[near], np.zeros(3))
    if recording.eye is not None:
        view = (np.array(recording.eye), np.zeros(3))
    present = [c for c in pipeline.labels.classes if (labels[near] == c.id).mean() > 0.002]
    panels = [
        render_cloud(
            points[near],
            rgb[near],
            width=WIDTH,
            height=HEIGHT,
            view_from=view,
            title=title,
            legend=[(c.name, c.color) for c in present] if title == "labels" else (),
        )
        for rgb, title in ((colors, recording.title), (pipeline.labels.palette[labels], "labels"))
    ]
    return np.concatenate(panels, axis=1), shares(labels, pipeline.labels)


def shares(labels: np.ndarray, classes: LabelSet) -> str:
    """The share of each class among all points, the largest first."""
    share = sorted((float((labels == c.id).mean()), c.name) for c in classes.classes)[::-1]
    return ", ".join(f"{name} {value:.0%}" for value, name in share if value > 0.005)


def main(arguments: list[str]) -> int:
    """Draw all recordings that are there; the exit status."""
    data, images = map(Path, arguments)
    save(
        images,
        "real",
        ((recording.name, *draw(recording, place)) for recording, place in present(data)),
    )
    return 0


def save(images: Path, kind: str, drawn: Iterable[tuple[str, np.ndarray, str]]) -> None:
    """Write pictures (H, W, 3) uint8 as ``IMAGES/KIND_NAME.jpg``, and print what each shows.

    Args:
        images: The folder; created if it does not exist.
        kind: Of the pictures.
        drawn: Name, picture and text of each.
    """
    images.mkdir(parents=True, exist_ok=True)
    for name, picture, text in drawn:
        path = images / f"{kind}_{name}.jpg"
        Image.fromarray(picture).save(path, quality=85)
        print(f"{path}: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
