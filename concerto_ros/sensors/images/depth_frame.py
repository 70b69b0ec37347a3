# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Depth and colour images to :class:`Frame`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import numpy as np

from concerto_ros.sensors.camera_model import CameraCache, CameraModel
from concerto_ros.sensors.frame import Frame, OriginalPoints, rotated
from concerto_ros.sensors.free_space import DepthView
from concerto_ros.sensors.images import decode_color, decode_depth
from concerto_ros.sensors.images.decimation import behind, sufficient_decimation, used_pixels
from concerto_ros.sensors.input_error import InputError
from concerto_ros.sensors.message_fields import stamp_ns, text
from concerto_ros.sensors.no_reading import CAMERA_NO_READING, clearing_range
from concerto_ros.sensors.normals import organised_normals

#: Edge of the cells of the colour image in which a point that is clearly behind the nearest one is
#: occluded, in units of the distance between neighbouring depth pixels.
OCCLUSION_CELL = 1.5


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
    no_reading: Sequence[float] = CAMERA_NO_READING,
    decimation: int = 1,
    voxel_size: float = 0.0,
    color_rectified: bool | None = None,
    depth_rectified: bool | None = None,
    normals: bool = True,
    original: bool = False,
    cameras: CameraCache | None = None,
    watch: Callable[[str], AbstractContextManager] | None = None,
) -> Frame:
    """Make a frame of a depth image, coloured where there is a colour image.

    Depth that is not registered to colour keeps the points that the colour camera sees, as a
    driver's aligned depth would: points outside the colour image or occluded in it are left out.
    Colours of an encoding that is not decoded cost the frame only its colours.

    Args:
        color: Image or CompressedImage, or None for a depth camera alone.
        depth: Image or CompressedImage.
        info: CameraInfo of the colour image; of the depth image where ``color`` is None.
        depth_info: CameraInfo of the depth image, where it is not registered to colour.
        depth_to_color: Object with ``rotation`` (3, 3) and ``translation`` (3,) in metres that
            takes points from the depth image's frame into the colour image's; not needed where
            both images have the same frame.
        source: Name of the input, stored in the frame.
        min_range: Metres from the camera, inclusive.
        max_range: Metres from the camera, inclusive. A reading clearly beyond it is not part of
            the view: it clears nothing.
        no_reading: Depths in metres that mean "no reading" (see :func:`decode_depth`).
        decimation: Of each square of so many pixels each way one becomes a point, see
            :func:`~concerto_ros.sensors.images.decimation.used_pixels`; the view has all of them.
            0: :func:`~concerto_ros.sensors.images.decimation.sufficient_decimation`, and all
            pixels with ``original``.
        voxel_size: Metres, of the map; needed where ``decimation`` is 0.
        color_rectified: Whether the colour image is rectified; None: its camera_info tells (see
            :meth:`CameraModel.from_info`).
        depth_rectified: Whether the depth image is rectified; None: its camera_info tells, or it
            is registered to the colour image and is as that one.
        normals: Whether to estimate normals from the depth image.
        original: Whether the frame also holds its points in :attr:`Frame.original`.
        cameras: Caches the camera models between calls.
        watch: Times the stages ``decode`` and ``normals``.

    Returns:
        A frame in the depth image's ``frame_id`` at its stamp, points in row-major order.

    Raises:
        InputError: ``malformed``, ``unsupported``, ``too_large``, ``empty``, ``bad_camera_info``,
            ``not_registered`` (different frames) or ``size_mismatch`` (one frame, different
            sizes).
    """
    watch = watch or nullcontext
    with watch("decode"):
        stamp = stamp_ns(depth)
        frame_id = text(depth, "header.frame_id")
        metres = decode_depth(depth, no_reading)
        rgb, uncolored = _colors(color)
        cameras = CameraCache() if cameras is None else cameras
        if depth_info is None and depth_rectified is None:
            depth_rectified = color_rectified
        depth_camera = cameras.from_info(depth_info or info, rectified=depth_rectified)
        camera, registered = depth_camera, True
        if color is not None:
            color_frame = text(color, "header.frame_id")
            same_frame = _same_frame(color_frame, frame_id)
            same_size = rgb is None or rgb.shape[:2] == metres.shape
            if depth_info is None and not (same_frame and same_size):
                raise _not_registered(color_frame, frame_id, rgb, metres)
        if rgb is not None:
            camera = cameras.from_info(info, rectified=color_rectified)
            registered = same_frame and same_size and camera == depth_camera
            if not registered and depth_to_color is None:
                if not same_frame:
                    raise _not_registered(color_frame, frame_id, rgb, metres)
                depth_to_color = _Identity
        _check_size("depth", metres, depth_camera)

        distance = _distances(metres, depth_camera)
        if decimation == 0:
            decimation = 1 if original else sufficient_decimation(depth_camera, voxel_size)
        decimation = min(decimation, *metres.shape)
        with np.errstate(invalid="ignore"):
            within = (distance >= min_range) & (distance <= max_range)
        used = None
        if decimation > 1:
            used = used_pixels(np.where(within, metres, np.float32(np.inf)), decimation)
        points = _at(used, depth_camera.rays()) * _at(used, metres)[..., None]
        rows = np.flatnonzero(_at(used, within))
        colors = None
        if rgb is not None and registered:
            colors = _at(used, rgb).reshape(-1, 3).take(rows, axis=0)
        elif rgb is not None:
            _check_size("colour", rgb, camera)
            seen = _pixels(points.reshape(-1, 3).take(rows, axis=0), camera, depth_to_color)
            hiding = seen
            if used is not None:  # every pixel may hide a point
                every = depth_camera.rays()[within] * metres[within, None]
                hiding = _pixels(every, camera, depth_to_color)
            visible = _visible(seen, hiding, camera, camera.fx / depth_camera.fx)
            rows, colors = rows[seen.points[visible]], rgb[seen.row[visible], seen.column[visible]]
        if len(rows) == 0:
            raise InputError(
                "empty",
                f"depth: got no pixel within {min_range} to {max_range} m, expected at least one",
            )
        kept = points.reshape(-1, 3).take(rows, axis=0)

    directions = None
    if normals:
        with watch("normals"):
            directions = organised_normals(points, decimation, distance)
            directions = directions.reshape(-1, 3).take(rows, axis=0)
    return Frame(
        points=kept,
        stamp=stamp,
        frame_id=frame_id,
        source=source,
        colors=colors,
        normals=directions,
        view=DepthView(depth_camera, _up_to(clearing_range(max_range), metres, distance)),
        decimation=decimation,
        original=OriginalPoints(kept, (1, len(kept)), stamp, frame_id) if original else None,
        uncolored=uncolored,
    )


