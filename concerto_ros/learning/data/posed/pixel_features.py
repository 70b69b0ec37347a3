# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Vectors of pixels: feature images of any 2D model in files, and how a pixel is looked up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch.nn import functional

from concerto_ros.files.numpy_file import read_npy
from concerto_ros.learning.data.label_map import DataError

#: Pixels that are looked up at once.
PIXELS = 16_384


class PixelFeatures(Protocol):
    """Feature images of the images of scenes, all of one width."""

    @property
    def width(self) -> int:
        """D, the number of channels of a vector."""

    def identity(self, scene: str, frame: str) -> str:
        """What decides the feature image of an image; empty where there is none."""

    def of(self, scene: str, frame: str, image: Callable[[], np.ndarray]) -> torch.Tensor:
        """The feature image of an image.

        Args:
            scene: Name of the scene.
            frame: Name of the image; it has an :meth:`identity`.
            image: Reads the image, (H, W, 3) uint8.

        Returns:
            (H', W', D) float, of any size: its corners are those of the image.
        """


class FolderFeatures:
    """Feature images of a folder: ``<scene>/<frame>.npy``; of one scene also ``<frame>.npy``.

    Args:
        root: The folder.
        alone: Whether there is one scene only.

    Raises:
        DataError: There is no .npy, or the first is no feature image; names file and field.
    """

    def __init__(self, root: Path, alone: bool):
        self.root, self.alone = Path(root), alone
        files = sorted(self.root.rglob("*.npy")) if self.root.is_dir() else []
        if not files:
            raise DataError(
                f"{self.root}: no feature images found, expected <scene>/<frame>.npy, arrays"
                " (height, width, channels)"
            )
        self._first = files[0]
        self._width: int | None = None
        self._width = self._read(self._first).shape[2]

    @property
    def width(self) -> int:
        """D, the number of channels of a vector."""
        assert self._width is not None  # as set by __init__
        return self._width

    def identity(self, scene: str, frame: str) -> str:
        """Size and time of the file; empty where there is none."""
        path = self._file(scene, frame)
        if path is None:
            return ""
        status = path.stat()
        return f"{path.name} {status.st_size} {status.st_mtime_ns}"

    def of(self, scene: str, frame: str, image: Callable[[], np.ndarray]) -> torch.Tensor:
        """See :meth:`PixelFeatures.of`. Raises DataError naming file and field."""
        path = self._file(scene, frame)
        assert path is not None  # it has an identity
        return torch.from_numpy(self._read(path).astype(np.float32))

    def _file(self, scene: str, frame: str) -> Path | None:
        places = [self.root / scene, *([self.root] if self.alone else [])]
        files = (place / f"{frame}.npy" for place in places)
        return next((path for path in files if path.is_file()), None)

    def _read(self, path: Path) -> np.ndarray:
        try:
            array = read_npy(path)
        except ValueError as error:
            raise DataError(str(error)) from None
        if array.ndim != 3 or not array.size or array.dtype.kind != "f":
            raise DataError(
                f"{path}: {array.dtype} of shape {array.shape}, expected floats of shape (height,"
                " width, channels)"
            )
        if self._width not in (None, array.shape[2]):
            hint = ""
            if array.shape[0] == self._width:
                hint = "; it looks channels-first: save array.transpose(1, 2, 0)"
            raise DataError(
                f"{path}: {array.shape[2]} channels, expected {self._width} as in"
                f" {self._first.name}{hint}"
            )
        return array


def vectors_at(features: torch.Tensor, pixels: np.ndarray, size: tuple[int, int]) -> torch.Tensor:
    """Look up pixels of an image in its feature image, between the cells by their distance.

    Args:
        features: (H', W', D); cells with a value that is not finite count as missing.
        pixels: (M, 2 or more) integers, x and y.
        size: Height and width of the image.

    Returns:
        (M, D) float32 unit vectors; zeros where the cells around are zero or missing.
    """
    features = features.float()
    usable = torch.isfinite(features).all(dim=2, keepdim=True)
    features = torch.where(usable, features, 0.0)
    rows, columns = features.shape[:2]
    parts = []
    for part in torch.from_numpy(np.ascontiguousarray(pixels[:, :2])).split(PIXELS):
        left, to_right = _cell(part[:, 0], size[1], columns)
        top, to_bottom = _cell(part[:, 1], size[0], rows)
        right, bottom = (left + 1).clamp_max(columns - 1), (top + 1).clamp_max(rows - 1)
        upper = torch.lerp(features[top, left], features[top, right], to_right)
        lower = torch.lerp(features[bottom, left], features[bottom, right], to_right)
        parts.append(functional.normalize(torch.lerp(upper, lower, to_bottom), dim=1))
    return torch.cat(parts) if parts else features.new_zeros(0, features.shape[2])


def _cell(pixel: torch.Tensor, pixels: int, cells: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The cell at or below each pixel along an axis, and (M, 1) the share of the next one."""
    place = ((pixel.double() + 0.5) * cells / pixels - 0.5).clamp(0, cells - 1)
    low = place.floor()
    return low.long(), (place - low).float()[:, None]
