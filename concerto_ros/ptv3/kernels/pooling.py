# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The voxels of a coarser level, and how those of the finer one are pooled to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch

from concerto_ros.ptv3.kernels.measured import choices, package
from concerto_ros.ptv3.kernels.neighbours import voxel_keys


class LevelPooling(Protocol):
    """How the voxels of a finer level are pooled to those of a coarser one."""

    @property
    def cluster(self) -> torch.Tensor:
        """Row of the coarser level that holds each row of the finer one, (N_fine,) int64."""

    def reduce(self, values: torch.Tensor, how: str) -> torch.Tensor:
        """Reduce (N_fine, C) float values to (N, C), by ``max`` or ``mean``."""


@dataclass(frozen=True, eq=False)
class Pooling:
    """The voxels of the finer level that belong to each voxel of this one.

    Attributes:
        cluster: (N_fine,) int64, row of this level that holds each row of the finer one.
        order: (N_fine,) int64, rows of the finer level sorted by cluster.
        starts: (N + 1,) int64, where each cluster begins in ``order``, and the last one ends;
            none is empty.
    """

    cluster: torch.Tensor
    order: torch.Tensor
    starts: torch.Tensor

    @property
    def sizes(self) -> torch.Tensor:
        """Rows of the finer level in each cluster, (N,) int64."""
        return torch.diff(self.starts)

    def reduce(self, values: torch.Tensor, how: str) -> torch.Tensor:
        """Reduce (N_fine, C) float values to (N, C), by ``max`` or ``mean`` over each cluster."""
        ordered = values.index_select(0, self.order)
        if how == "max" and (chosen := choices(values.device).reduction):
            scatter = package(chosen)
            if scatter is not None:
                return scatter.segment_csr(ordered, self.starts, reduce=how)
        return torch.segment_reduce(ordered, how, offsets=self.starts, axis=0, unsafe=True)


@dataclass(frozen=True, eq=False)
class PaddedPooling:
    """Pooling whose shapes follow from those of its levels.

    Attributes:
        cluster: as in :class:`Pooling`.
        members: (N, K) int64, rows of the finer level in each cluster, one of them repeated.
    """

    cluster: torch.Tensor
    members: torch.Tensor

    def reduce(self, values: torch.Tensor, how: str) -> torch.Tensor:
        """Reduce (N_fine, C) float to (N, C) by ``max``; a mean would count repeated rows twice.

        Raises:
            ValueError: ``how`` is not ``max``.
        """
        if how != "max":
            raise ValueError(f"how is {how!r}, expected 'max'")
        gathered = values.index_select(0, self.members.flatten())
        return gathered.unflatten(0, self.members.shape).amax(1)


class CoarserVoxels(NamedTuple):
    """The N voxels of a coarser level, sorted by (batch, x, y, z).

    Attributes:
        keys: (N,) int64, their :func:`~concerto_ros.ptv3.kernels.neighbours.voxel_keys`.
        grid_coord: (N, 3) int64.
        batch: (N,) int64.
        coord: (N, 3) float32, mean of those of the finer voxels.
        pooling: of the finer voxels.
    """

    keys: torch.Tensor
    grid_coord: torch.Tensor
    batch: torch.Tensor
    coord: torch.Tensor
    pooling: Pooling


def coarsen(
    grid_coord: torch.Tensor,
    batch: torch.Tensor,
    coord: torch.Tensor,
    stride: int,
    largest: list[int],
    count: int,
) -> CoarserVoxels:
    """Unite the voxels of a cloud whose indices agree after division.

    Args:
        grid_coord: (M, 3) int64 voxel indices, at least 0.
        batch: (M,) int64, cloud of each row.
        coord: (M, 3) float32.
        stride: divides the indices.
        largest: largest index of each axis after division.
        count: N, the number of coarser voxels.
    """
    grid_coord = grid_coord // stride
    keys, first, pooling = _clusters(voxel_keys(grid_coord, batch, largest), count)
    grid_coord, batch = grid_coord.index_select(0, first), batch.index_select(0, first)
    return CoarserVoxels(keys, grid_coord, batch, pooling.reduce(coord, "mean"), pooling)


def _clusters(keys: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor, Pooling]:
    """Group the rows that share one of ``count`` distinct keys.

    Returns:
        The distinct keys in ascending order, one row of each, and the grouping.
    """
    keys, order = torch.sort(keys, stable=True)
    first = torch.ones_like(keys, dtype=torch.bool)
    torch.ne(keys[1:], keys[:-1], out=first[1:])
    member = torch.cumsum(first, 0) - 1
    # The first row of each run writes its position; all others write past the end.
    position = torch.arange(len(keys), device=keys.device)
    start = position.new_empty(count + 1)
    start.scatter_(0, member.masked_fill(~first, count), position)
    start[count:].fill_(len(keys))
    cluster = torch.empty_like(member).index_copy_(0, order, member)
    pooling = Pooling(cluster, order, start)
    start = start[:count]
    return keys.index_select(0, start), order.index_select(0, start), pooling


def pooled_members(pooling: Pooling, members: int) -> torch.Tensor:
    """Return (N, members) int64, the finer rows in each voxel; the last of them is repeated.

    Args:
        pooling: of N voxels.
        members: at least as many as any of them holds.
    """
    starts = pooling.starts
    step = torch.arange(members, device=starts.device)
    return pooling.order.take(torch.minimum(starts[:-1, None] + step, starts[1:, None] - 1))
