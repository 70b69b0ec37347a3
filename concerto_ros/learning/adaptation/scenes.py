# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a pre-training learns from: clouds, their frames, and the images that see their points."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from concerto_ros.files.digest import digest
from concerto_ros.files.torch_file import read_tensors, write_file
from concerto_ros.learning.adaptation.scene_frames import CloudFrames, ImageFrames
from concerto_ros.learning.data.labelled_scan import Scan, Scans
from concerto_ros.learning.data.lazy_sequence import LazySequence
from concerto_ros.learning.data.posed.pixel_features import PixelFeatures
from concerto_ros.learning.data.posed.point_map import PointMap
from concerto_ros.learning.data.posed.pointcept_splits import PointceptMap
from concerto_ros.learning.pretraining.correspondence import Crop, patches_of_points

#: Bytes of scenes that stay in memory.
KEPT_BYTES = 2 << 30


@dataclass(frozen=True, eq=False)
class SceneImages:
    """The images of a point map, and the vectors of their patches.

    Attributes:
        found: Points and the pixels that see them.
        pixels: Feature images.
        read: Reads an image by its name, (H, W, 3) uint8.
        most: Patches along an edge of an image at most; finer feature images are averaged.
        cache: Folder of the vectors.
    """

    found: PointMap | PointceptMap
    pixels: PixelFeatures
    read: Callable[[str], np.ndarray]
    most: int
    cache: Path

    @cached_property
    def frames(self) -> list[int]:
        """Positions of the images that have a feature image."""
        names = enumerate(self.found.frames)
        return [at for at, name in names if self.pixels.identity(self.found.name, name)]

    def places(self, chosen: Sequence[int], points: int, grid: tuple[int, int]) -> np.ndarray:
        """Where points are seen among the patches of some images, (points, I, 2)."""
        files, crops = [], []
        for at in chosen:
            height, width = self.found.sizes[at]
            files.append(self.found.pixels(self.found.frames[at]))
            crops.append(Crop(0, 0, width, height, grid))
        return patches_of_points(files, points, crops)

    def vectors(self, at: int, grid: tuple[int, int] | None = None) -> torch.Tensor:
        """The vectors of the patches of an image.

        Args:
            at: Its position.
            grid: Rows and columns; None: those of its feature image, or fewer.

        Returns:
            (rows, columns, D) float32; without values that are not finite.
        """
        name = self.found.frames[at]
        identity = self.pixels.identity(self.found.name, name)
        key = digest([self.found.folder.name, self.found.name, name, identity, str(self.most)])
        path = self.cache / f"{key}.pt"
        if path.is_file():
            values = read_tensors(path)["vectors"].float()
        else:
            values = self.pixels.of(self.found.name, name, partial(self.read, name)).float()
            values = _averaged(torch.nan_to_num(values, 0.0, 0.0, 0.0), self._fewer(values))
            write_file(path, {"vectors": values.half()})
            values = values.half().float()
        return values if grid is None else _averaged(values, grid)

    def _fewer(self, values: torch.Tensor) -> tuple[int, int]:
        rows, columns = values.shape[:2]
        return min(rows, self.most), min(columns, self.most)


