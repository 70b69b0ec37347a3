# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Colour images whose poses are known; their depth is in files, or a model predicts it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from concerto_ros.posed.color_images import ColorImages
from concerto_ros.posed.depth_images import DepthFolder
from concerto_ros.posed.views import Intrinsics, View
from concerto_ros.sensors.no_reading import CAMERA_NO_READING

#: What an error says where it follows the name of a file or model.
NO_SCALE = (
    "the poses are in an unknown unit: expected Sources.scale, the metres of one unit (1: metres)"
)


@dataclass(frozen=True, eq=False)
class PosedImage:
    """A colour image with its pose.

    Attributes:
        index: Which of the colour images.
        pose: (4, 4) float64, camera to world, in the unit of the file.
        intrinsics: Its camera.
        depth: The file of its depth; None where no folder of depth images was given.
    """

    index: int
    pose: np.ndarray
    intrinsics: Intrinsics
    depth: Path | None


@dataclass(frozen=True, eq=False)
class PosedImages:
    """The images of one place whose poses are known.

    Attributes:
        images: All colour images.
        posed: Those that have a pose, and a depth image where there is a folder of them.
        skipped: Number of the others, by a key of :data:`~concerto_ros.posed.scene.SKIPPED`.
        scale: Metres of a unit of the poses.
        z_up: Whether z of the poses points up.
        where: The file of the poses, for messages.
    """

    images: ColorImages
    posed: Sequence[PosedImage]
    skipped: Counter[str]
    scale: float
    z_up: bool
    where: str

    def pose(self, image: PosedImage) -> np.ndarray:
        """The pose of an image (4, 4), metres."""
        return scaled(image.pose, self.scale)

    def views(self, depth: DepthFolder) -> list[View]:
        """The images with the depth of their files."""
        return [self._view(image, depth, image.depth) for image in self.posed if image.depth]

    def _view(self, image: PosedImage, depth: DepthFolder, file: Path) -> View:
        return View(
            name=self.images.names[image.index],
            pose=self.pose(image),
            intrinsics=image.intrinsics,
            color=partial(self.images.read, image.index),
            depth=partial(read_scaled, depth, file, self.scale if depth.of_colmap else 1.0),
            where=str(file),
            files=(*self.images.files(image.index), file),
            no_reading=() if depth.of_colmap else CAMERA_NO_READING,
        )


def read_scaled(depth: DepthFolder, file: Path, scale: float) -> np.ndarray:
    """Read a depth image in metres."""
    return depth.read(file) * np.float32(scale)


def scaled(pose: np.ndarray, scale: float) -> np.ndarray:
    """Return a pose (4, 4) whose translation is ``scale`` times as long."""
    moved = pose.copy()
    moved[:3, 3] *= scale
    return moved
