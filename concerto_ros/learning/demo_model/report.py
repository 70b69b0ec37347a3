# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Accuracy and speed of the bundled demo model, written into ``docs/demo_model.md``."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch

from concerto_ros.heads.linear import LinearHead
from concerto_ros.labels.confusion import Confusion
from concerto_ros.labels.label_set import UNLABELLED
from concerto_ros.learning.data.batch import make_batch
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.learning.demo_model.recipe import INDOOR
from concerto_ros.learning.demo_model.rooms import TEST_SEEDS, DemoRooms, thinned
from concerto_ros.learning.demo_model.simulated_scans import SCANS, SORTS
from concerto_ros.learning.methods.segmenter import Segmenter
from concerto_ros.ptv3 import load_encoder
from concerto_ros.ptv3.bundled import demo_file

#: The measured part is between these lines; the text around it is written by hand.
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"

#: Test rooms shown in the document's picture, chosen because they show many objects.
ROOMS_SHOWN = (7, 9, 10)

#: Variants of the camera views across each room, single and fused, that are evaluated.
CONDITIONS = {
    "colour + normals": lambda scan: scan,
    "no colour": lambda scan: _without(scan, colors=True),
    "no normals": lambda scan: _without(scan, normals=True),
    "neither": lambda scan: _without(scan, colors=True, normals=True),
    "sparse": thinned,
}


#: The other sorts of scans, which are evaluated as they are, and the names of their columns.
OTHER_SORTS = {"close": "close view", "mesh": "mesh", "lidar": "LiDAR"}


def _without(scan: Scan, colors: bool = False, normals: bool = False) -> Scan:
    return Scan(
        scan.name,
        scan.points,
        scan.labels,
        None if colors else scan.colors,
        None if normals else scan.normals,
    )


def load_demo_model() -> Segmenter:
    """The bundled demo model, in evaluation mode."""
    encoder = load_encoder("demo")
    return Segmenter(encoder, LinearHead.load("demo", encoder)).eval()


@torch.inference_mode()
def label(model: Segmenter, scan: Scan) -> np.ndarray:
    """The predicted label of each point, (N,) uint8: that of its voxel; 255: below the floor."""
    batch = make_batch([scan], INDOOR.convention, INDOOR.voxel_size)
    labels = model(batch).argmax(1).numpy().astype(np.uint8)
    return batch.at_points(labels, fill=UNLABELLED)


def measure(folder: Path, rooms: int = len(TEST_SEEDS)) -> dict[str, Confusion]:
    """Evaluate the bundled model at the points of test rooms.

    Args:
        folder: Folder whose ``rooms`` has the scans; missing ones are simulated.
        rooms: Number of test rooms.

    Returns:
        A confusion matrix per column: those of :data:`CONDITIONS` and of :data:`OTHER_SORTS`.
    """
    from tqdm import tqdm

    data, model = DemoRooms(folder / "rooms", TEST_SEEDS[:rooms]), load_demo_model()
    names = (*CONDITIONS, *OTHER_SORTS.values())
    scores = {name: Confusion(len(data.classes)) for name in names}
    for index in tqdm(range(len(data)), unit="scan"):
        scan = data[index]
        sort = SORTS[index % SCANS]
        if sort in OTHER_SORTS:
            scores[OTHER_SORTS[sort]].add(label(model, scan), scan.labels)
            continue
        for name, condition in CONDITIONS.items():
            variant = condition(scan)
            scores[name].add(label(model, variant), variant.labels)
    return scores


def milliseconds(folder: Path) -> tuple[int, float]:
    """Number of voxels of a scan of about 20 000, and the shortest of five inference times."""
    data, model = DemoRooms(folder / "rooms", TEST_SEEDS[:12]), load_demo_model()
    batches = [
        make_batch([data[i]], INDOOR.convention, INDOOR.voxel_size) for i in range(len(data))
    ]
    batch = min(batches, key=lambda candidate: abs(len(candidate) - 20_000))
    durations = []
    with torch.inference_mode():
        for _ in range(5):
            start = time.perf_counter()
            model(batch)
            durations.append(1000 * (time.perf_counter() - start))
    return len(batch), min(durations)