def _averaged(values: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
    if tuple(values.shape[:2]) == grid:
        return values
    planes = functional.adaptive_avg_pool2d(values.permute(2, 0, 1)[None], grid)
    return planes[0].permute(1, 2, 0).contiguous()


@dataclass(frozen=True, eq=False)
class Scene:
    """A cloud without labels.

    Attributes:
        scan: The cloud, with normals.
        images: The images that see it, with vectors of their patches; None: they are not used.
        frames: The frames that it was made of; None: they are not known.
    """

    scan: Scan
    images: SceneImages | None = None
    frames: CloudFrames | ImageFrames | None = None


class KeptScenes(LazySequence[Scene]):
    """Scenes without images that stay in memory while they fit; subclasses make them."""

    def __init__(self) -> None:
        self._kept: dict[int, Scene] = {}
        self._free = KEPT_BYTES

    @abstractmethod
    def make(self, index: int) -> Scene:
        """The scene at ``index``, anew."""

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """By name, what must be equal for a training to resume with these scenes."""

    def read_item(self, index: int) -> Scene:
        """The scene at ``index``, from memory while it fits."""
        if index in self._kept:
            return self._kept[index]
        scene = self.make(index)
        self._free -= 40 * len(scene.scan)
        if self._free >= 0:
            self._kept[index] = scene
        return scene


class ScanScenes(KeptScenes):
    """Scans as scenes without images; their labels are not read.

    Args:
        scans: The scans, with normals.
        identity: By name, what must be equal for a training to resume.
    """

    def __init__(self, scans: Scans, identity: dict[str, Any]):
        super().__init__()
        self._scans, self._identity = scans, identity

    def __len__(self) -> int:
        return len(self._scans)

    def identity(self) -> dict[str, Any]:
        """By name, what must be equal for a training to resume with these scenes."""
        return self._identity

    def make(self, index: int) -> Scene:
        """The scene of the scan at ``index``."""
        return Scene(replace(self._scans[index], name_ids=None, names=()))


class ImagedScenes(LazySequence[Scene]):
    """Point maps as scenes with images.

    Args:
        maps: The maps.
        images: The images of each map; None: they are not used.

    Attributes:
        images: Likewise; empty where they are not used.
    """

    def __init__(
        self, maps: Sequence[PointMap | PointceptMap], images: Sequence[SceneImages] | None
    ):
        self._maps, self.images = maps, images or ()

    def __len__(self) -> int:
        return len(self._maps)

    def identity(self) -> dict[str, Any]:
        """By name, what must be equal for a training to resume with these scenes."""
        features = [
            images.pixels.identity(images.found.name, name)
            for images in self.images
            for name in images.found.frames
        ]
        maps = [f"{found.folder.name} {found.name}" for found in self._maps]
        return {"maps": maps, "images": digest(features)}

    def read_item(self, index: int) -> Scene:
        """The scene at ``index``."""
        found = self._maps[index]
        images = self.images[index] if self.images else None
        return Scene(found.scan(), images, ImageFrames(found))


class JoinedScenes(LazySequence[Scene]):
    """The scenes of several sequences, one after the other.

    Args:
        parts: The sequences.

    Attributes:
        images: Those of all scenes that have any.
    """

    def __init__(self, parts: Sequence[KeptScenes | ImagedScenes]):
        self._parts = parts
        imaged = [part for part in parts if isinstance(part, ImagedScenes)]
        self.images = [images for part in imaged for images in part.images]
        self._rows = [(part, row) for part in parts for row in range(len(part))]

    def __len__(self) -> int:
        return len(self._rows)

    def identity(self) -> dict[str, Any]:
        """By name, what must be equal for a training to resume with these scenes."""
        return {f"data {at}": str(part.identity()) for at, part in enumerate(self._parts)}

    def read_item(self, index: int) -> Scene:
        """The scene at ``index``."""
        part, row = self._rows[index]
        return part[row]


class SomeScenes(LazySequence[Scene]):
    """Some of the scenes of a sequence.

    Args:
        scenes: All.
        rows: Positions of those that are taken.

    Attributes:
        images: Those of all scenes, also of the others.
    """

    def __init__(self, scenes: JoinedScenes, rows: Sequence[int]):
        self._scenes, self._rows = scenes, list(rows)
        self.images = scenes.images

    def __len__(self) -> int:
        return len(self._rows)

    def identity(self) -> dict[str, Any]:
        """By name, what must be equal for a training to resume with these scenes."""
        return self._scenes.identity() | {"scenes": self._rows}

    def read_item(self, index: int) -> Scene:
        """The scene at ``index``."""
        return self._scenes[self._rows[index]]
