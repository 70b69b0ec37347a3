# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a language head is trained on without labels: voxels, and what pixels say of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from concerto_ros.files.digest import digest
from concerto_ros.learning.data.collate import ScanCollate
from concerto_ros.learning.data.label_map import DataError
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.learning.data.lazy_sequence import LazySequence
from concerto_ros.learning.data.posed.pixel_features import PixelFeatures
from concerto_ros.learning.data.posed.point_map import TOLERANCE, PointMap, point_map
from concerto_ros.learning.data.posed.targets import Targets, voxel_targets
from concerto_ros.learning.language.samples import joined_rows
from concerto_ros.learning.methods.feature_cache import FeatureCache, Features
from concerto_ros.posed.scene import PosedScene, skips_in_words
from concerto_ros.ptv3 import Encoder

#: Points along an edge of a voxel of the encoder.
POINTS_PER_EDGE = 2

#: Voxels whose joined features are made at once.
ROWS = 16_384


@dataclass(frozen=True)
class ImageOptions:
    """How images become points.

    Attributes:
        tolerance: How far the depth of a point may be from that of an image that sees it, as a
            fraction of it.
        max_frames: Of more images of a scene as many are used, evenly spread.
        progress: Whether to show progress bars.
    """

    tolerance: float = TOLERANCE
    max_frames: int = 200
    progress: bool = True


class _MapScans(LazySequence[Scan]):
    """The points of maps as scans without labels."""

    def __init__(self, maps: Sequence[PointMap]):
        self.maps = maps

    def __len__(self) -> int:
        return len(self.maps)

    def read_item(self, index: int) -> Scan:
        """The points of the map at ``index``."""
        return self.maps[index].scan()


class SceneVoxels(LazySequence[tuple[Features, Targets]]):
    """The features of each scene's voxels, and the targets of those that an image sees.

    All that takes long is kept on disk, scene by scene: maps, features and targets. A run that was
    interrupted goes on with the scene it was at.

    Args:
        encoder: Frozen encoder.
        scenes: Posed images.
        pixels: Vectors of their pixels.
        collate: Grid-samples scans; they are not augmented.
        folder: Folder of what is kept.
        options: How images become points.

    Attributes:
        scenes: The scenes.

    Raises:
        DataError: A file is missing or wrong, or no voxel of any scene has a target.
    """

    def __init__(
        self,
        encoder: Encoder,
        scenes: Sequence[PosedScene],
        pixels: PixelFeatures,
        collate: ScanCollate,
        folder: Path,
        options: ImageOptions,
    ):
        self.scenes, self.pixels = scenes, pixels
        self._collate = ScanCollate(collate.convention, collate.voxel_size)
        self._folder, self._progress = folder, options.progress
        self._maps = [
            point_map(
                scene,
                folder / "maps",
                collate.voxel_size / POINTS_PER_EDGE,
                tolerance=options.tolerance,
                max_frames=options.max_frames,
                progress=options.progress,
            )
            for scene in scenes
        ]
        self._features = FeatureCache(
            encoder, _MapScans(self._maps), self._collate, folder / "features"
        )
        self._targets = [self._targets_of(index) for index in self._counted("targets")]
        if scenes and not any(len(targets.rows) for targets in self._targets):
            raise DataError(self._without_targets())

    def __len__(self) -> int:
        return len(self._maps)

    def read_item(self, index: int) -> tuple[Features, Targets]:
        """Features and targets of the scene at ``index``."""
        return self._features[index], self._targets[index]

    def digest(self) -> str:
        """Hash (32 hexadecimal digits) of all features and targets; computes all first."""
        for index in self._counted("features"):
            self._features[index]
        arrays = (
            part.numpy() for targets in self._targets for part in (targets.rows, targets.vectors)
        )
        return digest([self._features.digest(), *arrays])

    def in_words(self) -> Iterator[str]:
        """A line for each scene: how much of it has a target, and what was left out."""
        for index, (found, targets) in enumerate(zip(self._maps, self._targets, strict=True)):
            voxels = len(self._features[index].labels)
            share = len(targets.rows) / voxels
            left_out = skips_in_words(
                found.skipped + Counter({"no_features": targets.without_features})
            )
            text = (
                f"{found.name}: {len(found.frames)} images, {voxels} voxels, {share:.0%} of them"
            )
            yield f"{text} seen by an image with features" + (f"; {left_out}" if left_out else "")

    def joined(
        self, index: int, concat_levels: int
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Joined features (R, C) and targets (R, D) of a scene, float32, some thousand at once."""
        features, targets = self[index]
        parts = zip(targets.rows.split(ROWS), targets.vectors.split(ROWS), strict=True)
        for rows, vectors in parts:
            if len(rows):
                yield joined_rows(features, concat_levels, rows), vectors.float()

    def _targets_of(self, index: int) -> Targets:
        found, scene = self._maps[index], self.scenes[index]
        voxels = self._collate([found.scan()], None).inverse[0]
        return voxel_targets(found, voxels, self.pixels, _reader(scene), self._folder / "targets")

    def _counted(self, what: str) -> Iterable[int]:
        from tqdm import tqdm

        return tqdm(range(len(self._maps)), disable=not self._progress, unit="scene", desc=what)

    def _without_targets(self) -> str:
        names = ", ".join(f"{found.name}/{found.frames[0]}.npy" for found in self._maps[:3])
        without = sum(targets.without_features for targets in self._targets)
        if without == sum(len(found.frames) for found in self._maps):
            return f"none of the images has a feature image, expected files such as {names}"
        return (
            "no voxel is seen by an image with features: expected depth images that agree with"
            " each other within the tolerance, and vectors that are finite and not zero"
        )


@dataclass(frozen=True, eq=False)
class PixelVoxels:
    """Some voxels with their targets.

    Attributes:
        feat: (V, C) features of all levels joined.
        target: (V, D).
    """

    feat: torch.Tensor
    target: torch.Tensor

    def to(self, device: torch.device | str) -> PixelVoxels:
        """A copy on a device."""
        return PixelVoxels(self.feat.to(device), self.target.to(device))


class PixelSamples(LazySequence[PixelVoxels]):
    """Voxels with a target of each scene, at most ``most``, kept in memory as float16.

    Args:
        scenes: The scenes; those without a target are left out.
        concat_levels: How many finer levels the head takes beside the coarsest.
        most: Voxels of a scene.
        seed: Draws them.
    """

    def __init__(self, scenes: SceneVoxels, concat_levels: int, most: int, seed: int = 0):
        self._items = []
        for index in range(len(scenes)):
            features, targets = scenes[index]
            rows = np.arange(len(targets.rows))
            if not len(rows):
                continue
            if len(rows) > most:
                generator = np.random.default_rng((seed, 4, index))
                rows = np.sort(generator.choice(rows, most, replace=False))
            chosen = torch.from_numpy(rows)
            feat = joined_rows(features, concat_levels, targets.rows[chosen]).half()
            self._items.append(PixelVoxels(feat, targets.vectors[chosen]))

    def __len__(self) -> int:
        return len(self._items)

    def read_item(self, index: int) -> PixelVoxels:
        """The voxels of a scene."""
        return self._items[index]


def join_pixel_voxels(
    items: Sequence[PixelVoxels], generator: np.random.Generator | None = None
) -> PixelVoxels:
    """All voxels of several items, in float32; the generator is not used."""
    return PixelVoxels(
        torch.cat([item.feat for item in items]).float(),
        torch.cat([item.target for item in items]).float(),
    )


def _reader(scene: PosedScene) -> Callable[[str], np.ndarray]:
    return lambda name: scene.read(list(scene.frames).index(name)).image