def table(scores: dict[str, Confusion], names: list[str]) -> str:
    """IoU in percent by class and condition, as a Markdown table."""
    lines = [
        "| class | " + " | ".join(scores) + " | share of points |",
        "| --- |" + " ---: |" * (len(scores) + 1),
    ]
    support = scores["colour + normals"].support
    for index, name in enumerate(names):
        row = " | ".join(f"{100 * score.iou[index]:.1f}" for score in scores.values())
        lines.append(f"| {name} | {row} | {100 * support[index] / support.sum():.1f} % |")
    for text, value in (
        ("mIoU", "mean_iou"),
        ("mAcc", "mean_accuracy"),
        ("allAcc", "all_accuracy"),
    ):
        row = " | ".join(f"**{100 * getattr(score, value):.1f}**" for score in scores.values())
        lines.append(f"| **{text}** | {row} | |")
    return "\n".join(lines)


def write_pictures(folder: Path, images: Path, rooms: tuple[int, ...] = ROOMS_SHOWN) -> Path:
    """Write a JPEG with a row per room: a fused scan in colour, ground truth, prediction.

    Args:
        folder: Folder whose ``rooms`` has the scans; missing ones are simulated.
        images: Folder to write to.
        rooms: Seeds of the test rooms.

    Returns:
        The path of the JPEG.
    """
    from PIL import Image

    from concerto_ros.viz.cloud_picture import open_view, render_cloud

    data, model = DemoRooms(folder / "rooms", TEST_SEEDS[: max(rooms) + 1]), load_demo_model()
    palette, rows = data.classes.palette, []
    for room in rooms:
        scan = data[room * SCANS + SORTS.index("views")]
        assert scan.colors is not None and scan.normals is not None  # of camera scans
        colors = (scan.colors, palette[scan.labels], palette[label(model, scan)])
        # Surfaces that face away from the eye would hide the room.
        eye, target = open_view(scan.points, scan.normals)
        visible = ((eye - scan.points) * scan.normals).sum(1) > 0
        titles = ("scan", "ground truth", "prediction")
        rows.append(
            [
                render_cloud(
                    scan.points[visible],
                    rgb[visible],
                    width=560,
                    height=340,
                    view_from=(eye.tolist(), target.tolist()),
                    title=f"{scan.name}: {title}",
                )
                for rgb, title in zip(colors, titles, strict=True)
            ]
        )
    picture = np.concatenate([np.concatenate(row, axis=1) for row in rows])
    path = images / "demo_model.jpg"
    Image.fromarray(picture).save(path, quality=85)
    return path


def write_report(folder: Path, document: Path, rooms: int = len(TEST_SEEDS)) -> str:
    """Evaluate the bundled model and write the measured part of the document, and its picture.

    Args:
        folder: Folder whose ``rooms`` has the scans; missing ones are simulated.
        document: The Markdown file.
        rooms: Number of test rooms.

    Returns:
        The measured part.

    Raises:
        ValueError: The document lacks the lines between which the measured part belongs.
    """
    data = DemoRooms(folder / "rooms", TEST_SEEDS[:rooms])
    scores = measure(folder, rooms)
    voxels, duration = milliseconds(folder)
    model = load_demo_model()
    count = sum(parameter.numel() for parameter in model.parameters())
    measured = "\n".join(
        [
            BEGIN,
            "",
            f"{count / 1e6:.2f} million parameters, {demo_file().stat().st_size / 1e6:.1f} MB; "
            f"{voxels} voxels of {100 * INDOOR.voxel_size:g} cm are labelled in {duration:.0f} ms "
            f"({torch.get_num_threads()} threads, integers of the hierarchy included).",
            "",
            f"IoU in percent, point by point, over {rooms} rooms (seeds {TEST_SEEDS[0]} to "
            f"{TEST_SEEDS[rooms - 1]}): {(SCANS - len(OTHER_SORTS)) * rooms} camera scans across "
            f"the room, {rooms} from close by, {rooms} sampled meshes and {rooms} LiDAR scans. "
            "`sparse`: a tenth of the points and no colour.",
            "",
            table(scores, [c.name for c in data.classes.classes]),
            "",
            END,
        ]
    )
    text = document.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise ValueError(
            f"{document}: has no measured part, expected the lines {BEGIN} and {END} around it"
        )
    write_pictures(folder, document.parent / "images")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    document.write_text(before + measured + after, encoding="utf-8")
    return measured
