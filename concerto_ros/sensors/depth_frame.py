# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Depth and colour images to :class:`Frame`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from concerto_ros.sensors.camera_model import CameraCache, CameraModel
from concerto_ros.sensors.frame import Frame, OriginalPoints
from concerto_ros.sensors.free_space import DepthView
from concerto_ros.sensors.images import decode_color, decode_depth
from concerto_ros.sensors.input_error import InputError
from concerto_ros.sensors.message_fields import stamp_ns, text
from concerto_ros.sensors.normals import organised_normals

#: A point this much behind the nearest one of its place in the colour image is hidden from it:
#: a share of the distance, and metres.
HIDDEN_SHARE, HIDDEN_METRES = 0.05, 0.02

#: Places of the colour image, in units of the distance between neighbouring depth pixels in it.
HIDDEN_CELL = 1.5


def depth_frame(
    color: Any | None,
    depth: Any,
    info: Any,
    *,
    depth_info: Any | None = None,
    depth_to_color: Any | None = None,
    source: str = "",
    min_range: float = 0.0,
    max_range: float = np.inf,
    rectified: bool = False,
    normals: bool = True,
    original: bool = False,
    cameras: CameraCache | None = None,
    watch: Callable[[str], AbstractContextManager] | None = None,
) -> Frame:
    """The points of a depth image, coloured where there is a colour image.

    Parameters
    ----------
    color: Image or CompressedImage, or None for a depth camera alone.
    depth: Image or CompressedImage.
    info: CameraInfo of the colour image; of the depth image where ``color`` is None.
    depth_info: CameraInfo of the depth image, where it is not registered to colour.
    depth_to_color: object with ``rotation`` (3, 3) and ``translation`` (3,) in metres that takes
        points from the depth image's frame into the colour image's; not needed if they are one.
    source: name of the input, kept in the frame.
    min_range, max_range: metres from the camera, both inclusive.
    rectified: whether both images are rectified (see :meth:`CameraModel.from_info`).
    normals: whether to estimate normals from the depth image.
    original: whether the frame carries its points as the message's own as well.
    cameras: keeps the camera models from one call to the next.
    watch: times the stages ``decode`` and ``normals``.

    Returns a frame in the depth image's ``frame_id`` at the depth image's stamp, points in row
    order. Depth that is not registered keeps the points that the colour camera sees, as aligned
    depth from a driver would: those outside its image, or hidden from it behind nearer points,
    are left out.

    Raises
    ------
    InputError: ``malformed``, ``unsupported``, ``too_large``, ``empty``, ``bad_camera_info``,
        ``not_registered`` (different frames) or ``size_mismatch`` (one frame, different sizes).
    """
    watch = watch or nullcontext
    with watch("decode"):
        stamp = stamp_ns(depth)
        frame_id = text(depth, "header.frame_id")
        metres = decode_depth(depth)
        rgb = None if color is None else decode_color(color)
        cameras = CameraCache() if cameras is None else cameras
        camera = cameras.from_info(info, rectified=rectified)
        depth_camera = camera
        if depth_info is not None:
            depth_camera = cameras.from_info(depth_info, rectified=rectified)
        registered = rgb is None or _is_registered(
            rgb, metres, camera, depth_camera, text(color, "header.frame_id"), frame_id
        )
        if not registered and depth_info is None:
            raise _not_registered(color, frame_id, rgb, metres)
        if not registered and depth_to_color is None:
            if not _same_frame(text(color, "header.frame_id"), frame_id):
                raise _not_registered(color, frame_id, rgb, metres)
            depth_to_color = _Identity
        _check_size("depth", metres, depth_camera)

        points = depth_camera.rays() * metres[..., None]
        rows = np.flatnonzero(_within(points, min_range, max_range))
        colors = None
        if rgb is not None and registered:
            colors = rgb.reshape(-1, 3).take(rows, axis=0)
        elif rgb is not None:
            _check_size("colour", rgb, camera)
            spacing = camera.fx / depth_camera.fx
            seen = points.reshape(-1, 3).take(rows, axis=0)
            visible, colors = _sample(rgb, camera, seen, depth_to_color, spacing)
            rows = rows[visible]
        if len(rows) == 0:
            raise InputError(
                "empty", f"no depth pixel has a reading within {min_range} to {max_range} m"
            )
        kept = points.reshape(-1, 3).take(rows, axis=0)

    directions = None
    if normals:
        with watch("normals"):
            directions = organised_normals(points).reshape(-1, 3).take(rows, axis=0)
    return Frame(
        points=kept,
        stamp=stamp,
        frame_id=frame_id,
        source=source,
        colors=colors,
        normals=directions,
        view=DepthView(depth_camera, metres),
        original=OriginalPoints(kept, (1, len(kept)), stamp, frame_id) if original else None,
    )


