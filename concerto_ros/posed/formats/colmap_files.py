# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Models of COLMAP: ``cameras``, ``images`` and ``points3D``, as text or binary.

The formats are described at https://colmap.github.io/format.html.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from concerto_ros.files.data_error import DataError
from concerto_ros.files.error_text import in_words, one_line
from concerto_ros.posed.matrices import pinhole_matrix, to_world
from concerto_ros.posed.poses import matrix_of


class _Model(NamedTuple):
    """A camera model: its name, how many numbers it has, and how they become a CameraInfo's."""

    name: str
    focals: int
    distortion_model: str
    slots: tuple[int, ...]
    length: int

    @property
    def numbers(self) -> int:
        return self.focals + 2 + len(self.slots)


#: Camera models by their number in binary files. ``slots``: where in the distortion of a
#: CameraInfo each of the model's own numbers belongs.
_MODELS = {
    0: _Model("SIMPLE_PINHOLE", 1, "", (), 0),
    1: _Model("PINHOLE", 2, "", (), 0),
    2: _Model("SIMPLE_RADIAL", 1, "plumb_bob", (0,), 5),
    3: _Model("RADIAL", 1, "plumb_bob", (0, 1), 5),
    4: _Model("OPENCV", 2, "plumb_bob", (0, 1, 2, 3), 5),
    5: _Model("OPENCV_FISHEYE", 2, "equidistant", (0, 1, 2, 3), 4),
    6: _Model("FULL_OPENCV", 2, "rational_polynomial", (0, 1, 2, 3, 4, 5, 6, 7), 8),
    8: _Model("SIMPLE_RADIAL_FISHEYE", 1, "equidistant", (0,), 4),
    9: _Model("RADIAL_FISHEYE", 1, "equidistant", (0, 1), 4),
}
_BY_NAME = {model.name: model for model in _MODELS.values()}


@dataclass(frozen=True, eq=False)
class ColmapCamera:
    """A camera.

    Attributes:
        size: (height, width) of its images, pixels.
        matrix: (3, 3), pixels; the middle of the first pixel is at (0, 0), which COLMAP has at
            (0.5, 0.5).
        distortion_model: Of a CameraInfo; empty: none.
        distortion: Likewise.
    """

    size: tuple[int, int]
    matrix: np.ndarray
    distortion_model: str
    distortion: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class ColmapImage:
    """A registered image.

    Attributes:
        name: Its path below the folder of images.
        camera: Number of its camera.
        pose: (4, 4), camera to world, in COLMAP's unit.
        pixels: (P, 2), column and row of the points it sees, as in :class:`ColmapCamera`.
        points: (P,) int64, their numbers.
    """

    name: str
    camera: int
    pose: np.ndarray
    pixels: np.ndarray
    points: np.ndarray


@dataclass(frozen=True, eq=False)
class ColmapModel:
    """A sparse model.

    Attributes:
        folder: Where its files are.
        cameras: By their numbers.
        images: In the order of the file.
        points: (3,) of each point, by its number; empty without ``points3D``.
    """

    folder: Path
    cameras: dict[int, ColmapCamera]
    images: list[ColmapImage]
    points: dict[int, np.ndarray]


def is_colmap(folder: Path) -> bool:
    """Whether a folder holds the cameras and images of a model."""
    return any(_has(folder, ending) for ending in ("bin", "txt"))


def read_colmap(folder: Path) -> ColmapModel:
    """Read a model; the binary files where there are both.

    Raises:
        DataError: A file is damaged or names what is not there; names file and field.
    """
    ending = "bin" if _has(folder, "bin") else "txt"
    cameras, images, points = (
        folder / f"{name}.{ending}" for name in ("cameras", "images", "points3D")
    )
    read = _BINARY if ending == "bin" else _TEXT
    model = ColmapModel(
        folder,
        dict(_checked(cameras, read[0])),
        list(_checked(images, read[1])),
        dict(_checked(points, read[2])) if points.is_file() else {},
    )
    for image in model.images:
        if image.camera not in model.cameras:
            raise DataError(
                f"{images}: image {image.name}: camera {image.camera}, expected one of"
                f" {cameras.name}: {', '.join(map(str, model.cameras)) or 'none'}"
            )
    return model


def _has(folder: Path, ending: str) -> bool:
    return all((folder / f"{name}.{ending}").is_file() for name in ("cameras", "images"))


def _checked(path: Path, read) -> list:
    try:
        return list(read(path))
    except OSError as error:
        raise DataError(in_words(error)) from None
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    except (ValueError, LookupError, struct.error, OverflowError) as error:
        raise DataError(f"{path}: {one_line(error)}: damaged, or of another format") from None


