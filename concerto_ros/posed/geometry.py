# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Depth, poses and intrinsics that a model predicted, of all images of a place together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from concerto_ros.files.data_error import DataError
from concerto_ros.files.numpy_file import read_npz
from concerto_ros.posed.color_images import ColorImages
from concerto_ros.posed.matrices import rigid, to_world
from concerto_ros.posed.posed_images import scaled
from concerto_ros.posed.views import Intrinsics, View

#: Names of the arrays, as programs write them: Depth Anything 3 (``--export-format npz`` and
#: ``mini_npz``), VGGT (``predictions.npz`` of its demo) and MapAnything (what ``infer`` returns).
DEPTH = ("depth", "depths", "depth_z", "depth_map")
TO_CAMERA = ("extrinsics", "extrinsic")  # world to camera
TO_WORLD = ("camera_poses", "poses", "pose", "cam2world")  # camera to world
INTRINSICS = ("intrinsics", "intrinsic")
CONFIDENCE = ("conf", "depth_conf", "confidence")
IMAGES = ("image", "images")

#: How far two arrays of the same poses may differ, in elements of rotations and, of positions,
#: relative to the farthest.
POSE_ERROR = 1e-3

EXPECTED = (
    "depth (N, H, W), extrinsics (N, 3, 4) from world to camera or camera_poses (N, 4, 4), and"
    " intrinsics (N, 3, 3)"
)


@dataclass(frozen=True, eq=False)
class Geometry:
    """What a model says of N images.

    Attributes:
        depth: (N, h, w) float32 along the optical axis; 0 or not finite where unknown.
        poses: (N, 4, 4) float64, camera (x right, y down, z forward) to world, in the unit of the
            depth; None: the model predicts none.
        intrinsics: (N, 3, 3) float64, pixels of the depth images; None: it predicts none.
        confidence: (N, h, w), larger is surer; None: none.
        images: (N, h, w, 3) uint8 RGB, the images as the model saw them; None: not kept.
    """

    depth: np.ndarray
    poses: np.ndarray | None
    intrinsics: np.ndarray | None
    confidence: np.ndarray | None = None
    images: np.ndarray | None = None


