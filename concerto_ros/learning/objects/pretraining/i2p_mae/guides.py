# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Where the guidance of clouds comes from: an image model at hand, or files of its features."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from concerto_ros.files.atomic_write import replacing
from concerto_ros.files.digest import digest
from concerto_ros.files.numpy_file import read_npz
from concerto_ros.learning.images.image_models import ImageModel
from concerto_ros.learning.objects.data.shape_set import ShapeSet
from concerto_ros.learning.objects.pretraining.i2p_mae.network import Guidance
from concerto_ros.learning.objects.pretraining.i2p_mae.projection import (
    VIEWS,
    depth_images,
    pixels_of,
)
from concerto_ros.objects.encoders.shared.preprocess import unit_sphere


class Guide(ABC):
    """Guides clouds of the shapes of a set.

    Attributes:
        channels: C, of the features of a patch.
    """

    channels: int

    @abstractmethod
    def guide(self, rows: list[int], drawn: torch.Tensor, points: torch.Tensor) -> Guidance:
        """Return the guidance of clouds, on the device of ``points``.

        Args:
            rows: B positions of shapes in the set.
            drawn: (B, N, 3) the points as they are stored.
            points: (B, N, 3) the same points as the network takes them, augmented.
        """

    @abstractmethod
    def identity(self) -> Any:
        """Tell this guide from others, for a run that resumes."""


class ImageGuide(Guide):
    """Depth images of the augmented clouds, seen by an image model, as published."""

    def __init__(self, model: ImageModel):
        self.model, self.channels = model, model.channels

    def guide(self, rows: list[int], drawn: torch.Tensor, points: torch.Tensor) -> Guidance:
        """See :meth:`Guide.guide`."""
        pixels = pixels_of(points)
        return Guidance(pixels, *self.model(depth_images(points, pixels)))

    def identity(self) -> Any:
        """See :meth:`Guide.identity`."""
        return [self.model.name, self.model.identity]


class FileGuide(Guide):
    """What an image model said of each shape before it was augmented, one file for each shape.

    ``<name of the shape>.npz`` has ``features`` (V, C, h, w) and ``saliency`` (V, h, w) of its
    V = 3 depth images, see :func:`write_feature_files`.

    Args:
        folder: Folder of the files.
        shapes: The set.

    Raises:
        ValueError: If a shape has no file, or the first file is wrong; the text names the file and
            the array.
    """

    def __init__(self, folder: Path, shapes: ShapeSet):
        self.folder, self.shapes = Path(folder), shapes
        lacking = [name for name in shapes.ids if not self._path(name).is_file()]
        if lacking:
            raise ValueError(
                f"{self._path(lacking[0])} is missing, expected a file of image features for each"
                f" of {len(shapes)} shapes, of which {len(lacking)} have none"
            )
        content = read_npz(self._path(shapes.ids[0]), ("features", "saliency"))
        self._sizes = content["features"].shape[1:]
        first, _ = self._read(0)
        self.channels, self._first = len(first[0]), digest([first])
        self._corners: dict[int, torch.Tensor] = {}

    def guide(self, rows: list[int], drawn: torch.Tensor, points: torch.Tensor) -> Guidance:
        """See :meth:`Guide.guide`."""
        corners = torch.stack([self._corners_of(row) for row in rows])
        pixels = pixels_of(drawn, corners)
        features, saliency = zip(*(self._read(row) for row in rows), strict=True)
        stacked = (torch.from_numpy(np.stack(part, 1)) for part in (features, saliency))
        return Guidance(*(part.to(points.device) for part in (pixels, *stacked)))

    def identity(self) -> Any:
        """See :meth:`Guide.identity`."""
        return ["files", list(self._sizes), self._first]

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.npz"

    def _read(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        path = self._path(self.shapes.ids[row])
        content = read_npz(path, ("features", "saliency"))
        expected = (len(VIEWS), *self._sizes)
        if len(expected) != 4 or content["features"].shape != expected:
            raise ValueError(
                f"{path}: 'features' has shape {content['features'].shape}, expected"
                f" ({len(VIEWS)}, channels, h, w), the same in all files"
            )
        if content["saliency"].shape != (len(VIEWS), *expected[2:]):
            raise ValueError(
                f"{path}: 'saliency' has shape {content['saliency'].shape}, expected"
                f" {(len(VIEWS), *expected[2:])} as 'features' has"
            )
        arrays = tuple(content[name].astype(np.float32) for name in ("features", "saliency"))
        for name, array in zip(("features", "saliency"), arrays, strict=True):
            if not np.isfinite(array).all():
                raise ValueError(f"{path}: '{name}' is not finite, expected finite numbers")
        return arrays[0], arrays[1]

    def _corners_of(self, row: int) -> torch.Tensor:
        """Return (2, 3) the lowest and the highest coordinates of a shape."""
        if row not in self._corners:
            points = torch.from_numpy(self.shapes.read(row))
            self._corners[row] = torch.stack([points.amin(0), points.amax(0)])
        return self._corners[row]


def write_feature_files(
    shapes: ShapeSet,
    model: ImageModel,
    folder: Path,
    *,
    points: int,
    device: torch.device | str = "cpu",
    progress: bool = False,
) -> None:
    """Write what an image model says of each shape, for :class:`FileGuide`, in float16.

    Files that are there are kept, so that a run that was killed goes on.

    Args:
        shapes: The shapes.
        model: The image model.
        folder: Where the files go.
        points: Points that are drawn of each shape.
        device: Where the model runs.
        progress: Whether to show a progress bar.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for row, name in enumerate(tqdm(shapes.ids, disable=not progress, unit="shape")):
        path = folder / f"{name}.npz"
        if path.is_file():
            continue
        generator = torch.Generator().manual_seed(row)
        drawn = shapes.sample([row], points, generator).to(device)
        whole = torch.from_numpy(shapes.read(row)).unsqueeze(0).to(device)
        images = depth_images(unit_sphere(drawn), pixels_of(drawn, whole))
        features, saliency = (part[:, 0].cpu().numpy() for part in model(images))
        with replacing(path) as partial, partial.open("wb") as file:
            np.savez(file, features=features.astype(np.float16), saliency=saliency)
