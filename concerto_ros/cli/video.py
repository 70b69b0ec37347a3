# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Label a video, or a folder of images, whose depth and poses other programs found. No ROS needed.

  concerto-ros video walk.mp4 --scale 1
  concerto-ros video scene
  concerto-ros video walk.mp4 --depth-model map-anything-apache

Writes NAME_labels.ply and .png, coloured by class, NAME_pca.ply and .png, by features,
NAME_frames.jpg, some frames beside their labels, and NAME_to_cloud.txt, the 4x4 matrix from the
poses, in metres, to the cloud, whose z points up.

Depth and poses come from files in or beside the images: walk.npz of Depth Anything 3 or VGGT; in a
folder images, depth and COLMAP's sparse/0, or rgb, depth and TUM's groundtruth.txt, or the folders
of ScanNet. Else they come from a depth model whose files are on this machine; nothing is
downloaded. docs/video.md lists the files.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from concerto_ros.cli.segment import AXES, add_setting_arguments, settings_of, upright
from concerto_ros.cli.shared.labelled_cloud import (
    print_shares,
    print_times_and_files,
    write_labelled_cloud,
)
from concerto_ros.cli.shared.word_arguments import add_word_arguments
from concerto_ros.files.data_error import DataError

if TYPE_CHECKING:
    from concerto_ros.offline.posed_labeller import LabelledScene
    from concerto_ros.pipeline import SemanticPipeline
    from concerto_ros.posed.scene import PosedScene

HELP = "label a video or a folder of images with depth and poses of files or of a depth model"

#: Frames in the picture of frames.
SHOWN = 3

