# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The arrays of one level, padded to a given number of rows; a GPU does each in one kernel.

An added voxel is its own only neighbour. Added rows come after the real ones, which stay in place.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.nn.functional import pad

from concerto_ros.ptv3.kernels.pooling import PaddedPooling, Pooling, pooled_members

#: Where the voxel itself is among the 27 neighbours.
_CENTRE = 13


class FinerLevel(NamedTuple):
    """How the N voxels of a level are pooled from those of the finer one.

    Attributes:
        pooling: of the finer voxels.
        rows: the finer level is padded to as many.
        members: at least as many finer voxels as any voxel has.
    """

    pooling: Pooling
    rows: int
    members: int


class PaddedLevel(NamedTuple):
    """The arrays of a level, padded to ``rows``.

    Attributes:
        grid_coord: (rows, 3) int64, zeros where added.
        coord: (rows, 3) float32, zeros where added.
        order: (rows,) int64, row of each column of the table of neighbours.
        neighbours: (27, rows) int32, the table.
        pooling: of the finer level, whose added voxels are in the last one of this level; every
            added one of this level holds the last finer one. None where nothing is pooled.
    """

    grid_coord: torch.Tensor
    coord: torch.Tensor
    order: torch.Tensor
    neighbours: torch.Tensor
    pooling: PaddedPooling | None


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
    finer: FinerLevel | None,
    rows: int,
) -> PaddedLevel:
    """Pad what a level of N voxels has once.

    Args:
        grid_coord: (N, 3) int64.
        coord: (N, 3) float32.
        order: (N,) int64, row of each column of the table of neighbours.
        neighbours: (27, N) int32, the table.
        finer: the level that is pooled to this one; None at the finest.
        rows: more than N.
    """
    count = len(coord)
    added = torch.arange(count, rows, device=coord.device)
    alone = neighbours.new_full((27, len(added)), -1)
    alone[_CENTRE].copy_(added)
    pooling = None
    if finer is not None:
        missing = finer.rows - len(finer.pooling.cluster)
        cluster = pad(finer.pooling.cluster, (0, missing), value=rows - 1)
        members = pooled_members(finer.pooling, finer.members)
        members = pad(members, (0, 0, 0, rows - count), value=finer.rows - 1)
        pooling = PaddedPooling(cluster, members)
    return PaddedLevel(
        pad_rows(grid_coord, rows),
        pad_rows(coord, rows),
        torch.cat([order, added]),
        torch.cat([neighbours, alone], 1),
        pooling,
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


def pad_rows(values: torch.Tensor, rows: int) -> torch.Tensor:
    """Pad (N, C) to (rows, C) with zeros."""
    return pad(values, (0, 0, 0, rows - len(values)))
