# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Everything about a batch of clouds that does not depend on features, worked out once.

A forward pass of Point Transformer V3 needs curve orders, patches, neighbours and pooling clusters
at every level. They follow from the voxels alone, so they are built up front into an immutable
:class:`Hierarchy`; the encoder is then a plain function of features and hierarchy.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from concerto_ros.ptv3.config import PTv3Config
from concerto_ros.ptv3.kernels.backends import Backend, choose_backend
from concerto_ros.ptv3.kernels.curves import MAX_DEPTH
from concerto_ros.ptv3.kernels.neighbour_table import NeighbourTable
from concerto_ros.ptv3.kernels.neighbours import Neighbours, voxel_keys
from concerto_ros.ptv3.level_sizes import LevelSizes, measure_levels
from concerto_ros.ptv3.patches import Patches, cut_patches

#: Most clouds of a batch: what the three axes leave of a 64-bit code.
MAX_CLOUDS = (1 << 63 - 3 * MAX_DEPTH) - 1


@dataclass(frozen=True, eq=False)
class Pooling:
    """Which voxels of the finer level fall into each voxel of this one.

    Attributes
    ----------
    cluster: (N_fine,) int64, row of this level that holds each row of the finer one.
    order: (N_fine,) int64, rows of the finer level sorted by cluster.
    sizes: (N,) int64, rows of the finer level in each cluster, at least one.
    """

    cluster: torch.Tensor
    order: torch.Tensor
    sizes: torch.Tensor

    def reduce(self, values: torch.Tensor, how: str) -> torch.Tensor:
        """(N_fine, C) float -> (N, C): ``max`` or ``mean`` over each cluster."""
        ordered = values.index_select(0, self.order)
        return torch.segment_reduce(ordered, how, lengths=self.sizes, axis=0, unsafe=True)


@dataclass(frozen=True, eq=False)
class Level:
    """One resolution of the batch.

    Attributes
    ----------
    grid_coord: (N, 3) int64 voxel indices. Rows of a pooled level are sorted by (batch, x, y, z);
        rows of the finest keep the order they came in.
    coord: (N, 3) float32, mean position of the voxel's members (mean of the finer level's means).
    batch: (N,) int64, cloud of each row.
    offset: (B,) int64, cumulative sizes of the clouds.
    depth: bits an axis of the space-filling curves has at this level.
    patches: by (curve, patch size).
    neighbours: of the 3 x 3 x 3 convolution.
    pooling: how the finer level falls into this one, None at the finest.
    """

    grid_coord: torch.Tensor
    coord: torch.Tensor
    batch: torch.Tensor
    offset: torch.Tensor
    depth: int
    patches: dict[tuple[str, int], Patches]
    neighbours: Neighbours | NeighbourTable
    pooling: Pooling | None

    def __len__(self) -> int:
        return len(self.grid_coord)


@dataclass(frozen=True, eq=False)
class Hierarchy:
    """The levels of a batch, finest first."""

    levels: tuple[Level, ...]

    def __len__(self) -> int:
        return len(self.levels)


