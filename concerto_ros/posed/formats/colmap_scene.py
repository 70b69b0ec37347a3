# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Colour images with the poses of a COLMAP model, and the metres of its unit."""

from __future__ import annotations

from collections import Counter
from pathlib import PurePosixPath

import numpy as np

from concerto_ros.files.data_error import DataError
from concerto_ros.posed.color_images import ColorImages
from concerto_ros.posed.depth_images import DepthFolder
from concerto_ros.posed.formats.colmap_files import ColmapImage, ColmapModel
from concerto_ros.posed.matrices import rigid
from concerto_ros.posed.posed_images import NO_SCALE, PosedImage, PosedImages
from concerto_ros.posed.views import Intrinsics
from concerto_ros.sensors.input_error import InputError

#: Images from whose depth the scale is computed, and the points that they have to see at least.
SCALE_IMAGES, SCALE_POINTS = 20, 30

#: Half of the points have to agree on the scale within this fraction of it.
SCALE_SPREAD = 0.2


def colmap_images(
    model: ColmapModel, images: ColorImages, depth: DepthFolder | None, scale: float | None
) -> PosedImages:
    """Find the poses of colour images in a model, by their names.

    Args:
        model: The model; what points up is not known in it.
        images: The colour images.
        depth: Depth images by the names of the colour images; None: there are none.
        scale: Metres of a unit of the model; None: computed from depth images in metres and the
            points of the model.

    Raises:
        DataError: No image has a name of the model, or the scale is not known.
    """
    where = str(model.folder)
    intrinsics = {
        number: Intrinsics(camera.matrix, f"{where}: camera {number}", camera.size, *_lens(camera))
        for number, camera in model.cameras.items()
    }
    by_name = {str(PurePosixPath(image.name).with_suffix("")): image for image in model.images}
    posed: list[PosedImage] = []
    registered: list[ColmapImage] = []
    skipped: Counter[str] = Counter()
    for index, name in enumerate(images.names):
        image = by_name.get(name)
        file = depth.find(name) if depth else None
        if image is None:
            skipped["no_pose"] += 1
        elif depth and file is None:
            skipped["no_depth"] += 1
        elif not np.isfinite(image.pose).all():
            skipped["lost_pose"] += 1
        else:
            pose = rigid(image.pose, where)
            posed.append(PosedImage(index, pose, intrinsics[image.camera], file))
            registered.append(image)
    skipped["no_color"] += len(set(by_name) - set(images.names))
    if not posed and skipped["no_pose"] == len(images.names):
        raise DataError(
            f"{where}: images: it names {_some(list(by_name))}, but {images.path} has"
            f" {_some(images.names)}: expected the images that COLMAP was run on"
        )
    if scale is None:
        scale = _scale(model, registered, posed, images, depth)
    return PosedImages(images, posed, skipped, scale, False, where)


def _lens(camera) -> tuple[str, tuple[float, ...]]:
    return camera.distortion_model, camera.distortion


def _some(names) -> str:
    return f"{', '.join(names[:2]) or 'none'}{', ...' if len(names) > 2 else ''}"


def _scale(model, registered, posed, images: ColorImages, depth: DepthFolder | None) -> float:
    """Metres of a unit: the median of measured depth over that of the points of the model."""
    where = model.folder
    if depth is None or depth.of_colmap:
        raise DataError(f"{where}: scale: {NO_SCALE}")
    ratios: list[np.ndarray] = []
    step = max(1, len(posed) // SCALE_IMAGES)
    for image, known in list(zip(registered, posed, strict=True))[::step]:
        try:
            measured = depth.read(known.depth)
        except InputError:
            continue
        ratios.append(_ratios(model, image, measured))
    ratio = np.concatenate(ratios) if ratios else np.empty(0)
    if len(ratio) < SCALE_POINTS:
        raise DataError(
            f"{where}: scale: {len(ratio)} points of points3D lie on a depth reading, expected at"
            f" least {SCALE_POINTS} to compute the metres of a unit: Sources.scale says them"
        )
    scale = float(np.median(ratio))
    spread = float(np.median(np.abs(ratio - scale))) / scale
    if spread > SCALE_SPREAD:
        raise DataError(
            f"{where}: scale: the depth images disagree with the points by {spread:.0%} around"
            f" {scale:.3g} m a unit, expected at most {SCALE_SPREAD:.0%}: are they of other"
            " images, or not in metres (Sources.depth_unit)? Sources.scale says the metres of a"
            " unit"
        )
    return scale


def _ratios(model: ColmapModel, image: ColmapImage, measured: np.ndarray) -> np.ndarray:
    """Return metres over units of the points that an image sees and a depth reading measured."""
    known = np.array([number in model.points for number in image.points], bool)
    if not known.any():
        return np.empty(0)
    points = np.array([model.points[number] for number in image.points[known]])
    units = ((points - image.pose[:3, 3]) @ image.pose[:3, :3])[:, 2]
    height, width = model.cameras[image.camera].size
    share = (image.pixels[known] + 0.5) / [width, height]
    size = np.array(measured.shape[::-1])
    column, row = np.floor(share * size).astype(int).T
    inside = (units > 0) & (column >= 0) & (column < size[0]) & (row >= 0) & (row < size[1])
    metres = measured[row[inside], column[inside]]
    ratio = metres / units[inside]
    return ratio[np.isfinite(ratio) & (ratio > 0)]