class _Identity:
    """Colour and depth images of one frame."""

    rotation = np.eye(3)
    translation = np.zeros(3)


def _same_frame(one: str, other: str) -> bool:
    return one.lstrip("/") == other.lstrip("/")


def _is_registered(
    rgb: np.ndarray,
    metres: np.ndarray,
    camera: CameraModel,
    depth_camera: CameraModel,
    color_frame: str,
    depth_frame_id: str,
) -> bool:
    """Whether a pixel of depth is the same pixel of colour."""
    same_size = rgb.shape[:2] == metres.shape
    return _same_frame(color_frame, depth_frame_id) and same_size and camera == depth_camera


def _not_registered(color: Any, frame_id: str, rgb: np.ndarray, metres: np.ndarray) -> InputError:
    color_frame = text(color, "header.frame_id")
    if not _same_frame(color_frame, frame_id):
        return InputError(
            "not_registered",
            f"depth is in frame '{frame_id}' and colour in '{color_frame}': turn on aligned depth "
            "in the driver, or name the depth image's camera_info topic and publish the transform",
        )
    sizes = f"{metres.shape[1]}x{metres.shape[0]} and colour {rgb.shape[1]}x{rgb.shape[0]}"
    return InputError(
        "size_mismatch",
        f"depth is {sizes} pixels: turn on aligned depth in the driver, or name the depth image's "
        "camera_info topic",
    )


def _check_size(what: str, image: np.ndarray, camera: CameraModel) -> None:
    height, width = image.shape[:2]
    if (height, width) != (camera.height, camera.width):
        stated = f"{camera.width}x{camera.height} after ROI and binning"
        raise InputError(
            "bad_camera_info",
            f"the {what} image is {width}x{height} pixels and its camera_info says {stated}",
        )


def _within(points: np.ndarray, min_range: float, max_range: float) -> np.ndarray:
    """(H, W) whether a point is finite and at a distance within the range."""
    x, y, z = points[..., 0], points[..., 1], points[..., 2]
    with np.errstate(over="ignore", invalid="ignore"):
        squared = x * x
        squared += y * y
        squared += z * z
        farthest = min(float(max_range) ** 2, float(np.finfo(np.float32).max))
        return (squared >= float(min_range) ** 2) & (squared <= farthest)


def _sample(
    rgb: np.ndarray, camera: CameraModel, points: np.ndarray, depth_to_color: Any, spacing: float
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the points that the colour camera sees, and their colours.

    A point is hidden where another one is clearly nearer in the same cell of a depth buffer, whose
    cells are wide enough (``spacing``: colour pixels between depth pixels) to leave no gaps.
    """
    rotation = np.asarray(depth_to_color.rotation, np.float32)
    translation = np.asarray(depth_to_color.translation, np.float32)
    x, y, z = rotation @ points.T + translation[:, None]
    column, row = camera.project(x, y, z)
    height, width = rgb.shape[:2]
    with np.errstate(invalid="ignore"):
        inside = (column >= -0.5) & (column < width - 0.5) & (row >= -0.5) & (row < height - 0.5)
    candidates = np.flatnonzero(inside)
    column = (column[candidates] + 0.5).astype(np.int32)
    row = (row[candidates] + 0.5).astype(np.int32)
    distance = z[candidates]

    cell = max(1, int(np.ceil(HIDDEN_CELL * spacing)))
    place = (row // cell) * (width // cell + 1) + column // cell
    nearest = np.full((height // cell + 1) * (width // cell + 1), np.inf, np.float32)
    np.minimum.at(nearest, place, distance)
    shown = np.flatnonzero(
        distance <= nearest.take(place) * (1 + HIDDEN_SHARE) + np.float32(HIDDEN_METRES)
    )
    return candidates[shown], rgb.reshape(-1, 3).take(row[shown] * width + column[shown], axis=0)
