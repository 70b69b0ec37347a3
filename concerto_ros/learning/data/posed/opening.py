# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Opening of posed images, whatever files they are in."""

from __future__ import annotations

from pathlib import Path

import torch

from concerto_ros.bags.reader import BagError
from concerto_ros.bags.storage.recording_files import is_bag
from concerto_ros.files.listing import visible
from concerto_ros.learning.data.label_map import DataError
from concerto_ros.learning.data.posed.bag_images import BagScene
from concerto_ros.learning.data.posed.dense_clip import DenseClip
from concerto_ros.learning.data.posed.model_features import ModelFeatures, is_image_model
from concerto_ros.learning.data.posed.pixel_features import FolderFeatures, PixelFeatures
from concerto_ros.posed.depth_images import MILLIMETRE
from concerto_ros.posed.formats.scannet_folder import folder_scenes
from concerto_ros.posed.scene import PosedScene
from concerto_ros.settings.presets import PRESETS
from concerto_ros.words.open_clip_encoder import PREFIX


def open_scenes(
    path: str | Path,
    *,
    preset: str = "indoor",
    depth_unit: float = MILLIMETRE,
    map_frame: str | None = None,
) -> list[PosedScene]:
    """Open the scenes of posed RGB-D images at a path; images are read later.

    Args:
        path: A bag, a folder of bags, a scene's folder, or a folder of such folders (see
            :mod:`~concerto_ros.posed.formats.scannet_folder`).
        preset: ``indoor`` or ``outdoor``, for the minimum and maximum range of the sensor.
        depth_unit: Metres of a unit of the depth images; not of a bag.
        map_frame: Of a bag, the frame of the map; None: the root of the TF tree.

    Raises:
        DataError: There is no scene, or one lacks what it needs; names file and field.
        ValueError: An argument is out of range.
    """
    path = Path(path)
    if preset not in PRESETS:
        raise ValueError(f"preset is {preset!r}, expected {' or '.join(PRESETS)}")
    if not path.exists():
        raise DataError(f"{path}: the file or folder does not exist")
    ranges = PRESETS[preset]
    bags = [path]
    if path.is_dir() and not is_bag(path):
        bags = [below for below in visible(path.iterdir(), path) if is_bag(below)]
    if not bags:
        return list(folder_scenes(path, ranges, depth_unit))
    try:
        return [BagScene(bag, ranges, map_frame) for bag in bags]
    except BagError as error:
        raise DataError(str(error)) from None


def open_pixel_features(
    name: str, *, alone: bool, device: torch.device | str = "cpu"
) -> PixelFeatures:
    """Open what a 2D model says of the pixels of images.

    Args:
        name: A folder of feature images, ``open_clip:MODEL/WEIGHTS``, or a model of
            :class:`~concerto_ros.learning.data.posed.model_features.ModelFeatures`; nothing is
            downloaded here.
        alone: Whether the images are of one scene.
        device: Where a model runs.

    Raises:
        DataError: The folder has no feature image.
        ValueError: The model is not there, or cannot be used.
        ImportError: The package of a model is not installed.
    """
    if name.startswith(PREFIX):
        return DenseClip(name, device=device)
    if is_image_model(name):
        return ModelFeatures(name, device)
    return FolderFeatures(Path(name), alone=alone)
