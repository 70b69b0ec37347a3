# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The part of a forward pass that depends on voxels alone, computed once per batch.

A forward pass of Point Transformer V3 needs curve orders, patches, neighbours and pooling clusters
at every level. They follow from the voxels alone, so they are built up front into an immutable
:class:`Hierarchy`; the encoder is then a plain function of features and hierarchy.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from concerto_ros.ptv3.config import PTv3Config
from concerto_ros.ptv3.kernels import neighbour_table
from concerto_ros.ptv3.kernels.backends import Backend, choose_backend
from concerto_ros.ptv3.kernels.curves import MAX_DEPTH
from concerto_ros.ptv3.kernels.fused import PLAIN, Fused
from concerto_ros.ptv3.kernels.native.convolution import NativeNeighbours
from concerto_ros.ptv3.kernels.neighbour_table import NeighbourTable
from concerto_ros.ptv3.kernels.neighbours import Neighbours, OtherNeighbours, voxel_keys
from concerto_ros.ptv3.kernels.pooling import LevelPooling, Pooling
from concerto_ros.ptv3.level_sizes import LevelSizes, by_cloud, measure_levels
from concerto_ros.ptv3.patches import Patches, cut_patches

#: Largest voxel index along an axis that a code holds.
LARGEST_INDEX = (1 << MAX_DEPTH) - 2

#: Most clouds of a batch, limited by the bits that the three axes leave of a 64-bit code.
MAX_CLOUDS = (1 << 63 - 3 * MAX_DEPTH) - 1


