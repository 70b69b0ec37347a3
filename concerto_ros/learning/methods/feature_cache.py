# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Features of a frozen encoder, computed once and kept on disk.

Kept level by level with the rows that join them, not joined: that is exact and takes a tenth of
the room.
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
from concerto_ros.ptv3 import Encoder


@dataclass(frozen=True, eq=False)
class Features:
    """``feats`` and ``clusters`` of a pyramid and the labels (V,) of its finest level."""

    feats: tuple[torch.Tensor, ...]
    clusters: tuple[torch.Tensor, ...]
    labels: torch.Tensor

    def to(self, device: torch.device | str) -> Features:
        """The same on ``device``."""
        return Features(
            tuple(feat.to(device) for feat in self.feats),
            tuple(cluster.to(device) for cluster in self.clusters),
            self.labels.to(device),
        )


def join_features(
    items: Sequence[Features], generator: np.random.Generator | None = None
) -> Features:
    """One batch of several clouds."""
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
    return Features(feats, tuple(clusters), torch.cat([item.labels for item in items]))


class FeatureHead(nn.Module):
    """A linear head on kept features: the scores the Segmenter gives, without its encoder."""

    def __init__(self, encoder: Encoder, head: LinearHead):
        super().__init__()
        self.concat_levels = head.concat_levels(encoder)
        self.head = head

    def forward(self, batch: Features) -> torch.Tensor:
        """(V, num_classes) logits."""
        return self.head.scores_by_level(batch.feats, batch.clusters, self.concat_levels)


class FeatureCache(Sequence):
    """Features of every scan, ``views`` times: as it is, and augmented in ``views - 1`` ways.

    An item is computed when it is first asked for and read from ``folder`` afterwards; its file
    is named by all that it depends on, so another encoder or scan never meets an old file.
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

    def __getitem__(self, index: int) -> Features:
        if not 0 <= index < len(self):
            raise IndexError(index)
        file = self._files.get(index)
        if file is None or not file.is_file():
            file = self._files[index] = self._computed(index)
        content = read_tensors(file)
        return Features(content["feats"], content["clusters"], content["labels"].long())

    def digest(self) -> str:
        """32 hexadecimal digits that tell all that the features depend on; computes those left."""
        for index in range(len(self)):
            if index not in self._files:
                self._files[index] = self._computed(index)
        return digest(self._files[index].name for index in range(len(self)))

    def _computed(self, index: int) -> Path:
        view, number = divmod(index, len(self.data))
        scan = self.data[number]
        name = self._base.copy()
        for value in (scan.points, scan.labels, scan.colors, scan.normals):
            name.update(b"-" if value is None else np.ascontiguousarray(value).tobytes())
        name.update(f"{view} {(self.seed, number) if view else ''}".encode())
        file = self.folder / f"{name.hexdigest()[:32]}.pt"
        if file.is_file():
            return file
        generator = np.random.default_rng((self.seed, 2, view, number)) if view else None
        with torch.inference_mode():
            batch = self.collate([scan], generator).to(self.device)
            pyramid = self.encoder(batch.feat, batch.grid_coord, batch.coord, batch.offset)
        content = {
            "feats": tuple(feat.cpu() for feat in pyramid.feats),
            "clusters": tuple(cluster.cpu() for cluster in pyramid.clusters),
            "labels": batch.labels.to("cpu", torch.uint8),
        }
        write_file(file, content)
        return file


def fingerprint(encoder: Encoder) -> str:
    """32 hexadecimal digits that tell encoders apart by shape and weights."""
    return weights_digest(encoder, encoder.config)
