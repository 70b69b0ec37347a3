# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Scenes whose images, depth, poses and intrinsics come from files of their own each."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from concerto_ros.files.data_error import DataError
from concerto_ros.files.digest import digest
from concerto_ros.posed.as_messages import camera_info, color_message, depth_message, header_of
from concerto_ros.posed.matrices import by, check_principal_point, resized
from concerto_ros.posed.scene import PosedFrame, PosedScene, UnusableFrame
from concerto_ros.posed.upright import held_up
from concerto_ros.sensors.camera_model import CameraModel
from concerto_ros.sensors.images.depth_frame import depth_frame
from concerto_ros.sensors.input_error import InputError
from concerto_ros.settings.presets import Preset

#: How far the aspect ratio of a depth image may be from that of its colour image: models round
#: both edges to multiples of 14 pixels.
ASPECT = 0.06

#: Metres; farther from the origin, points in float32 are less exact than a millimetre or so.
FAR = 5000.0

#: Metres; the depth of half the pixels beyond these is no depth in metres.
NEAREST_MEDIAN, FARTHEST_MEDIAN = 0.01, 200.0


@dataclass(frozen=True, eq=False)
class Intrinsics:
    """What maps points to the pixels of the images of one camera.

    Attributes:
        matrix: (3, 3) float64, pixels; the middle of the first pixel is at (0, 0).
        where: The file, for messages.
        size: (height, width) of the colour images that they are of; None: they are of the depth
            images.
        model: ``distortion_model`` of a CameraInfo; empty: no distortion.
        distortion: Its coefficients.
    """

    matrix: np.ndarray
    where: str
    size: tuple[int, int] | None = None
    model: str = ""
    distortion: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class View:
    """One image with depth, read when it is asked for.

    Attributes:
        name: Name within the scene.
        pose: (4, 4) float64, camera (x right, y down, z forward) to world, metres.
        intrinsics: The camera.
        color: Reads (H, W, 3) uint8 RGB.
        depth: Reads (h, w) float, metres; 0 or not finite where there is no reading.
        where: The file of the depth, for messages.
        files: The files that decide the content.
        no_reading: Depths in metres that mean "no reading".
        of_unit: The fields of :class:`~concerto_ros.posed.opening.Sources` that decide the unit of
            the depth, separated by spaces, for messages; empty: none does.
    """

    name: str
    pose: np.ndarray
    intrinsics: Intrinsics
    color: Callable[[], np.ndarray]
    depth: Callable[[], np.ndarray]
    where: str
    files: tuple[Path, ...] = ()
    no_reading: tuple[float, ...] = ()
    of_unit: str = "depth_unit scale"


class ViewScene(PosedScene):
    """Views of one place.

    Args:
        name: Name of the scene.
        views: Its images, in the order of time.
        preset: Range limits of the sensor.
        skipped: Number of images that were left out, by a key of
            :data:`~concerto_ros.posed.scene.SKIPPED`.
        z_up: Whether z of the poses points up; else the way the cameras were held tells.

    Raises:
        DataError: There is no view.
    """

    def __init__(
        self,
        name: str,
        views: Sequence[View],
        preset: Preset,
        skipped: Counter[str],
        *,
        z_up: bool,
    ):
        if not views:
            missing = ", ".join(f"{reason} {count}" for reason, count in skipped.items())
            raise DataError(
                f"{name}: no image has depth and a finite pose ({missing or 'there is no image'}),"
                " expected at least one"
            )
        self.name, self.preset, self.skipped = name, preset, skipped
        self.origin = far_origin(np.array([view.pose[:3, 3] for view in views]))
        self.views = tuple(_moved(view, self.origin) for view in views)
        self.frames: Sequence[str] = tuple(view.name for view in self.views)
        if not z_up:
            self.held = held_up(np.array([view.pose for view in self.views]))

    def thinned(self, indices: Sequence[int]) -> ViewScene:
        """The scene with only these frames; what points up stays."""
        chosen = copy.copy(self)
        chosen.views = tuple(self.views[index] for index in indices)
        chosen.frames = tuple(view.name for view in chosen.views)
        return chosen

    def identity(self) -> dict[str, Any]:
        """Names, poses and intrinsics, and sizes and times of the files."""
        parts: list[str | np.ndarray] = []
        for view in self.views:
            parts += [view.name, view.pose, view.intrinsics.matrix]
            for path in view.files:
                status = path.stat()
                parts.append(f"{path.name} {status.st_size} {status.st_mtime_ns}")
        return {
            "frames": digest(parts),
            "sensor ranges": [self.preset.min_range, self.preset.max_range],
        }

    def read(self, index: int) -> PosedFrame:
        """Read a frame; see :meth:`PosedScene.read`."""
        view, header = self.views[index], header_of(index)
        try:
            image, metres = view.color(), np.asarray(view.depth(), np.float32)
        except InputError as error:
            raise UnusableFrame(f"{self.name}: frame {view.name}: {error}") from None
        check_metres(metres, view.where, view.of_unit.split())
        image, matrix = fitted(image, metres.shape, view)
        lens = view.intrinsics
        info = camera_info(matrix, metres.shape, lens.model, lens.distortion)
        try:
            frame = depth_frame(
                color_message(image, header),
                depth_message(metres, header),
                info,
                min_range=self.preset.min_range,
                max_range=self.preset.max_range,
                no_reading=view.no_reading,
            )
            camera = CameraModel.from_info(info, rectified=None)
        except InputError as error:
            if error.reason == "empty":
                raise UnusableFrame(f"{view.where}: frame {view.name}: {error}") from None
            raise DataError(f"{lens.where}: {error}") from None
        placed = frame.transformed(view.pose[:3, :3], view.pose[:3, 3], "scene")
        return PosedFrame(view.name, placed, image, camera)