@dataclass(frozen=True, eq=False)
class Level:
    """One resolution of the batch.

    Attributes:
        grid_coord: (N, 3) int64 voxel indices. Rows of a pooled level are sorted by (batch, x, y,
            z); rows of the finest keep the order of the input.
        coord: (N, 3) float32, mean position of the voxel's members (mean of the finer level's
            means).
        batch: (N,) int64, cloud of each row.
        offset: (B,) int64, cumulative sizes of the clouds.
        depth: bits per axis of the space-filling curves at this level.
        patches: by (curve, patch size).
        neighbours: of the 3 x 3 x 3 convolution.
        pooling: how the finer level is pooled to this one; None at the finest.
        window: neighbours in the window of the stem, where it has one; only at the finest level.
        fused: the kernels of further steps.
    """

    grid_coord: torch.Tensor
    coord: torch.Tensor
    batch: torch.Tensor
    offset: torch.Tensor
    depth: int
    patches: dict[tuple[str, int], Patches]
    neighbours: Neighbours | NativeNeighbours | NeighbourTable | OtherNeighbours
    pooling: LevelPooling | None
    window: NeighbourTable | None = None
    fused: Fused = PLAIN

    def __len__(self) -> int:
        return len(self.grid_coord)

    @property
    def pooled_from(self) -> LevelPooling:
        """How the finer level is pooled to this one, for levels that have a finer one.

        Raises:
            ValueError: this is the finest level.
        """
        if self.pooling is None:
            raise ValueError("the finest level is not pooled from another one")
        return self.pooling


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
    """Build every level of a batch of clouds for an encoder of this shape.

    All tensors are on the device that computes.

    Args:
        grid_coord: (N, 3) integer voxel indices, at least 0, each voxel at most once in a cloud
            (the reference implementation leaves repeated voxels undefined).
        coord: (N, 3) float, metres times the scale of the input convention.
        offset: (B,) integer cumulative sizes; no cloud is empty.
        config: the shape of the encoder.
        backend: the kernels to use; None: those that
            :func:`~concerto_ros.ptv3.kernels.backends.choose_backend` selects for ``auto``.

    Raises:
        ValueError: an input is invalid, for example its extent needs more than 16 bits per axis;
            the text names the input and the value.
    """
    _check_shapes(grid_coord, coord, offset)
    backend = backend or choose_backend("auto", grid_coord.device)
    grid_coord = grid_coord.to(torch.int64)
    coord = coord.to(torch.float32)
    offset = offset.to(torch.int64)
    positions = torch.arange(len(coord), device=offset.device)
    batch = torch.searchsorted(offset, positions, right=True)
    sizes = measure_levels(grid_coord, batch, offset, config.stride, backend.curve_code)
    _check_offset(sizes.ends[0], len(grid_coord))
    _check_extent(sizes, coord)
    _check_unique(sizes, grid_coord, batch)

    largest = sizes.high
    keys, order = torch.sort(voxel_keys(grid_coord, batch, largest))
    rows: torch.Tensor | None = order
    reach = config.stem_size // 2
    window = None
    if reach:
        wide = voxel_keys(grid_coord, batch, largest, reach).index_select(0, order)
        window = neighbour_table.find_neighbour_table(
            wide, order, largest, neighbour_table.multiply, reach
        )
    orders = {"z": sizes.order}
    pooling: Pooling | None = None
    levels = []
    for index, stride in enumerate((*config.stride, None)):
        depth = (max(largest) + 1).bit_length()
        for curve, _ in config.patches_of_level(index):
            if curve not in orders:
                code = backend.curve_code(grid_coord, depth, curve)
                orders[curve] = torch.argsort(by_cloud(code, batch, offset, depth))
        counts = _sizes(sizes.ends[index])
        patches = {
            (curve, size): cut_patches(orders[curve], counts, size)
            for curve, size in config.patches_of_level(index)
        }
        neighbours = backend.find_neighbours(keys, rows, largest)
        offset = sizes.offsets[index]
        geometry = (grid_coord, coord, batch, offset, depth, patches, neighbours, pooling)
        levels.append(Level(*geometry, None if index else window, backend.fused))
        if stride is None:
            break
        largest = [value // stride for value in largest]
        count = sizes.ends[index + 1][-1]
        coarser = backend.fused.coarsen(grid_coord, batch, coord, stride, largest, count)
        keys, grid_coord, batch, coord, pooling = coarser
        rows, orders = None, {}
    return Hierarchy(tuple(levels))


def _sizes(ends: list[int]) -> list[int]:
    """Return sizes of the clouds from cumulative ones."""
    return [end - start for start, end in zip([0, *ends], ends, strict=False)]


def _check_shapes(grid_coord: torch.Tensor, coord: torch.Tensor, offset: torch.Tensor) -> None:
    """Check shapes, types and devices: what can be checked without reading a value."""
    for name, value in (("grid_coord", grid_coord), ("coord", coord)):
        if value.ndim != 2 or value.shape[1] != 3:
            raise ValueError(f"{name} has shape {tuple(value.shape)}, expected (N, 3)")
    if not len(grid_coord):
        raise ValueError("the cloud is empty: grid_coord has no rows, expected at least one voxel")
    if len(coord) != len(grid_coord):
        raise ValueError(
            f"coord has {len(coord)} rows, grid_coord {len(grid_coord)}; expected as many"
        )
    for name, value in (("grid_coord", grid_coord), ("offset", offset)):
        if value.is_floating_point() or value.is_complex() or value.dtype == torch.bool:
            raise ValueError(f"{name} is {value.dtype}, expected an integer type")
    if offset.ndim != 1 or not len(offset):
        raise ValueError(f"offset has shape {tuple(offset.shape)}, expected (B,) with B >= 1")
    if len(offset) > MAX_CLOUDS:
        raise ValueError(
            f"offset has {len(offset)} clouds, expected at most {MAX_CLOUDS} in a batch"
        )
    for name, value in (("coord", coord), ("offset", offset)):
        if value.device != grid_coord.device:
            raise ValueError(
                f"{name} is on {value.device}, expected {grid_coord.device} as grid_coord"
            )


def _check_offset(ends: list[int], rows: int) -> None:
    """Check that the offset holds cumulative sizes and no cloud is empty."""
    for cloud, count in enumerate(_sizes(ends)):
        if count < 0:
            raise ValueError(
                f"offset {ends} decreases at cloud {cloud}, expected cumulative sizes"
            )
        if count == 0:
            raise ValueError(
                f"cloud {cloud} of the batch is empty (offset {ends}), expected no empty cloud"
            )
    if ends[-1] != rows:
        raise ValueError(f"offset ends at {ends[-1]}, expected {rows}, the rows of grid_coord")


def _check_extent(sizes: LevelSizes, coord: torch.Tensor) -> None:
    """Check that the voxel indices fit into the code of a voxel."""
    low, high = sizes.low, sizes.high
    if min(low) < 0:
        axis = low.index(min(low))
        raise ValueError(
            f"grid_coord reaches {min(low)} on {'xyz'[axis]}, expected indices of at least 0; "
            "subtract the lowest corner first"
        )
    axis = high.index(max(high))
    limit = LARGEST_INDEX
    if high[axis] > limit:
        raise ValueError(
            f"the cloud is too large for its grid: grid_coord reaches {high[axis]} on "
            f"{'xyz'[axis]}, at most {limit} fits ({MAX_DEPTH} bits an axis)"
            + _metric_advice(coord[:, axis], high[axis] - low[axis] + 1, limit + 1)
        )


def _metric_advice(values: torch.Tensor, voxels: int, fits: int) -> str:
    """Describe the same extent in units of ``coord``, where that gives a grid size."""
    low, high = torch.aminmax(values)
    extent = float(high - low)
    if not 0 < extent < float("inf") or voxels < 2:
        return f". {voxels} voxels were given, {fits} would fit"
    grid = extent / (voxels - 1)
    return (
        f". The extent is {voxels} voxels, {extent:.4g} in units of coord at a grid of "
        f"{grid:.3g}; {fits * grid:.4g} would fit at this grid, or this extent at a grid of "
        f"{extent / (fits - 1):.3g}; a distant outlier may be the cause"
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