def read_geometry(path: Path) -> Geometry:
    """Read a ``.npz`` that a model's program wrote.

    Raises:
        DataError: An array is missing, or of another shape; names file and array.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            names = set(archive.files)
    except Exception:  # a damaged file raises almost anything; read_npz says it in words
        names = set()
    depth_name = _name(DEPTH, names)
    pose_names = [name for name in (*TO_WORLD, *TO_CAMERA) if name in names]
    intrinsics_name = _name(INTRINSICS, names)
    needed = [depth_name, *(pose_names or [""]), intrinsics_name]
    others = {"confidence": _name(CONFIDENCE, names), "images": _name(IMAGES, names)}
    wanted = [name for name in (*needed, *others.values()) if name]
    try:
        arrays = read_npz(path, wanted or None)
    except ValueError as error:
        raise DataError(str(error)) from None
    if not all(needed):
        raise DataError(
            f"{path}: holds the arrays {', '.join(sorted(names)) or 'none'}, expected {EXPECTED}"
        )
    depth = _shaped(arrays, depth_name, path)
    count, size = len(depth), depth.shape[1:]
    poses = _poses(arrays, pose_names, path, count)
    intrinsics = _shaped(arrays, intrinsics_name, path).astype(np.float64)
    if intrinsics.shape != (count, 3, 3):
        raise _wrong(path, intrinsics_name, intrinsics.shape, f"({count}, 3, 3), as depth has")
    confidence = images = None
    if name := others["confidence"]:
        confidence = _shaped(arrays, name, path)
        if confidence.shape != depth.shape:
            raise _wrong(path, name, confidence.shape, f"{depth.shape}, as depth has")
    if name := others["images"]:
        images = _pictures(arrays[name], path, name, (count, *size))
    return Geometry(depth, poses, intrinsics, confidence, images)


def geometry_views(
    geometry: Geometry,
    images: ColorImages | None,
    scale: float,
    where: str,
    least_confident: float = 0.0,
    files: tuple[Path, ...] = (),
    *,
    depth_unit: float | None = None,
    of_unit: str = "depth_unit scale",
) -> tuple[list[View], Counter[str]]:
    """Return the views of predicted geometry, and the number of those left out by reason.

    Args:
        geometry: With poses and intrinsics.
        images: The colour images, as many as the depth images; None: those that the geometry
            keeps.
        scale: Metres of a unit.
        where: The file or model, for messages.
        least_confident: Percent of all pixels that are left out, the least confident, and with
            them those whose confidence is NaN.
        files: The files that decide the content.
        depth_unit: Metres of a unit of depth; None: as of the poses.
        of_unit: As of :class:`~concerto_ros.posed.views.View`.

    Raises:
        DataError: There are more or fewer colour images than depth images, or pixels are to be
            left out and there is no confidence.
    """
    assert geometry.poses is not None and geometry.intrinsics is not None
    count = len(geometry.depth)
    kept = geometry.images
    names = [f"{number:06d}" for number in range(count)] if images is None else images.names
    if len(names) != count:
        raise DataError(
            f"{where}: depth of {count} images, but {images.path if images else where} has"
            f" {len(names)}: expected the images that the model saw (of a video Sources.fps or"
            " Sources.every choose them)"
        )
    threshold = -np.inf
    if least_confident:
        threshold = _threshold(geometry.confidence, least_confident, where)
    views: list[View] = []
    skipped: Counter[str] = Counter()
    for index, name in enumerate(names):
        if not np.isfinite(geometry.poses[index]).all():
            skipped["lost_pose"] += 1
            continue
        matrix = geometry.intrinsics[index]
        if not np.isfinite(matrix).all():
            raise DataError(f"{where}: intrinsics[{index}] hold a value that is not finite")
        if images is not None:
            color: Any = partial(images.read, index)
            of_image = images.files(index)
        else:
            assert kept is not None  # as read_geometry without images keeps them
            color, of_image = partial(_item, kept, index), ()
        views.append(
            View(
                name=name,
                pose=scaled(rigid(geometry.poses[index], f"{where}: [{index}]"), scale),
                intrinsics=Intrinsics(matrix, f"{where}: intrinsics[{index}]"),
                color=color,
                depth=partial(_metres, geometry, index, depth_unit or scale, threshold),
                where=f"{where}: depth[{index}]",
                files=(*of_image, *files),
                of_unit=of_unit,
            )
        )
    return views, skipped


def _threshold(confidence: np.ndarray | None, percent: float, where: str) -> float:
    """The confidence below which so many percent of the known ones are."""
    known = np.empty(0) if confidence is None else confidence[np.isfinite(confidence)]
    if not len(known):
        got = "says no confidence" if confidence is None else "no confidence of it is finite"
        raise DataError(
            f"Sources.least_confident: got {percent:g}, but {where} {got}: expected 0, or an array"
            f" {CONFIDENCE[0]} of the shape of depth"
        )
    return float(np.percentile(known, percent))


def _item(array: np.ndarray, index: int) -> np.ndarray:
    return array[index]


def _metres(geometry: Geometry, index: int, scale: float, threshold: float) -> np.ndarray:
    metres = geometry.depth[index].astype(np.float32) * np.float32(scale)
    if geometry.confidence is not None and np.isfinite(threshold):
        metres = np.where(geometry.confidence[index] >= threshold, metres, np.float32(np.nan))
    return metres


def _name(names: tuple[str, ...], given: Collection[str]) -> str:
    return next((name for name in names if name in given), "")


def _wrong(path: Path, name: str, got: object, expected: str) -> DataError:
    return DataError(f"{path}: {name}: got shape {got}, expected {expected}")


def _shaped(arrays: dict[str, np.ndarray], name: str, path: Path) -> np.ndarray:
    """An array of numbers with three dimensions, also where it is a batch of one."""
    array = arrays[name]
    if array.dtype.kind not in "fiu":
        raise DataError(f"{path}: {name}: got {array.dtype}, expected numbers")
    shape = array.shape
    if array.ndim > 3 and shape[-1] == 1:  # a channel of images
        array = array[..., 0]
    if array.ndim == 4 and len(array) == 1:
        array = array[0]
    if array.ndim != 3 or not array.size:
        raise _wrong(path, name, shape, EXPECTED)
    return array


def _poses(
    arrays: dict[str, np.ndarray], names: Sequence[str], path: Path, count: int
) -> np.ndarray:
    """The poses (N, 4, 4), camera to world, on which all arrays of poses agree."""
    first, *others = names
    poses = _poses_of(arrays, first, path, count)
    for name in others:
        if not _alike(poses, _poses_of(arrays, name, path, count)):
            raise DataError(
                f"{path}: {first} and {name}: got different poses, expected one of these arrays,"
                " or the same poses in both"
                f" ({' and '.join(TO_CAMERA)} are from world to camera, the others back)"
            )
    return poses


def _alike(poses: np.ndarray, others: np.ndarray) -> bool:
    """Whether poses (N, 4, 4) are the same but for rounding, relative to the size of the place."""
    positions = poses[:, :3, 3]
    size = np.abs(positions[np.isfinite(positions)]).max(initial=0.0)
    tolerance = np.array([POSE_ERROR] * 3 + [POSE_ERROR * size])
    return bool(np.isclose(poses, others, rtol=0, atol=tolerance, equal_nan=True).all())


def _poses_of(arrays: dict[str, np.ndarray], name: str, path: Path, count: int) -> np.ndarray:
    given = _shaped(arrays, name, path).astype(np.float64)
    if given.shape not in ((count, 3, 4), (count, 4, 4)):
        raise _wrong(path, name, given.shape, f"({count}, 3, 4) or ({count}, 4, 4), as depth has")
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, :3] = given[:, :3]
    return to_world(poses) if name in TO_CAMERA else poses


def _pictures(array: np.ndarray, path: Path, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Images of bytes, or of fractions, with their channels last or before height and width."""
    if array.ndim == 5 and len(array) == 1:
        array = array[0]
    if array.ndim == 4 and array.shape[1] == 3 and array.shape[3] != 3:
        array = array.transpose(0, 2, 3, 1)
    if array.shape != (*shape, 3):
        raise _wrong(path, name, array.shape, f"{(*shape, 3)}, as depth has")
    numbers, fractions = array.dtype.kind in "fiu", array.dtype.kind == "f"
    # Resampling may go beyond 0 to 1 a little; NaN is in no range.
    low, high = (-0.5, 1.5) if fractions else (0, 255)
    if not numbers or not (array.min() >= low and array.max() <= high):
        got = f" from {array.min():g} to {array.max():g}" if numbers else ""
        raise DataError(
            f"{path}: {name}: got {array.dtype}{got}, expected bytes from 0 to 255 or floats from"
            " 0 to 1"
        )
    if fractions:
        array = np.rint(np.clip(array, 0, 1) * 255)
    return array.astype(np.uint8)
