# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Colour images in the order of time: of a folder here, of a video elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from concerto_ros.files.data_error import DataError
from concerto_ros.files.listing import visible
from concerto_ros.posed.as_messages import file_message, header_of
from concerto_ros.sensors.images import decode_color

#: Endings of image files.
ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff")


class ColorImages(Protocol):
    """Colour images in the order of time.

    Attributes:
        path: The folder or file that they are in.
        names: By which depth and poses are found.
        seconds: (N,) float64, when each was taken; NaN where the name does not say it.
    """

    path: Path
    names: Sequence[str]
    seconds: np.ndarray

    def read(self, index: int) -> np.ndarray:
        """Read an image: (H, W, 3) uint8 RGB.

        Raises:
            InputError: It cannot be decoded.
            DataError: It cannot be read.
        """

    def files(self, index: int) -> tuple[Path, ...]:
        """The files that decide the content of an image."""

    def thinned(self, indices: Sequence[int]) -> ColorImages:
        """Only these images."""


class ImageFolder:
    """The images of a folder, in the order of the numbers in their names.

    Those in folders below it are taken where it has none itself.

    Args:
        path: The folder.

    Raises:
        DataError: It has no image.
    """

    def __init__(self, path: Path):
        paths = [file for file in path.glob("*") if file.suffix.lower() in ENDINGS]
        if not paths:
            paths = [file for file in path.rglob("*") if file.suffix.lower() in ENDINGS]
        found = sorted(visible(paths, path), key=lambda file: in_order(name_of(file, path)))
        if not found:
            raise DataError(f"{path}: holds no image, expected files {', '.join(ENDINGS)}")
        self._take(path, found)

    def _take(self, path: Path, found: Sequence[Path]) -> None:
        self.path, self._found = path, tuple(found)
        self.names: Sequence[str] = tuple(name_of(file, path) for file in found)
        self.seconds = np.array([_stamp(file.stem) for file in found])

    def read(self, index: int) -> np.ndarray:
        """Read an image; see :meth:`ColorImages.read`."""
        return decode_color(file_message(self._found[index], header_of(index)))

    def files(self, index: int) -> tuple[Path, ...]:
        """The file of an image."""
        return (self._found[index],)

    def thinned(self, indices: Sequence[int]) -> ImageFolder:
        """Only these images."""
        chosen = object.__new__(ImageFolder)
        chosen._take(self.path, [self._found[index] for index in indices])
        return chosen


def name_of(file: Path, root: Path) -> str:
    """Return the name by which files of one image are found: without ending, below ``root``."""
    return file.relative_to(root).with_suffix("").as_posix()


def in_order(name: str) -> tuple[int, float, str]:
    """Sort key: names that are numbers by their value, 2 before 10; then all others by text."""
    stamp = _stamp(name)
    return (1, 0.0, name) if np.isnan(stamp) else (0, stamp, name)


def _stamp(stem: str) -> float:
    """The number that a name is: a stamp in seconds, or one that counts; NaN for another name."""
    bare = stem.replace(".", "", 1)
    return float(stem) if bare.isascii() and bare.isdigit() else np.nan
