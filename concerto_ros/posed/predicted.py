# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Scenes whose depth, and poses where no file has them, a model predicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from concerto_ros.files.data_error import DataError
from concerto_ros.posed.color_images import ColorImages
from concerto_ros.posed.geometry import Geometry, geometry_views
from concerto_ros.posed.matrices import resized
from concerto_ros.posed.posed_images import NO_SCALE, PosedImages
from concerto_ros.posed.views import ViewScene, resize_image
from concerto_ros.sensors.input_error import InputError
from concerto_ros.settings.presets import Preset

if TYPE_CHECKING:
    from concerto_ros.posed.depth_models.depth_model import DepthModel

#: Pixels of the longer edge of images that a model is given; models make them smaller still.
LONGER_EDGE = 1024


def predicted_scene(
    model: DepthModel,
    images: ColorImages,
    posed: PosedImages | None,
    preset: Preset,
    name: str,
    *,
    scale: float | None,
    least_confident: float = 0.0,
) -> ViewScene:
    """Predict the depth of images; all are predicted at once, as models of several views need it.

    Args:
        model: The model.
        images: The colour images.
        posed: Those with poses of files; None: the model predicts poses as well.
        preset: Range limits.
        name: Name of the scene.
        scale: Metres of a unit of what the model predicts; None: it predicts metres. Of no
            meaning with poses of files, which have their own.
        least_confident: As for :func:`~concerto_ros.posed.geometry.geometry_views`.

    Raises:
        DataError: The model predicts no poses and there are none, or its unit is not known.
    """
    where = f"depth model {model.name}"
    if posed is None and not model.predicts_poses:
        raise DataError(
            f"{where}: it predicts no poses, expected Sources.geometry with a file of poses, or a"
            " model that predicts them"
        )
    if posed is not None and not (model.metric or model.predicts_poses):
        raise DataError(
            f"{where}: its depth is in an unknown unit for each image, expected a metric model, or"
            " one of several views"
        )
    if posed is None and scale is None and not model.metric:
        raise DataError(f"{where}: scale: {NO_SCALE}")
    chosen = [image.index for image in posed.posed] if posed else list(range(len(images.names)))
    skipped: Counter[str] = Counter(posed.skipped if posed else ())
    pictures, kept = [], []
    for place, index in enumerate(chosen):
        try:
            pictures.append(_shrunk(images.read(index)))
            kept.append(place)
        except InputError:
            skipped["unusable"] += 1
    if not pictures:
        raise DataError(f"{images.path}: no image can be read, expected at least one")
    images = images.thinned([chosen[place] for place in kept])
    if posed is None:
        geometry = _checked(model(pictures), len(pictures), where)
        views, lost = geometry_views(
            geometry, images, scale or 1.0, where, least_confident, of_unit="scale"
        )
        return ViewScene(name, views, preset, skipped + lost, z_up=False)
    poses = np.array([posed.pose(posed.posed[place]) for place in kept])
    intrinsics = np.array(
        [
            _fitted(posed, place, picture.shape[:2])
            for place, picture in zip(kept, pictures, strict=True)
        ]
    )
    given = _checked(model(pictures, intrinsics, poses), len(pictures), where, posed=True)
    size = given.depth.shape[1:]
    intrinsics = np.array(
        [
            resized(matrix, picture.shape[:2], size)
            for matrix, picture in zip(intrinsics, pictures, strict=True)
        ]
    )
    geometry = Geometry(given.depth, poses, intrinsics, given.confidence)
    views, lost = geometry_views(geometry, images, 1.0, where, least_confident, of_unit="")
    return ViewScene(name, views, preset, skipped + lost, z_up=posed.z_up)


def _shrunk(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    factor = min(1.0, LONGER_EDGE / max(height, width))
    return (
        image
        if factor == 1
        else resize_image(image, (round(height * factor), round(width * factor)))
    )


def _fitted(posed: PosedImages, place: int, size: Sequence[int]) -> np.ndarray:
    """The intrinsics of an image at the size at which the model is given it."""
    lens = posed.posed[place].intrinsics
    if lens.model:
        raise DataError(
            f"{lens.where}: the images are distorted, expected undistorted ones for a depth model"
            " (colmap image_undistorter)"
        )
    if lens.size is None:
        raise DataError(
            f"{lens.where}: of images of which size is not said, expected a .yaml with width and"
            " height for a depth model"
        )
    return resized(lens.matrix, lens.size, tuple(size))


def _checked(geometry: Geometry, count: int, where: str, *, posed: bool = False) -> Geometry:
    """Check what a model returned against its own promises."""
    wanted = {"depth": (count, *geometry.depth.shape[1:])}
    if not posed:
        wanted |= {"poses": (count, 4, 4), "intrinsics": (count, 3, 3)}
    for name, shape in wanted.items():
        array = getattr(geometry, name)
        got = None if array is None else array.shape
        if got != shape or len(shape) != 3:
            raise DataError(f"{where}: returned {name} of shape {got}, expected {shape}")
    return geometry
