# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a language head is trained on: some voxels of each scan, with their joined features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch

from concerto_ros.labels.label_set import UNLABELLED
from concerto_ros.learning.data.labelled_scan import NO_NAME
from concerto_ros.learning.data.lazy_sequence import LazySequence
from concerto_ros.learning.methods.feature_cache import FeatureCache, Features


@dataclass(frozen=True, eq=False)
class Voxels:
    """Some voxels.

    Attributes:
        feat: (V, C) features of all levels joined, as a linear head takes them; kept in float16.
        labels: (V,) int64 class, 255: none.
        name_ids: (V,) int64 position of the fine name, 65535: none.
    """

    feat: torch.Tensor
    labels: torch.Tensor
    name_ids: torch.Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device | str) -> Voxels:
        """A copy on a device."""
        return Voxels(*(getattr(self, field.name).to(device) for field in fields(self)))


def join_voxels(items: Sequence[Voxels], generator: np.random.Generator | None = None) -> Voxels:
    """All voxels of several items, in float32; the generator is not used."""
    feat, labels, name_ids = (
        torch.cat([getattr(item, field.name) for item in items]) for field in fields(Voxels)
    )
    return Voxels(feat.float(), labels, name_ids)


class VoxelSamples(LazySequence[Voxels]):
    """Labelled voxels of each scan, at most ``most``, kept in memory.

    A voxel is the likelier to be among them the rarer its fine name is in its scan, so that a cup
    is seen beside a wall: by the inverse square root, as classes are balanced elsewhere.

    Args:
        features: The features of the scans.
        concat_levels: How many finer levels the head takes beside the coarsest.
        most: Voxels of a scan.
        seed: Draws them.
    """

    def __init__(self, features: FeatureCache, concat_levels: int, most: int, seed: int = 0):
        self.features, self.concat_levels = features, concat_levels
        self.most, self.seed = most, seed
        self._kept: dict[int, Voxels] = {}

    def __len__(self) -> int:
        return len(self.features)

    def read_item(self, index: int) -> Voxels:
        """The voxels of the scan at ``index``."""
        if index not in self._kept:
            features = self.features[index]
            rows = torch.from_numpy(self._rows(features, index))
            self._kept[index] = Voxels(
                joined_rows(features, self.concat_levels, rows).half(),
                features.labels[rows],
                _names(features)[rows],
            )
        return self._kept[index]

    def _rows(self, features: Features, index: int) -> np.ndarray:
        labels, names = features.labels.numpy(), _names(features).numpy()
        rows = np.flatnonzero(labels != UNLABELLED)
        if len(rows) <= self.most:
            return rows
        kind = np.where(names == NO_NAME, NO_NAME + 1 + labels, names)[rows]
        _, place, count = np.unique(kind, return_inverse=True, return_counts=True)
        weight = 1 / np.sqrt(count[place])
        generator = np.random.default_rng((self.seed, 3, index))
        chosen = generator.choice(rows, self.most, replace=False, p=weight / weight.sum())
        return np.sort(chosen)


def joined_rows(features: Features, concat_levels: int, rows: torch.Tensor) -> torch.Tensor:
    """The joined features of some voxels, as :meth:`~concerto_ros.ptv3.encoder.Pyramid.upcast`.

    Args:
        features: Of a scan.
        concat_levels: How many finer levels are joined to the coarsest.
        rows: (R,) int64 voxels of the finest level.

    Returns:
        (R, C).
    """
    finest = len(features.feats) - 1 - concat_levels
    for cluster in features.clusters[:finest]:
        rows = cluster[rows]
    parts = [features.feats[finest][rows]]
    for feat, cluster in zip(
        features.feats[finest + 1 :], features.clusters[finest:], strict=True
    ):
        rows = cluster[rows]
        parts.append(feat[rows])
    return torch.cat(parts, dim=1)


def _names(features: Features) -> torch.Tensor:
    """(V,) fine names; of scans without any, none."""
    if features.name_ids is None:
        return torch.full_like(features.labels, NO_NAME)
    return features.name_ids