def far_origin(positions: np.ndarray) -> np.ndarray:
    """Return what to subtract from positions (N, 3), metres, so that float32 holds points there.

    Zeros near the origin; a whole metre near the first one for those far from it.
    """
    far = np.abs(positions).max() > FAR
    return np.floor(positions[0]) if far else np.zeros(3)


def _moved(view: View, origin: np.ndarray) -> View:
    if not origin.any():
        return view
    pose = view.pose.copy()
    pose[:3, 3] -= origin
    return replace(view, pose=pose)


def fitted(image: np.ndarray, size: tuple[int, ...], view: View) -> tuple[np.ndarray, np.ndarray]:
    """Bring a colour image, and the intrinsics, to the size of the depth image.

    Args:
        image: (H, W, 3) uint8.
        size: (height, width) of the depth image.
        view: Where both are from.

    Returns:
        The image and the intrinsics (3, 3) for images of this size.

    Raises:
        DataError: The images show different parts, or the intrinsics are of another size.
    """
    lens, shown = view.intrinsics, image.shape[:2]
    if lens.size is not None and lens.size != shown:
        raise DataError(
            f"{lens.where}: intrinsics of images of {by(lens.size)} pixels, but the colour image"
            f" {view.name} has {by(shown)}: expected the images that they were computed for"
        )
    matrix = np.array(lens.matrix, np.float64)
    if lens.size is None:
        check_principal_point(matrix, size, lens.where, "depth")
    else:
        check_principal_point(matrix, shown, lens.where, "colour")
    if tuple(size) == shown:
        return image, matrix
    down, across = size[0] / shown[0], size[1] / shown[1]
    if abs(down / across - 1) > ASPECT:
        raise DataError(
            f"{view.where}: depth of {by(size)} pixels, but the colour image {view.name} has"
            f" {by(shown)}: expected the same aspect ratio, as both have to show the same part"
        )
    if lens.size is not None:
        matrix = resized(matrix, shown, size)
    return resize_image(image, size), matrix


def resize_image(image: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Return a colour image in another size (height, width)."""
    import cv2

    smaller = size[0] * size[1] < image.shape[0] * image.shape[1]
    how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return cv2.resize(image, (size[1], size[0]), interpolation=how)


def check_metres(depth: np.ndarray, where: str, fields: Sequence[str]) -> None:
    """Check that a depth image can be one in metres.

    Args:
        depth: The image.
        where: Its file, for messages.
        fields: The fields of :class:`~concerto_ros.posed.opening.Sources` that decide its unit.

    Raises:
        DataError: The depth of most pixels is none of a room or a street; names the file.
    """
    if depth.ndim != 2 or not depth.size:
        raise DataError(f"{where}: depth of shape {depth.shape}, expected (height, width)")
    known = depth[np.isfinite(depth) & (depth > 0)]
    if not len(known):
        return  # nothing was measured: the frame is left out, and counted
    median = float(np.median(known))
    if not NEAREST_MEDIAN <= median <= FARTHEST_MEDIAN:
        hint = ""
        if "depth_unit" in fields and median > FARTHEST_MEDIAN:
            hint = " (millimetres? Sources.depth_unit 0.001)"
        if fields:
            hint += f": check {' and '.join(f'Sources.{field}' for field in fields)}"
        raise DataError(
            f"{where}: depth: half of the pixels are beyond {median:.4g} m, expected metres, at"
            f" most {FARTHEST_MEDIAN:g} and at least {NEAREST_MEDIAN:g} in the middle{hint}"
        )
