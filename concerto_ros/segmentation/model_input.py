# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Model input: from a snapshot of the map to the tensors that an encoder takes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Self

import numpy as np
import torch

from concerto_ros.mapping.map_snapshot import MapSnapshot
from concerto_ros.mapping.voxel_cells import CELL, VoxelCells
from concerto_ros.mapping.voxel_grid import bounds, unpack
from concerto_ros.ptv3.kernels.host_copies import sent
from concerto_ros.segmentation.convention import Convention
from concerto_ros.segmentation.fixed_origin import FixedOrigin
from concerto_ros.segmentation.floor import find_floor


@dataclass(frozen=True, eq=False)
class ModelInput:
    """Voxels as an encoder takes them, cloud after cloud; of a snapshot, row by row.

    Attributes:
        feat: (N, 9) float32: coord, colour in [0, 1], unit normal; zeros where one is missing.
        grid_coord: (N, 3) int32 >= 0, voxel indices.
        coord: (N, 3) float32, metres x scale of the convention, centred.
        offset: (B,) int64, cumulative sizes of the clouds.
        floor_height: height in metres that became zero, in the frame of the snapshot; NaN where
            the model's height does not count from the floor, and for several clouds.
        strays: (N,) bool, voxels that lie alone below the floor: encoders do not see them, as they
            change the features of all others. None: there are none.
    """

    feat: torch.Tensor
    grid_coord: torch.Tensor
    coord: torch.Tensor
    offset: torch.Tensor
    floor_height: float = field(default=math.nan, kw_only=True)
    strays: torch.Tensor | None = field(default=None, kw_only=True)

    def __len__(self) -> int:
        return len(self.feat)

    def to(self, device: torch.device | str) -> Self:
        """Return a copy with its tensors on ``device``."""
        tensors: dict[str, Any] = {
            name: sent(value, device)
            for name, value in vars(self).items()
            if isinstance(value, torch.Tensor)
        }
        return replace(self, **tensors)

    def part(self, rows: torch.Tensor | None) -> ModelInput:
        """Return some rows of a single cloud as a cloud, whose strays are not told apart.

        Args:
            rows: (n,) int64 row numbers; None: all rows.
        """
        if rows is None:
            return self
        feat, grid_coord, coord = (
            value.index_select(0, rows) for value in (self.feat, self.grid_coord, self.coord)
        )
        offset = torch.tensor([len(rows)])
        return ModelInput(feat, grid_coord, coord, offset, floor_height=self.floor_height)


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


class Zero(NamedTuple):
    """The point that becomes zero.

    Attributes:
        point: (3,) float64, metres.
        strays: (V,) bool, the voxels that lie alone below the floor.
    """

    point: np.ndarray
    strays: np.ndarray


