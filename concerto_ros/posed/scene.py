# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Scenes of posed RGB-D images, whatever files they are in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from concerto_ros.posed.upright import HeldUp
from concerto_ros.sensors.camera_model import CameraModel
from concerto_ros.sensors.frame import Frame
from concerto_ros.sensors.free_space import DepthView
from concerto_ros.sensors.transform_tree import Transform

#: Why a frame of a scene is left out, by the key it is counted under.
SKIPPED = {
    "no_depth": "no depth image of their name",
    "no_pose": "no pose of their name",
    "no_color": "no colour image of their name",
    "lost_pose": "a pose that is not finite, as ScanNet has where tracking was lost",
    "unplaced": "no transform to the map's frame",
    "unusable": "images that cannot be used",
    "no_features": "no feature image of their name",
}


@dataclass(frozen=True, eq=False)
class PosedFrame:
    """An RGB-D image and where it was taken.

    Attributes:
        name: Name within the scene, e.g. that of the colour image's file without its ending.
        frame: The points of the depth image with the colours of their pixels, in the scene's
            frame; its ``view`` is a :class:`DepthView` in that frame.
        image: (H, W, 3) uint8 RGB, the colour image.
        camera: The camera model of the colour image.
        depth_to_image: Transform from the optical frame of the depth image to that of the colour
            image; None where both are the same.
    """

    name: str
    frame: Frame
    image: np.ndarray
    camera: CameraModel
    depth_to_image: Transform | None = None

    @property
    def view(self) -> DepthView:
        """The depth image and its pose."""
        assert isinstance(self.frame.view, DepthView)  # as every reader makes it
        return self.frame.view


class UnusableFrame(ValueError):
    """A frame whose images cannot be used, e.g. a depth image without a reading."""


class PosedScene(ABC):
    """Posed RGB-D images of one place, in the order of time; cheap to create.

    Attributes:
        name: Name of the scene: its folder below the data set, or the bag.
        frames: Names of the frames that have all they need.
        skipped: Number of frames left out when the scene was opened, by a key of
            :data:`SKIPPED`.
        held: How the cameras were held, which tells what points up; None: z of the poses does.
        origin: (3,) metres, the place in the frame of the poses that is the origin of the frames
            that are read; not zeros for poses far away.
    """

    name: str
    frames: Sequence[str]
    skipped: Counter[str]
    held: HeldUp | None = None
    origin: np.ndarray = np.zeros(3)

    @abstractmethod
    def read(self, index: int) -> PosedFrame:
        """Read a frame.

        Raises:
            UnusableFrame: Its images cannot be used; the frame is to be left out and counted.
            concerto_ros.files.data_error.DataError: A file contradicts the others, e.g. in size;
                names file and field.
        """

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """By name, what decides the content of the frames, without reading images."""

    @abstractmethod
    def thinned(self, indices: Sequence[int]) -> PosedScene:
        """The scene with only these frames."""


def evenly_spread(scene: PosedScene, max_frames: int) -> PosedScene:
    """The scene with at most ``max_frames`` of its frames, from the first to the last.

    Raises:
        ValueError: ``max_frames`` is less than 1.
    """
    if max_frames < 1:
        raise ValueError(f"max_frames is {max_frames}, expected 1 or more")
    count = len(scene.frames)
    if count <= max_frames:
        return scene
    spread = np.linspace(0, count - 1, max_frames).round().astype(int)
    return scene.thinned(spread.tolist())


def skips_in_words(skipped: Counter[str]) -> str:
    """Say which frames were left out: ``3 frames left out: 2 have ...; 1 has ...``; or nothing."""
    reasons = [
        f"{count} {'has' if count == 1 else 'have'} {SKIPPED[reason]}"
        for reason, count in skipped.items()
        if count
    ]
    if not reasons:
        return ""
    return f"{skipped.total()} frames left out: {'; '.join(reasons)}"
