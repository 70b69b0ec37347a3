# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From pixels to voxels: what a point is by the images that see it.

The target of a point is the mean of the unit vectors of the pixels that see it, that of a voxel
the mean of its points'.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from concerto_ros.files.digest import digest
from concerto_ros.files.torch_file import read_tensors, write_file
from concerto_ros.learning.data.posed.pixel_features import PixelFeatures, vectors_at
from concerto_ros.learning.data.posed.point_map import PointMap

#: Changes when targets of the same pixels become others.
VERSION = 1


@dataclass(frozen=True, eq=False)
class Targets:
    """The voxels of a scene that an image with features sees.

    Attributes:
        rows: (R,) int64, ascending.
        vectors: (R, D) float16, of length 1 at most: the shorter the less the views agree.
        without_features: Number of images that have no feature image.
    """

    rows: torch.Tensor
    vectors: torch.Tensor
    without_features: int


def voxel_targets(
    found: PointMap,
    voxels: np.ndarray,
    features: PixelFeatures,
    images: Callable[[str], np.ndarray],
    cache: Path,
    watch: Callable[[], object] = lambda: None,
) -> Targets:
    """Compute the targets of a scene's voxels, or read what was computed.

    Args:
        found: The scene's points and the pixels that see them.
        voxels: (N,) int64, the voxel of each point; -1: none.
        features: Vectors of the pixels.
        images: Reads an image by its name, (H, W, 3) uint8.
        cache: Folder of the files.
        watch: Called after each image.

    Raises:
        DataError: A feature image cannot be used; names file and field.
    """
    identities = [features.identity(found.name, frame) for frame in found.frames]
    key = digest([found.folder.name, voxels, str(features.width), str(VERSION), *identities])
    path = cache / f"{key}.pt"
    missing = identities.count("")
    if path.is_file():
        content = read_tensors(path)
        return Targets(content["rows"], content["vectors"], missing)
    used = [at for at, identity in enumerate(identities) if identity]
    targets = _computed(found, used, voxels, features, images, watch)
    write_file(path, {"rows": targets[0], "vectors": targets[1]})
    return Targets(*targets, missing)


def _computed(
    found: PointMap,
    used: list[int],
    voxels: np.ndarray,
    features: PixelFeatures,
    images: Callable[[str], np.ndarray],
    watch: Callable[[], object],
) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows and vectors of :class:`Targets`.

    Sums are kept by voxel and not by point, of which there are several times as many: a pixel
    counts with one over the number of pixels that see its point.
    """
    views = np.zeros(len(voxels), np.int64)
    for at in used:
        views[found.pixels(found.frames[at])[:, 2]] += 1
    share = torch.from_numpy(1 / np.maximum(views, 1)).float()
    count = int(voxels.max(initial=-1)) + 1
    sums = torch.zeros(count, features.width)
    weights = torch.zeros(count)
    for at in used:
        frame = found.frames[at]
        pixels = found.pixels(frame)
        pixels = pixels[voxels[pixels[:, 2]] >= 0]
        image = features.of(found.name, frame, partial(images, frame))
        vectors = vectors_at(image, pixels, found.sizes[at])
        point = torch.from_numpy(pixels[:, 2].astype(np.int64))
        weight = share[point] * (vectors != 0).any(dim=1)
        voxel = torch.from_numpy(voxels)[point]
        sums.index_add_(0, voxel, vectors * weight[:, None])
        weights.index_add_(0, voxel, weight)
        watch()
    rows = weights.nonzero()[:, 0]
    return rows, (sums[rows] / weights[rows, None]).half()