def zero_of(
    points: np.ndarray,
    index: np.ndarray,
    voxel_size: float,
    convention: Convention,
    vehicle: np.ndarray,
    *,
    floor_height: float = math.nan,
    held: FixedOrigin | None = None,
    cells: VoxelCells | None = None,
) -> Zero:
    """Return the point that becomes zero for the voxels of a cloud.

    Args:
        points: (V, 3) mean of the points of each voxel, metres; V > 0.
        index: (V, 3) lattice indices of the voxels.
        voxel_size: metres.
        convention: scale and centre that the model was trained with.
        vehicle: (3,) position of the vehicle.
        floor_height: metres, where it is known; NaN: the floor is estimated.
        held: the origin that is kept; then the bounding box leaves out the outermost half percent
            of the points on each side (flying pixels), and is exact only as far as it matters to
            the origin. None: it is that of all points.
        cells: those of the voxels; None: they are counted.
    """
    strays, floor = np.zeros(len(points), bool), math.nan
    if convention.from_floor:
        floor, strays = find_floor(points, index, voxel_size, floor_height, cells)
    if held is not None:
        cells = VoxelCells.of(index) if cells is None else cells
        near = convention.zero(*_trimmed_box(cells, strays, floor, voxel_size), vehicle)
        if held.keeps(near, CELL, voxel_size):
            return Zero(near, strays)
    points = points[~strays] if strays.any() else points
    low, high = _box(points, len(points) // 200 if held is not None else 0)
    if convention.from_floor:
        low[2] = floor
    return Zero(convention.zero(low, high, vehicle), strays)


def _trimmed_box(
    cells: VoxelCells, strays: np.ndarray, floor: float, voxel_size: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the trimmed bounding box by the middles of cells; z is the floor."""
    count = cells.count - np.bincount(cells.of_voxel[strays], minlength=len(cells.count))
    corner, outer = unpack(cells.corner), int(count.sum()) // 200
    low, high = np.full(3, floor), np.full(3, floor)
    for axis in range(2):
        level = corner[:, axis] // CELL
        below = np.bincount(level - level.min(), weights=count).cumsum()
        first, last = np.searchsorted(below, [outer, below[-1] - 1 - outer], side="right")
        middle = level.min() + 0.5
        low[axis] = (first + middle) * CELL * voxel_size
        high[axis] = (last + middle) * CELL * voxel_size
    return low, high


def build_model_input(
    snapshot: MapSnapshot,
    convention: Convention,
    held: FixedOrigin | None = None,
    *,
    floor_height: float = math.nan,
    rows: np.ndarray | None = None,
) -> ModelInput:
    """Build the input of an encoder from a ``snapshot``.

    Args:
        snapshot: a snapshot of the map with at least one voxel.
        convention: scale and centre that the encoder was trained with.
        held: the origin that is kept from call to call while the window stays in place, so that a
            still scene gives a still output; None: corner and centre are those of this snapshot
            alone.
        floor_height: metres, in the frame of the snapshot, where it is known; NaN: the floor is
            estimated, and held like the rest of the origin. Without effect where ``convention``
            does not count height from the floor.
        rows: (n,) the voxels that become the input, with the origin of the whole snapshot; None:
            all.

    Raises:
        ValueError: the snapshot has no voxel.
    """
    if not len(snapshot):
        raise ValueError("the snapshot holds no voxel; expected at least one")
    centre, strays = zero_of(
        snapshot.points,
        snapshot.index,
        snapshot.voxel_size,
        convention,
        snapshot.robot,
        floor_height=floor_height,
        held=held,
        cells=snapshot.cells if held is not None or convention.from_floor else None,
    )
    index = snapshot.index
    if strays.any():
        index = index.copy()  # faster than to leave them out
        index[strays] = index[int(strays.argmin())]
    if held is None:
        corner, _ = bounds(index)
    else:
        known = centre[2]
        corner, centre = held.update(index, centre, snapshot.voxel_size)
        if convention.from_floor and not math.isnan(floor_height):
            centre = np.array([*centre[:2], known])
    seen = slice(None) if rows is None else rows
    strays = strays[seen]
    coord, feat = normalise_points(
        snapshot.points[seen], snapshot.colors[seen], snapshot.normals[seen], convention, centre
    )
    grid_coord = np.maximum(snapshot.index[seen] - corner, 0).astype(np.int32)
    return ModelInput(
        feat=torch.from_numpy(feat),
        grid_coord=torch.from_numpy(grid_coord),
        coord=torch.from_numpy(coord),
        offset=torch.tensor([len(coord)]),
        floor_height=float(centre[2]) if convention.from_floor else math.nan,
        strays=torch.from_numpy(strays) if strays.any() else None,
    )


def _box(points: np.ndarray, outer: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return the bounding box without so many of the outermost points on each side."""
    if not len(points):
        return np.zeros(3), np.zeros(3)
    ends = [outer, len(points) - 1 - outer]
    # Column by column: NumPy takes longer along the first of two axes.
    if outer:
        low, high = zip(*(np.partition(column, ends)[ends] for column in points.T), strict=True)
    else:
        low, high = zip(*((column.min(), column.max()) for column in points.T), strict=True)
    return np.array(low, np.float64), np.array(high, np.float64)