def _camera(model: _Model | None, got: object, size: tuple[int, int], numbers) -> ColmapCamera:
    if model is None:
        raise DataError(
            f"camera model {got}, expected {', '.join(_BY_NAME)}: undistort the images first"
            " (colmap image_undistorter)"
        )
    if min(size) < 1:
        raise DataError(f"camera of {size[1]}x{size[0]} pixels, expected at least 1x1")
    values = [float(number) for number in numbers]
    if len(values) != model.numbers or not np.isfinite(values).all():
        raise DataError(
            f"camera model {model.name} with the numbers {values}, expected {model.numbers} finite"
        )
    focals, (cx, cy) = values[: model.focals], values[model.focals : model.focals + 2]
    matrix = pinhole_matrix(focals[0], focals[-1], cx - 0.5, cy - 0.5)
    distortion = [0.0] * model.length
    for slot, value in zip(model.slots, values[model.focals + 2 :], strict=True):
        distortion[slot] = value
    if not any(distortion):
        return ColmapCamera(size, matrix, "", ())
    return ColmapCamera(size, matrix, model.distortion_model, tuple(distortion))


def _image(name: str, camera: int, pose, pixels: np.ndarray, points: np.ndarray) -> ColmapImage:
    """Make an image of COLMAP's world-to-camera quaternion (w, x, y, z) and translation."""
    if not PurePosixPath(name).name:
        raise DataError(f"image name {name!r}, expected that of a file below the folder of images")
    qw, qx, qy, qz, *translation = (float(number) for number in pose)
    to_camera = matrix_of((qx, qy, qz, qw), translation)
    (pose_in_world,) = to_world(to_camera[None])
    seen = points >= 0
    return ColmapImage(name, camera, pose_in_world, pixels[seen] - 0.5, points[seen])


def _lines(path: Path, *, blank: bool = False) -> Iterator[list[str]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#") and (blank or line.strip()):
            yield line.split()


def _text_cameras(path: Path) -> Iterator[tuple[int, ColmapCamera]]:
    for number, name, width, height, *numbers in _lines(path):
        size = int(height), int(width)
        yield int(number), _camera(_BY_NAME.get(name), name, size, numbers)


def _text_images(path: Path) -> Iterator[ColmapImage]:
    lines = _lines(path, blank=True)  # the line of an image without points is empty
    for words in lines:
        if not words:
            continue
        pose, camera, name = words[1:8], int(words[8]), " ".join(words[9:])
        seen = np.array(next(lines, []), np.float64).reshape(-1, 3)
        yield _image(name, camera, pose, seen[:, :2], seen[:, 2].astype(np.int64))


def _text_points(path: Path) -> Iterator[tuple[int, np.ndarray]]:
    for number, x, y, z, *_ in _lines(path):
        yield int(number), np.array([float(x), float(y), float(z)])


class _Bytes:
    """A binary file that is read from its beginning."""

    def __init__(self, path: Path):
        self._content, self._at = path.read_bytes(), 0

    def take(self, form: str) -> tuple:
        values = struct.unpack_from(f"<{form}", self._content, self._at)
        self._at += struct.calcsize(f"<{form}")
        return values

    def rows(self, dtype: np.dtype, count: int) -> np.ndarray:
        rows = np.frombuffer(self._content, dtype, count, self._at)
        self._at += rows.nbytes
        return rows

    def name(self) -> str:
        end = self._content.index(b"\0", self._at)
        text, self._at = self._content[self._at : end].decode("utf-8"), end + 1
        return text


def _binary_cameras(path: Path) -> Iterator[tuple[int, ColmapCamera]]:
    content = _Bytes(path)
    for _ in range(content.take("Q")[0]):
        number, kind, width, height = content.take("iiQQ")
        model = _MODELS.get(kind)
        numbers = content.take(f"{model.numbers}d") if model else ()
        yield number, _camera(model, kind, (height, width), numbers)


_SEEN = np.dtype([("pixel", "<f8", 2), ("point", "<i8")])


def _binary_images(path: Path) -> Iterator[ColmapImage]:
    content = _Bytes(path)
    for _ in range(content.take("Q")[0]):
        _, *pose, camera = content.take("I7dI")
        name = content.name()
        seen = content.rows(_SEEN, content.take("Q")[0])
        yield _image(name, camera, pose, seen["pixel"], seen["point"])


def _binary_points(path: Path) -> Iterator[tuple[int, np.ndarray]]:
    content = _Bytes(path)
    for _ in range(content.take("Q")[0]):
        number, x, y, z, *_, seen = content.take("Q3d3BdQ")
        content.rows(np.dtype("<u8"), seen)  # the track: where it was seen
        yield number, np.array([x, y, z])


_TEXT = (_text_cameras, _text_images, _text_points)
_BINARY = (_binary_cameras, _binary_images, _binary_points)