def _colors(image: Any | None) -> tuple[np.ndarray | None, str]:
    """Return the colours of an image, and why there are none if its encoding is not decoded."""
    if image is None:
        return None, ""
    try:
        return decode_color(image), ""
    except InputError as error:
        if error.reason != "unsupported":
            raise
        return None, str(error)


class _Identity:
    """The transform between a colour and a depth image of one frame."""

    rotation = np.eye(3)
    translation = np.zeros(3)


def _same_frame(first: str, second: str) -> bool:
    return first.lstrip("/") == second.lstrip("/")


def _not_registered(
    color_frame: str, frame_id: str, rgb: np.ndarray | None, metres: np.ndarray
) -> InputError:
    if rgb is None or not _same_frame(color_frame, frame_id):
        return InputError(
            "not_registered",
            f"got depth in frame '{frame_id}' and colour in '{color_frame}', expected one frame:"
            " turn on aligned depth in the driver, or name the depth image's camera_info topic"
            " and publish the transform",
        )
    sizes = f"{metres.shape[1]}x{metres.shape[0]} and colour {rgb.shape[1]}x{rgb.shape[0]}"
    return InputError(
        "size_mismatch",
        f"got depth of {sizes} pixels, expected one size: turn on aligned depth in the driver, or"
        " name the depth image's camera_info topic",
    )


def _check_size(what: str, image: np.ndarray, camera: CameraModel) -> None:
    height, width = image.shape[:2]
    if (height, width) != (camera.height, camera.width):
        raise InputError(
            "bad_camera_info",
            f"{what} image: got {width}x{height} pixels, expected {camera.width}x{camera.height}"
            " as in its camera_info after ROI and binning",
        )


def _distances(metres: np.ndarray, camera: CameraModel) -> np.ndarray:
    """Return the distance (H, W) of each reading of a depth image from the camera, metres."""
    with np.errstate(invalid="ignore", over="ignore"):
        return metres * camera.ray_lengths()


def _at(used: np.ndarray | None, image: np.ndarray) -> np.ndarray:
    """Return the values of an image (H, W, ...) at the indices of pixels (h, w); None: all."""
    if used is None:
        return image
    return image.reshape(-1, *image.shape[2:]).take(used, axis=0)


def _up_to(farthest: float, metres: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Return the depth image (H, W) with NaN beyond a distance from the camera."""
    with np.errstate(invalid="ignore"):
        beyond = distance > farthest
    return np.where(beyond, np.float32(np.nan), metres) if beyond.any() else metres


class _Pixels(NamedTuple):
    """Where n points lie in an image.

    Attributes:
        points: (n,) rows of the points that lie in it.
        row: (n,) int32.
        column: (n,) int32.
        distance: (n,) float32, metres along the optical axis.
    """

    points: np.ndarray
    row: np.ndarray
    column: np.ndarray
    distance: np.ndarray


def _pixels(points: np.ndarray, camera: CameraModel, to_camera: Any) -> _Pixels:
    """Project points (N, 3) into the image of a camera."""
    translation = np.asarray(to_camera.translation, np.float32)
    turned = rotated(points, np.asarray(to_camera.rotation))
    x, y, z = np.ascontiguousarray(turned.T) + translation[:, None]
    column, row = camera.project(x, y, z)
    with np.errstate(invalid="ignore"):
        inside = (column >= -0.5) & (column < camera.width - 0.5)
        inside &= (row >= -0.5) & (row < camera.height - 0.5)
    found = np.flatnonzero(inside)
    row, column = ((value[found] + 0.5).astype(np.int32) for value in (row, column))
    return _Pixels(found, row, column, z[found])


def _visible(seen: _Pixels, hiding: _Pixels, camera: CameraModel, spacing: float) -> np.ndarray:
    """Return the positions in ``seen`` of the points that none of ``hiding`` hides.

    A point is occluded where another one is clearly nearer in the same cell of a depth buffer,
    whose cells are wide enough (``spacing``: colour pixels between depth pixels) to leave no gaps.
    """
    cell = max(1, int(np.ceil(OCCLUSION_CELL * spacing)))
    width, height = camera.width // cell + 1, camera.height // cell + 1

    def cells(pixels: _Pixels) -> np.ndarray:
        return (pixels.row // cell) * width + pixels.column // cell

    nearest = np.full(height * width, np.inf, np.float32)
    np.minimum.at(nearest, cells(hiding), hiding.distance)
    return np.flatnonzero(seen.distance <= behind(nearest.take(cells(seen))))