#: What the model sees beside coordinates.
SEEN = ("color", "normal")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the images, where depth and poses are, the model, and where to write."""
    parser.add_argument("source", type=Path, help="a video, or a folder of images")
    parser.add_argument(
        "-o", "--out", type=Path, help="folder for the results (default: that of the source)"
    )
    where = parser.add_argument_group("depth and poses")
    where.add_argument(
        "--geometry",
        type=Path,
        metavar="PATH",
        help="a .npz with depth and poses, a folder with a COLMAP model, or a trajectory in TUM's"
        " format (default: what is in or beside the source)",
    )
    where.add_argument(
        "--depth",
        type=Path,
        metavar="FOLDER",
        help="the depth images (default: in or beside the source)",
    )
    where.add_argument(
        "--intrinsics",
        nargs="+",
        metavar="FX FY CX CY",
        help="of the camera, in pixels, or a file with them; for a trajectory, which has none",
    )
    where.add_argument(
        "--depth-unit",
        type=float,
        metavar="METRES",
        help="metres of a unit of depth (default: of images 0.001, of TUM's format 0.0002, of"
        " floats 1; of a .npz and of COLMAP --scale)",
    )
    where.add_argument(
        "--scale",
        type=float,
        metavar="METRES",
        help="metres of a unit of the poses, and of depth that is in the same unit; needed where"
        " the files do not say it (1: metres)",
    )
    where.add_argument(
        "--depth-model",
        metavar="NAME",
        help="predict the depth, and poses where no file has them: da3-base, da3metric-large,"
        " map-anything-apache and others of docs/video.md, or NAME=FOLDER",
    )
    where.add_argument(
        "--least-confident",
        type=float,
        default=0.0,
        metavar="PERCENT",
        help="leave out so many percent of the pixels of predicted depth, the least confident"
        " (default 0)",
    )
    frames = parser.add_argument_group("frames")
    frames.add_argument("--every", type=int, default=1, metavar="N", help="take each N-th image")
    frames.add_argument("--fps", type=float, help="of a video, take about so many a second")
    frames.add_argument(
        "--max-frames",
        type=int,
        default=200,
        metavar="N",
        help="of more images as many are used, evenly spread (default 200)",
    )
    parser.add_argument(
        "--up",
        default="auto",
        choices=["auto", *(sign + axis for sign in ("", "-") for axis in AXES)],
        help="axis of the poses that points up; auto: z of TUM's and ScanNet's files, else as the"
        " camera was held",
    )
    parser.add_argument(
        "--no-level",
        action="store_true",
        help="with --up auto, do not turn the scene level by its ground",
    )
    for name in SEEN:
        parser.add_argument(
            f"--no-{name}", action="store_true", help=f"the model sees no {name}s, as if unknown"
        )
    add_setting_arguments(parser)
    add_word_arguments(parser, names=True)


def run(arguments: argparse.Namespace) -> int:
    """Label the scene, write the results and print the share of each class.

    Raises:
        ValueError: A file is missing or contradicts another, or an option is not accepted.
        ImportError: The package of the depth model is not installed.
    """
    from tqdm import tqdm

    from concerto_ros.labels.label_set import UNLABELLED
    from concerto_ros.offline.posed_labeller import label_scene, scene_settings
    from concerto_ros.pipeline import SemanticPipeline
    from concerto_ros.posed.scene import skips_in_words
    from concerto_ros.viz.cloud_picture import open_view

    settings = scene_settings(settings_of(arguments))
    with _options_named():
        scene = _scene(arguments, settings.preset, settings.device)
    # Before the model runs: a folder that cannot be made must not cost its work.
    folder = arguments.out or arguments.source.resolve().parent
    folder.mkdir(parents=True, exist_ok=True)
    pipeline = SemanticPipeline.from_settings(settings)
    with tqdm(unit="frame", disable=None) as bar, _options_named():
        labelled = label_scene(
            pipeline,
            scene,
            rotation=None if arguments.up == "auto" else upright(arguments.up),
            level=not arguments.no_level,
            sees=[f"{name}s" for name in SEEN if not getattr(arguments, f"no_{name}")],
            on_frame=bar.update,
        )
    prediction, stem = labelled.prediction, folder / scene.name
    # Walls are seen from inside: those before the eye are left out, as of a doll's house.
    normals = labelled.snapshot.normals
    view = open_view(prediction.points, normals)
    faces_eye = ((view[0] - prediction.points) * normals).sum(axis=1) >= 0
    palette = pipeline.labels.palette
    written = write_labelled_cloud(stem, prediction.points, prediction, palette, view, faces_eye)
    written += [_write_frames(stem, labelled, pipeline), _write_matrix(stem, labelled)]
    total = len(prediction.label)
    print(
        f"{scene.name}: {len(labelled.used)} frames, {total} voxels of"
        f" {pipeline.settings.voxel_size:g} m, model {prediction.model}"
    )
    if labelled.skipped.total():
        print(skips_in_words(labelled.skipped))
    if arguments.up == "auto" and scene.held is not None:
        up = ", ".join(f"{value:.2f}" for value in labelled.rotation[2])
        print(f"what points up, in the poses: ({up}), as the camera was held (else --up)")
    without = np.count_nonzero(prediction.label == UNLABELLED)
    print(f"no label: {without} of {total} voxels")
    print_shares(prediction, settings.preset)
    print_times_and_files(prediction, written)
    return 1 if prediction.not_finite == total else 0


@contextmanager
def _options_named() -> Iterator[None]:
    """Let errors about a field of ``Sources`` name the option that it comes from."""
    try:
        yield
    except DataError as error:
        text = re.sub(r"\bSources\.(\w+)", _option, str(error))
        raise DataError(text) from error


def _option(field: re.Match[str]) -> str:
    return f"--{field[1].replace('_', '-')}"


def _scene(arguments: argparse.Namespace, preset: str, device: str) -> PosedScene:
    from concerto_ros.posed.opening import Sources, open_posed
    from concerto_ros.posed.scene import evenly_spread
    from concerto_ros.settings.presets import PRESETS

    if arguments.max_frames < 1:
        raise ValueError(f"--max-frames: got {arguments.max_frames}, expected 1 or more")
    names = ("geometry", "depth", "depth_unit", "scale", "every", "fps", "least_confident")
    sources = Sources(
        **{name: getattr(arguments, name) for name in names},
        intrinsics=_intrinsics(arguments.intrinsics),
    )
    model = None
    if arguments.depth_model is not None:
        from concerto_ros.posed.depth_models.loading import load_depth_model
        from concerto_ros.ptv3.kernels.usable_device import device_named

        model = load_depth_model(arguments.depth_model, device_named(device))
    scene = open_posed(arguments.source, sources, PRESETS[preset], model)
    count = len(scene.frames)
    if count > arguments.max_frames:
        print(f"{arguments.max_frames} of {count} frames are used, evenly spread (--max-frames)")
    return evenly_spread(scene, arguments.max_frames)


def _intrinsics(given: list[str] | None) -> Path | tuple[float, ...] | None:
    if given is None:
        return None
    if len(given) == 1:
        return Path(given[0])
    try:
        return tuple(float(number) for number in given)
    except ValueError:
        raise ValueError(
            f"--intrinsics: got {' '.join(given)}, expected fx fy cx cy in pixels, or a file"
        ) from None


def _write_frames(stem: Path, labelled: LabelledScene, pipeline: SemanticPipeline) -> Path:
    """Write a picture of some frames: the image, its labels, its features."""
    from PIL import Image

    from concerto_ros.posed.views import resize_image
    from concerto_ros.viz.frame_pictures import painted, sheet

    prediction = labelled.prediction
    colors = pipeline.labels.palette[prediction.label], prediction.pca_rgb
    at = np.linspace(0, len(labelled.used) - 1, min(SHOWN, len(labelled.used)))
    pictures = []
    for index in (labelled.used[place] for place in at.round().astype(int)):
        posed = labelled.scene.read(index)
        rows = labelled.pixel_rows(posed)
        image = resize_image(posed.image, rows.shape)
        pictures.append([image, *(painted(image, rows, rgb) for rgb in colors)])
    path = Path(f"{stem}_frames.jpg")
    Image.fromarray(sheet(pictures)).save(path, quality=90)
    return path


def _write_matrix(stem: Path, labelled: LabelledScene) -> Path:
    path = Path(f"{stem}_to_cloud.txt")
    np.savetxt(path, labelled.to_map, fmt="%.9f")
    return path
