# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Depth images of files: 16 bit or float images, arrays of NumPy, and COLMAP's own depth maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from concerto_ros.files.data_error import DataError
from concerto_ros.files.error_text import in_words
from concerto_ros.files.listing import visible
from concerto_ros.files.numpy_file import read_npy
from concerto_ros.posed.color_images import name_of
from concerto_ros.sensors.images.files import read_file
from concerto_ros.sensors.images.raster import MAX_PIXELS
from concerto_ros.sensors.input_error import InputError

#: Endings of depth images.
ENDINGS = (".png", ".tif", ".tiff", ".npy")

#: Endings of COLMAP's depth maps, the better first: after and before the check by other images.
COLMAP_ENDINGS = (".geometric.bin", ".photometric.bin")

#: Metres of a unit of integers: millimetres.
MILLIMETRE = 0.001


class DepthFolder:
    """Depth images by the names of their colour images.

    Args:
        folder: Where they are, in folders like those of the colour images.
        unit: Metres of a unit; None: integers are millimetres and floats metres.

    Attributes:
        of_colmap: Whether they are COLMAP's, in the unit of its poses.

    Raises:
        DataError: There is none.
    """

    def __init__(self, folder: Path, unit: float | None = None):
        if unit is not None and not 0 < unit < np.inf:
            raise DataError(f"unit: got {unit}, expected metres above 0")
        if not folder.is_dir():
            raise DataError(f"{folder}: there is no such folder of depth images")
        self.folder, self.unit = folder, unit
        below = visible((path for path in folder.rglob("*") if path.is_file()), folder)
        self._paths = {
            name_of(path, folder): path for path in below if path.suffix.lower() in ENDINGS
        }
        self.of_colmap = not self._paths
        if self.of_colmap:
            for ending in reversed(COLMAP_ENDINGS):
                for path in below:
                    if path.name.endswith(ending):  # after the name of the image with its own
                        image = path.with_name(path.name.removesuffix(ending))
                        self._paths[name_of(image, folder)] = path
        if not self._paths:
            raise DataError(
                f"{folder}: holds no depth image, expected files {', '.join(ENDINGS)} or COLMAP's"
                f" {COLMAP_ENDINGS[0]}"
            )

    @property
    def names(self) -> list[str]:
        """Names of the images, sorted."""
        return sorted(self._paths)

    def find(self, name: str) -> Path | None:
        """Return the file of an image; None where there is none."""
        return self._paths.get(name)

    def read(self, path: Path) -> np.ndarray:
        """Read a depth image: (H, W) float32, metres, or of COLMAP in the unit of its poses.

        Raises:
            InputError: It cannot be decoded.
            DataError: It cannot be read, or is no depth image; names the file.
        """
        if self.of_colmap:
            return read_colmap_depth(path)
        if path.suffix.lower() == ".npy":
            try:
                pixels = np.squeeze(read_npy(path))
            except ValueError as error:
                raise InputError("malformed", str(error)) from None
        else:
            try:
                data = np.frombuffer(path.read_bytes(), np.uint8)
            except OSError as error:
                raise DataError(in_words(error)) from None
            pixels = read_file(data, path.suffix[1:].lower(), unchanged=True)
        if pixels.ndim != 2 or pixels.dtype.kind not in "uif" or pixels.dtype == np.uint8:
            raise DataError(
                f"{path}: {pixels.dtype.name} of shape {pixels.shape}, expected a depth image of"
                " one channel, 16 bit or floats"
            )
        unit = self.unit or (1.0 if pixels.dtype.kind == "f" else MILLIMETRE)
        return pixels.astype(np.float32) * np.float32(unit)


def read_colmap_depth(path: Path) -> np.ndarray:
    """Read a depth map of COLMAP's dense reconstruction: (H, W) float32, 0 where it is unknown.

    Raises:
        InputError: ``malformed``: it is cut short, or no depth map.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(in_words(error)) from None
    parts = content.split(b"&", 3)
    try:
        width, height, channels = (int(part) for part in parts[:3])
        body = parts[3]
    except (ValueError, IndexError):
        raise InputError(
            "malformed", f"{path}: no depth map of COLMAP, expected width&height&channels& first"
        ) from None
    if channels != 1 or not 0 < width * height <= MAX_PIXELS:
        got = f"{width}x{height} pixels of {channels} channels"
        raise InputError("malformed", f"{path}: {got}, expected a depth map of one channel")
    if len(body) != 4 * width * height:
        raise InputError(
            "malformed",
            f"{path}: {len(body)} bytes of depth, expected {4 * width * height} for"
            f" {width}x{height} pixels: the file is cut short or damaged",
        )
    return np.frombuffer(body, "<f4").reshape(height, width)
