# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Cache on disk of the features of a frozen encoder.

Features are stored per level of the pyramid with the rows that join the levels, not upsampled and
concatenated: that is exact and takes a tenth of the space.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from concerto_ros.files.digest import digest, shown, weights_digest
from concerto_ros.files.torch_file import read_tensors, write_file
from concerto_ros.heads.linear import LinearHead
from concerto_ros.learning.data.collate import ScanCollate
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.learning.data.lazy_sequence import LazySequence
from concerto_ros.learning.methods.segmenter import pyramid_of
from concerto_ros.ptv3 import Encoder


@dataclass(frozen=True, eq=False)
class Features:
    """Features of one or several scans, with labels.

    Attributes:
        feats: Per level of the pyramid (V_l, C_l), finest level first.
        clusters: Per level but the last (V_l,) int64, the row in the next level.
        labels: (V,) int64, of the finest level; 255: no label.
        name_ids: (V,) int64 position of each voxel's fine name in the scans' list of names, see
            :class:`~concerto_ros.learning.data.batch.Batch`; None if they have no names.
    """

    feats: tuple[torch.Tensor, ...]
    clusters: tuple[torch.Tensor, ...]
    labels: torch.Tensor
    name_ids: torch.Tensor | None = None

    def to(self, device: torch.device | str) -> Features:
        """A copy with its tensors on ``device``."""
        return Features(
            tuple(feat.to(device) for feat in self.feats),
            tuple(cluster.to(device) for cluster in self.clusters),
            self.labels.to(device),
            None if self.name_ids is None else self.name_ids.to(device),
        )


def join_features(
    items: Sequence[Features], generator: np.random.Generator | None = None
) -> Features:
    """Collate the features of several scans into one batch; the generator is not used."""
    if len(items) == 1:
        return items[0]
    feats = tuple(torch.cat(levels) for levels in zip(*(i.feats for i in items), strict=True))
    clusters = []
    for level in range(len(items[0].clusters)):
        start, shifted = 0, []
        for item in items:
            shifted.append(item.clusters[level] + start)
            start += len(item.feats[level + 1])
        clusters.append(torch.cat(shifted))
    names = [item.name_ids for item in items if item.name_ids is not None]
    return Features(
        feats,
        tuple(clusters),
        torch.cat([item.labels for item in items]),
        torch.cat(names) if len(names) == len(items) else None,
    )


class FeatureHead(nn.Module):
    """A linear head on cached features; the logits are those of ``Segmenter``."""

    def __init__(self, encoder: Encoder, head: LinearHead):
        super().__init__()
        self.concat_levels = head.concat_levels(encoder)
        self.head = head

    def forward(self, batch: Features) -> torch.Tensor:
        """Logits of the finest level, (V, num_classes)."""
        return self.head.scores_by_level(batch.feats, batch.clusters, self.concat_levels)


class FeatureCache(LazySequence[Features]):
    """Features of every scan, ``views`` times: unchanged, and in ``views - 1`` augmented copies.

    An item is computed when it is first used and then read from ``folder``. The name of its file
    is a hash of everything that it depends on, so a changed encoder or scan gets another file.

    Args:
        encoder: Frozen encoder.
        data: The scans.
        collate: Augments and grid-samples a scan.
        folder: Where the files are; created if it does not exist.
        views: Copies of each scan; 1 if ``collate`` has no augmentation.
        seed: Random seed of the augmentation.
    """

    def __init__(
        self,
        encoder: Encoder,
        data: Sequence[Scan],
        collate: ScanCollate,
        folder: Path,
        *,
        views: int = 1,
        seed: int = 0,
    ):
        self.encoder, self.data, self.collate = encoder, data, collate
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.views = views if collate.augment is not None else 1
        self.seed = seed
        self.device = next(encoder.parameters()).device
        self._base = hashlib.sha256(f"{fingerprint(encoder)} {shown(collate)}".encode())
        self._files: dict[int, Path] = {}

    def __len__(self) -> int:
        return len(self.data) * self.views

    def read_item(self, index: int) -> Features:
        """Read the features of item ``index``; compute them if their file does not exist."""
        file = self._files.get(index)
        if file is None or not file.is_file():
            file = self._files[index] = self._compute(index)
        content = read_tensors(file)
        names = content.get("name_ids")
        return Features(
            content["feats"],
            content["clusters"],
            content["labels"].long(),
            None if names is None else names.long(),
        )

    def digest(self) -> str:
        """Hash (32 hexadecimal digits) of all that the features depend on; computes all first."""
        for index in range(len(self)):
            if index not in self._files:
                self._files[index] = self._compute(index)
        return digest(self._files[index].name for index in range(len(self)))

    def _compute(self, index: int) -> Path:
        """The file of an item, written if it does not exist."""
        view, number = divmod(index, len(self.data))
        scan = self.data[number]
        name = self._base.copy()
        for value in (scan.points, scan.labels, scan.colors, scan.normals):
            name.update(b"-" if value is None else np.ascontiguousarray(value).tobytes())
        if scan.name_ids is not None:
            name.update(scan.name_ids.tobytes() + str(scan.names).encode())
        name.update(f"{view} {(self.seed, number) if view else ''}".encode())
        file = self.folder / f"{name.hexdigest()[:32]}.pt"
        if file.is_file():
            return file
        generator = np.random.default_rng((self.seed, 2, view, number)) if view else None
        with torch.inference_mode():
            batch = self.collate([scan], generator).to(self.device)
            pyramid = pyramid_of(self.encoder, batch)
        content = {
            "feats": tuple(feat.cpu() for feat in pyramid.feats),
            "clusters": tuple(cluster.cpu() for cluster in pyramid.clusters),
            "labels": batch.labels.to("cpu", torch.uint8),
        }
        if batch.name_ids is not None:
            content["name_ids"] = batch.name_ids.to("cpu", torch.int32)
        write_file(file, content)
        return file


def fingerprint(encoder: Encoder) -> str:
    """Hash (32 hexadecimal digits) of an encoder's configuration and weights."""
    return weights_digest(encoder, encoder.config)
