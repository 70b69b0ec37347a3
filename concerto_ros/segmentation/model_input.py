# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Model input: from a snapshot of the map to the tensors that an encoder takes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch

from concerto_ros.mapping.map_snapshot import MapSnapshot
from concerto_ros.segmentation.convention import Convention
from concerto_ros.segmentation.fixed_origin import FixedOrigin


@dataclass(frozen=True, eq=False)
class ModelInput:
    """Voxels as an encoder takes them, cloud after cloud; of a snapshot, row by row.

    Attributes:
        feat: (N, 9) float32: coord, colour in [0, 1], unit normal; zeros where one is missing.
        grid_coord: (N, 3) int32 >= 0, voxel indices.
        coord: (N, 3) float32, metres x scale of the convention, centred.
        offset: (B,) int64, cumulative sizes of the clouds.
    """

    feat: torch.Tensor
    grid_coord: torch.Tensor
    coord: torch.Tensor
    offset: torch.Tensor

    def __len__(self) -> int:
        return len(self.feat)

    def to(self, device: torch.device | str) -> Self:
        """Return a copy with its tensors on ``device``."""
        tensors = {
            name: value.to(device)
            for name, value in vars(self).items()
            if isinstance(value, torch.Tensor)
        }
        return replace(self, **tensors)

    def part(self, rows: torch.Tensor | None) -> ModelInput:
        """Return some rows of a single cloud as a cloud.

        Args:
            rows: (n,) int64 row numbers; None: all rows.
        """
        if rows is None:
            return self
        feat, grid_coord, coord = (
            value.index_select(0, rows) for value in (self.feat, self.grid_coord, self.coord)
        )
        return ModelInput(feat, grid_coord, coord, torch.tensor([len(rows)]))


def normalise_points(
    points: np.ndarray,
    colors: np.ndarray | None,
    normals: np.ndarray | None,
    convention: Convention,
    centre: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Scale and centre points for a model.

    Args:
        points: (N, 3) metres.
        colors: (N, 3) in 0..255; None: zeros.
        normals: (N, 3) unit; None: zeros.
        convention: scale and centre that the model was trained with.
        centre: (3,) the point in metres that becomes zero; None: taken from the bounding box of
            ``points``, with the vehicle at their origin.

    Returns:
        ``coord`` (N, 3) and ``feat`` (N, 9), both float32, as in :class:`ModelInput`.
    """
    if centre is None:
        centre = convention.zero(*_box(points), np.zeros(3))
    coord = ((points - np.asarray(centre, dtype=np.float64)) * convention.scale).astype(np.float32)
    feat = np.zeros((len(points), 9), dtype=np.float32)
    feat[:, 0:3] = coord
    if colors is not None:
        feat[:, 3:6] = np.asarray(colors, dtype=np.float32) / 255
    if normals is not None:
        feat[:, 6:9] = normals
    return coord, feat


def build_model_input(
    snapshot: MapSnapshot, convention: Convention, held: FixedOrigin | None = None
) -> ModelInput:
    """Build the input of an encoder from a ``snapshot``.

    Args:
        snapshot: a snapshot of the map with at least one voxel.
        convention: scale and centre that the encoder was trained with.
        held: the origin that is kept from call to call while the window stays in place, so that a
            still scene gives a still output; None: corner and centre are those of this snapshot
            alone.

    Raises:
        ValueError: the snapshot has no voxel.
    """
    if not len(snapshot):
        raise ValueError("the snapshot holds no voxel; expected at least one")
    if held is None:
        corner = snapshot.index.min(axis=0)
        centre = convention.zero(*_box(snapshot.points), snapshot.robot)
    else:
        exact = convention.zero(*_robust_box(snapshot.points), snapshot.robot)
        corner, centre = held.update(snapshot.index, exact, snapshot.voxel_size)
    coord, feat = normalise_points(
        snapshot.points, snapshot.colors, snapshot.normals, convention, centre
    )
    return ModelInput(
        feat=torch.from_numpy(feat),
        grid_coord=torch.from_numpy((snapshot.index - corner).astype(np.int32)),
        coord=torch.from_numpy(coord),
        offset=torch.tensor([len(snapshot)]),
    )


def _box(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if not len(points):
        return np.zeros(3), np.zeros(3)
    return points.min(axis=0).astype(np.float64), points.max(axis=0).astype(np.float64)


def _robust_box(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the bounding box without the outermost half percent on each side (flying pixels)."""
    outer = len(points) // 200
    ordered = np.partition(points, (outer, len(points) - 1 - outer), axis=0)
    return ordered[outer].astype(np.float64), ordered[-1 - outer].astype(np.float64)
