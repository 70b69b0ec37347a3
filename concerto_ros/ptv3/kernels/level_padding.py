# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The arrays of one level, padded to a given number of rows; a GPU does each in one kernel.

An added voxel is its own only neighbour. Added rows come after the real ones, which stay in place.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.nn.functional import pad

#: Where the voxel itself is among the 27 neighbours.
_CENTRE = 13


class PoolingArrays(NamedTuple):
    """How M voxels of a finer level are pooled to the N of a level.

    Attributes:
        cluster: (M,) int64, row of the level that holds each finer row.
        order: (M,) int64, finer rows sorted by cluster.
        starts: (N + 1,) int64, where each cluster begins in ``order``, and the end of the last.
        rows: the finer level is padded to as many.
        members: at least as many finer voxels as any cluster has.
    """

    cluster: torch.Tensor
    order: torch.Tensor
    starts: torch.Tensor
    rows: int
    members: int


class PaddedLevel(NamedTuple):
    """The arrays of a level, padded to ``rows``.

    Attributes:
        grid_coord: (rows, 3) int64, zeros where added.
        coord: (rows, 3) float32, zeros where added.
        order: (rows,) int64, row of each column of the table of neighbours.
        neighbours: (27, rows) int32, the table.
        cluster: (finer rows,) int64, row that holds each finer row, the last one for those that
            were added; None where nothing is pooled.
        members: (rows, members) int64, finer rows in each, the last of them repeated; an added
            voxel holds the last finer row. None where nothing is pooled.
    """

    grid_coord: torch.Tensor
    coord: torch.Tensor
    order: torch.Tensor
    neighbours: torch.Tensor
    cluster: torch.Tensor | None
    members: torch.Tensor | None


class PaddedPatches(NamedTuple):
    """The patches of a level along P curves, padded to ``rows``.

    Attributes:
        orders: (P, rows) int64, rows along each curve; where the real ones end within a patch that
            follows another one, the rows before that patch's first one come again to fill it.
        restores: (P, rows) int64, place of each row in its order.
        real: (rows,) bool, False for added rows, where the level is shorter than a patch; None
            where it is not.
    """

    orders: torch.Tensor
    restores: torch.Tensor
    real: torch.Tensor | None


def pad_level(
    grid_coord: torch.Tensor,
    coord: torch.Tensor,
    order: torch.Tensor,
    neighbours: torch.Tensor,
    pooling: PoolingArrays | None,
    rows: int,
) -> PaddedLevel:
    """Pad what a level of N voxels has once.

    Args:
        grid_coord: (N, 3) int64.
        coord: (N, 3) float32.
        order: (N,) int64, row of each column of the table of neighbours.
        neighbours: (27, N) int32, the table.
        pooling: of the finer level; None at the finest.
        rows: more than N.
    """
    count = len(coord)
    added = torch.arange(count, rows, device=coord.device)
    alone = neighbours.new_full((27, len(added)), -1)
    alone[_CENTRE].copy_(added)
    cluster = members = None
    if pooling is not None:
        missing = pooling.rows - len(pooling.cluster)
        cluster = pad(pooling.cluster, (0, missing), value=rows - 1)
        members = pooled_members(pooling.order, pooling.starts, pooling.members)
        members = pad(members, (0, 0, 0, rows - count), value=pooling.rows - 1)
    return PaddedLevel(
        pad_rows(grid_coord, rows),
        pad_rows(coord, rows),
        torch.cat([order, added]),
        torch.cat([neighbours, alone], 1),
        cluster,
        members,
    )


def pad_patches(orders: torch.Tensor, size: int, rows: int) -> PaddedPatches:
    """Pad the patches of a level along each of its curves.

    Args:
        orders: (P, N) int64, rows of the level along each curve.
        size: of a patch.
        rows: more than N; of whole patches, unless N is below one.
    """
    count = orders.shape[1]
    place = torch.arange(rows, device=orders.device)
    added = place[count:].expand(len(orders), -1)
    followed = torch.cat([orders, added], 1)
    restores = torch.empty_like(followed).scatter_(1, followed, place.expand_as(followed))
    if count < size:
        return PaddedPatches(followed, restores, place < count)
    # The last patch of real rows is filled by the rows before it, and not by added ones: keys are
    # then queries, and nothing is gathered. Added rows, which nobody looks at, give way.
    whole, borrowed = borrowed_rows(count, size)
    if borrowed:
        before = orders[:, whole - borrowed : whole]
        followed = torch.cat([orders, before, added[:, borrowed:]], 1)
    return PaddedPatches(followed, restores, None)


def borrowed_rows(count: int, size: int) -> tuple[int, int]:
    """Return the rows in whole patches of ``size``, and how many a last one lacks of ``count``."""
    return (count // size * size, -count % size) if count >= size else (0, 0)


def pooled_members(order: torch.Tensor, starts: torch.Tensor, members: int) -> torch.Tensor:
    """Return (N, members) int64, the finer rows in each cluster; the last of them is repeated.

    Arguments are those of :class:`PoolingArrays`.
    """
    step = torch.arange(members, device=starts.device)
    return order.take(torch.minimum(starts[:-1, None] + step, starts[1:, None] - 1))


def pad_rows(values: torch.Tensor, rows: int) -> torch.Tensor:
    """Pad (N, C) to (rows, C) with zeros."""
    return pad(values, (0, 0, 0, rows - len(values)))