@torch.no_grad()
def build_hierarchy(
    grid_coord: torch.Tensor,
    coord: torch.Tensor,
    offset: torch.Tensor,
    config: PTv3Config,
    backend: Backend | None = None,
) -> Hierarchy:
    """Work out every level of a batch of clouds for an encoder of this shape.

    grid_coord: (N, 3) integer voxel indices, at least 0, each voxel at most once in a cloud (the
    reference leaves repeated voxels undefined). coord: (N, 3) float, metres times the scale of the
    input convention. offset: (B,) integer cumulative sizes, none of the clouds empty. All on the
    device that shall do the work. backend: what computes; by default what
    :func:`~concerto_ros.ptv3.kernels.backends.choose_backend` takes for ``auto`` on that device.

    Raises ValueError naming what is wrong with the input, among it an extent of more than 16 bits
    an axis.
    """
    _check_shapes(grid_coord, coord, offset)
    backend = backend or choose_backend("auto", grid_coord.device)
    grid_coord = grid_coord.to(torch.int64)
    coord = coord.to(torch.float32)
    offset = offset.to(torch.int64)
    rows = torch.arange(len(coord), device=offset.device)
    batch = torch.searchsorted(offset, rows, right=True)
    sizes = measure_levels(grid_coord, batch, offset, config.stride, backend.curve_code)
    _check_offset(sizes.ends[0], len(grid_coord))
    _check_extent(sizes, coord)
    _check_unique(sizes, grid_coord, batch)

    largest = sizes.high
    keys, rows = torch.sort(voxel_keys(grid_coord, batch, largest))
    orders = {"z": sizes.order}
    pooling = None
    levels = []
    for index, stride in enumerate((*config.stride, None)):
        depth = (max(largest) + 1).bit_length()
        for curve, _ in config.patches_of_level(index):
            if curve not in orders:
                code = batch << 3 * depth | backend.curve_code(grid_coord, depth, curve)
                orders[curve] = torch.argsort(code)
        counts = _sizes(sizes.ends[index])
        patches = {
            (curve, size): cut_patches(orders[curve], counts, size)
            for curve, size in config.patches_of_level(index)
        }
        neighbours = backend.find_neighbours(keys, rows, largest)
        offset = sizes.offsets[index]
        levels.append(Level(grid_coord, coord, batch, offset, depth, patches, neighbours, pooling))
        if stride is None:
            break
        # A voxel of the next level holds the rows whose indices agree after division.
        grid_coord = grid_coord // stride
        largest = [value // stride for value in largest]
        keys = voxel_keys(grid_coord, batch, largest)
        keys, first, pooling = _clusters(keys, sizes.ends[index + 1][-1])
        rows, orders = None, {}
        grid_coord, batch = grid_coord.index_select(0, first), batch.index_select(0, first)
        coord = pooling.reduce(coord, "mean")
    return Hierarchy(tuple(levels))


def _clusters(keys: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor, Pooling]:
    """Group the rows that share one of ``count`` distinct keys.

    Returns the distinct keys in ascending order, a row of each, and which rows each one groups.
    """
    keys, order = torch.sort(keys, stable=True)
    fresh = torch.ones_like(keys, dtype=torch.bool)
    torch.ne(keys[1:], keys[:-1], out=fresh[1:])
    member = torch.cumsum(fresh, 0) - 1
    # The first row of each run writes where it stands; all others write past the end.
    place = torch.arange(len(keys), device=keys.device)
    start = place.new_empty(count + 1)
    start.scatter_(0, member.masked_fill(~fresh, count), place)
    start[count:].fill_(len(keys))
    cluster = torch.empty_like(member).index_copy_(0, order, member)
    pooling = Pooling(cluster, order, torch.diff(start))
    start = start[:count]
    return keys.index_select(0, start), order.index_select(0, start), pooling


def _sizes(ends: list[int]) -> list[int]:
    """Sizes of the clouds from cumulative ones."""
    return [end - start for start, end in zip([0, *ends], ends, strict=False)]


def _check_shapes(grid_coord: torch.Tensor, coord: torch.Tensor, offset: torch.Tensor) -> None:
    """Shapes, types and devices: what can be told without looking at a value."""
    for name, value in (("grid_coord", grid_coord), ("coord", coord)):
        if value.ndim != 2 or value.shape[1] != 3:
            raise ValueError(f"{name} has shape {tuple(value.shape)}, expected (N, 3)")
    if not len(grid_coord):
        raise ValueError("the cloud is empty: grid_coord has no rows, expected at least one voxel")
    if len(coord) != len(grid_coord):
        raise ValueError(f"coord has {len(coord)} rows, grid_coord {len(grid_coord)}")
    for name, value in (("grid_coord", grid_coord), ("offset", offset)):
        if value.is_floating_point() or value.is_complex() or value.dtype == torch.bool:
            raise ValueError(f"{name} is {value.dtype}, expected an integer type")
    if offset.ndim != 1 or not len(offset):
        raise ValueError(f"offset has shape {tuple(offset.shape)}, expected (B,) with B >= 1")
    if len(offset) > MAX_CLOUDS:
        raise ValueError(f"offset names {len(offset)} clouds, at most {MAX_CLOUDS} fit in a batch")
    for name, value in (("coord", coord), ("offset", offset)):
        if value.device != grid_coord.device:
            raise ValueError(f"{name} is on {value.device}, grid_coord on {grid_coord.device}")


def _check_offset(ends: list[int], rows: int) -> None:
    """Cumulative sizes of clouds, none of them empty."""
    for cloud, count in enumerate(_sizes(ends)):
        if count < 0:
            raise ValueError(f"offset {ends} is not cumulative: it falls at cloud {cloud}")
        if count == 0:
            raise ValueError(f"cloud {cloud} of the batch is empty (offset {ends})")
    if ends[-1] != rows:
        raise ValueError(f"offset ends at {ends[-1]}, grid_coord has {rows} rows")


def _check_extent(sizes: LevelSizes, coord: torch.Tensor) -> None:
    """Indices within what the code of a voxel can hold."""
    low, high = sizes.low, sizes.high
    if min(low) < 0:
        axis = low.index(min(low))
        raise ValueError(
            f"grid_coord reaches {min(low)} on {'xyz'[axis]}, expected indices of at least 0; "
            "subtract the lowest corner first"
        )
    axis = high.index(max(high))
    limit = (1 << MAX_DEPTH) - 2
    if high[axis] > limit:
        raise ValueError(
            f"the cloud is too large for its grid: grid_coord reaches {high[axis]} on "
            f"{'xyz'[axis]}, at most {limit} fits ({MAX_DEPTH} bits an axis)"
            + _metric_advice(coord[:, axis], high[axis] - low[axis] + 1, limit + 1)
        )


def _metric_advice(values: torch.Tensor, voxels: int, fits: int) -> str:
    """The same extent in units of ``coord``, where that gives a grid size."""
    low, high = torch.aminmax(values)
    extent = float(high - low)
    if not 0 < extent < float("inf") or voxels < 2:
        return f". {voxels} voxels were given, {fits} would fit"
    grid = extent / (voxels - 1)
    return (
        f". The extent is {voxels} voxels, {extent:.4g} in units of coord at a grid of "
        f"{grid:.3g}; {fits * grid:.4g} would fit at this grid, or this extent at a grid of "
        f"{extent / (fits - 1):.3g}; a far-off point may be the cause"
    )


def _check_unique(sizes: LevelSizes, grid_coord: torch.Tensor, batch: torch.Tensor) -> None:
    if not sizes.repeated:
        return
    voxels = torch.cat([batch[:, None], grid_coord], 1).index_select(0, sizes.order)
    cloud, *voxel = voxels[1:][(voxels[1:] == voxels[:-1]).all(1)][0].tolist()
    raise ValueError(
        f"{sizes.repeated} rows repeat a voxel of the same cloud, for example {tuple(voxel)} in "
        f"cloud {cloud}; expected one row for each voxel (grid-sample the cloud first)"
    )
