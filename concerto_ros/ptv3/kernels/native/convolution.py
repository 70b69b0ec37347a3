# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Submanifold convolution, and the pairs of touching voxels in the order that it needs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch.utils._python_dispatch import _disable_current_modes

from concerto_ros.ptv3.kernels import neighbours as pairs
from concerto_ros.ptv3.kernels.native.calls import COUNT, INTEGER, POINTER, call, multiplies, takes

#: Voxels whose sums are kept in the cache together.
_BLOCK = 512

_FIND = (POINTER, POINTER, COUNT, POINTER, COUNT, POINTER)
_CONVOLVE = (INTEGER, *[POINTER] * 4, *[COUNT] * 4, *[POINTER] * 4)


@dataclass(frozen=True, eq=False)
class _Lists:
    """Pairs by blocks of positions and by kernel offset.

    Attributes:
        order: (N,) int64, row of each position.
        starts: (blocks * 27 + 1,) int64, where those of a block and an offset begin.
        sources: (P,) int32, row of the neighbour.
        targets: (P,) int32, position in the block.
    """

    order: torch.Tensor
    starts: torch.Tensor
    sources: torch.Tensor
    targets: torch.Tensor


@dataclass(frozen=True, eq=False)
class NativeNeighbours:
    """Neighbours of a cloud, found in the form in which they are used first.

    Attributes:
        keys: (N,) int64, sorted :func:`~concerto_ros.ptv3.kernels.neighbours.voxel_keys`.
        rows: (N,) int64, the row of each key; None where the rows themselves are sorted.
        largest: largest voxel index of each axis.
    """

    keys: torch.Tensor
    rows: torch.Tensor | None
    largest: list[int]

    def serves(self, feat: torch.Tensor, matrices: torch.Tensor, bias: torch.Tensor) -> bool:
        """Return whether :meth:`convolve` takes these: no gradients, an even C_in."""
        return (
            feat.shape == (len(self.keys), matrices.shape[1])
            and feat.shape[1] % 2 == 0
            and takes(feat, feat.dtype, matrices, bias)
            and multiplies(feat.dtype)
        )

    @cached_property
    def by_offset(self) -> pairs.Neighbours:
        """The pairs for PyTorch's products, which have gradients."""
        with _disable_current_modes():  # FakeTensorMode: voxels have values where features do not
            return pairs.find_neighbours(self.keys, self.rows, self.largest)

    @cached_property
    def _lists(self) -> _Lists:
        count = len(self.keys)
        order = self.rows
        if order is None:
            order = torch.arange(count, device=self.keys.device)
        size_y, size_z = self.largest[1] + 2, self.largest[2] + 2
        step = torch.arange(-1, 2, device=self.keys.device)
        columns = (step[:, None] * size_y + step).flatten() * size_z - 1
        search = (self.keys, order, count, columns, _BLOCK)
        counts = self.keys.new_empty(27 * -(-count // _BLOCK))
        call("concerto_count_neighbours", _FIND, *search, counts)
        starts = counts.new_zeros(len(counts) + 1)
        torch.cumsum(counts, 0, out=starts[1:])
        sources, targets = starts.new_empty(2, int(starts[-1]), dtype=torch.int32)
        lists = (starts, sources, targets)
        call("concerto_list_neighbours", (*_FIND, POINTER, POINTER), *search, *lists)
        return _Lists(order, *lists)

    def convolve(
        self, feat: torch.Tensor, matrices: torch.Tensor, bias: torch.Tensor
    ) -> torch.Tensor:
        """Convolve features that :meth:`serves` is true for, without gradients; sums are float32.

        Args:
            feat: (N, C_in).
            matrices: (27, C_in, C_out), of the same type.
            bias: (C_out,).

        Returns:
            (N, C_out).
        """
        lists = self._lists
        result = feat.new_empty(len(feat), matrices.shape[2])
        half = feat.dtype == torch.bfloat16
        sizes = (*feat.shape, matrices.shape[2], _BLOCK)
        where = (lists.order, lists.starts, lists.sources, lists.targets)
        call("concerto_convolve", _CONVOLVE, half, feat, matrices, bias, result, *sizes, *where)
        return result
