# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Weights, scans and objects that no random generator made: the same with every version.

Nothing of the package is imported here, so that an older version can be given the same inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

#: Sizes of a very small encoder, as arguments of ``PTv3Config``.
ENCODER = {
    "in_channels": 9,
    "order": ("z", "hilbert"),
    "stride": (2, 2),
    "enc_depths": (1, 1, 1),
    "enc_channels": (4, 4, 4),
    "enc_num_head": (1, 1, 1),
    "enc_patch_size": (16, 16, 16),
    "enc_mode": True,
}

#: Sizes of a ReCon as small, as arguments of ``ReConShape``.
RECON = {
    "width": 8,
    "blocks": 1,
    "heads": 2,
    "groups": 4,
    "group_size": 4,
    "patch_widths": (4, 4, 8),
}


def pattern(*shape: int) -> np.ndarray:
    """Float32 numbers between -1 and 1 that repeat after 101."""
    return (np.arange(np.prod(shape)) * 37 % 101 / 50 - 1).reshape(shape).astype(np.float32)


@torch.no_grad()
def fill(module: nn.Module) -> nn.Module:
    """The module with parameters of small numbers, those of normalisations about one."""
    for name, value in module.named_parameters():
        numbers = torch.from_numpy(pattern(*value.shape)) / 4
        value.copy_(1 + numbers / 4 if "norm" in name and name.endswith("weight") else numbers)
    return module.eval()


def scan_arrays(number: int) -> dict[str, np.ndarray]:
    """Points, labels, colours and normals of a floor (0) and a wall (1), a few points unknown."""
    row, column = np.divmod(np.arange(200), 20)
    label = (row >= 5).astype(np.uint8)
    along, across = column * 0.1, (row % 5) * 0.1 + 0.01 * number
    points = np.stack([along, np.where(label, 0.0, across), np.where(label, across, 0.0)], 1)
    normals = np.eye(3, dtype=np.float32)[2 - label]
    colors = (np.stack([row * 20, column * 10, label * 200], 1) % 256).astype(np.uint8)
    label[::17] = 255
    return {
        "points": points.astype(np.float32),
        "labels": label,
        "colors": colors,
        "normals": normals,
    }


def object_clouds(count: int, points: int) -> np.ndarray:
    """(count, points, 3) float32 in the unit ball, each longer along another axis."""
    clouds = pattern(count, points, 3) / 2
    for place, cloud in enumerate(clouds):
        cloud[:, place % 3] *= 1.7
    return clouds


@dataclass(frozen=True)
class Rows:
    """Vectors (N, 3) and their labels (N,): a batch for :class:`RowModel`."""

    values: torch.Tensor
    labels: torch.Tensor

    def to(self, _device: torch.device) -> Rows:
        return self


def joined_rows(items: Sequence[Rows], _generator: np.random.Generator | None) -> Rows:
    """One batch of several, as the trainer makes them."""
    return Rows(torch.cat([i.values for i in items]), torch.cat([i.labels for i in items]))


ROWS = [Rows(torch.from_numpy(pattern(6, 3)) * sign, torch.arange(6) % 2) for sign in (1, -1)]


class RowModel(nn.Module):
    """The smallest model with a matrix."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, batch: Rows) -> torch.Tensor:
        return self.layer(batch.values)
